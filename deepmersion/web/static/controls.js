/** Controls that show a state: tabs, transport, media keys. */
import { $ } from "./dom.js";
import { keepSetting, setting } from "./store.js";

/** The step of an arrow key, in dB: one that is heard. */
const VOLUME_STEP_DB = 2;

/** Let a range show how full it is. */
export function paint(range) {
  const { min, max, value } = range;
  range.style.setProperty("--at", `${(100 * (value - min)) / (max - min)}%`);
}

/** Tabs as the ARIA Authoring Practices have them: arrows move, one stop for the tab key. */
export function tabs() {
  const all = [...document.querySelectorAll('[role="tab"]')];
  const select = (chosen) => {
    for (const tab of all) {
      tab.ariaSelected = String(tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      $(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
  };
  all.forEach((tab, i) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      const next = { Home: all[0], End: all.at(-1) }[key] ?? (step && all.at((i + step) % all.length));
      if (!next) return;
      select(next);
      next.focus();
    });
  });
}

/** Show one of the tabs, by its name. */
export const openTab = (name) => $(`tab-${name}`).click();

/**
 * Play, mute and volume.
 * @param {import("./player.js").Player} player
 * @param {() => void} onToggle - Plays, or pauses.
 * @returns {{louder: (steps: number) => void}}
 */
export function transport(player, onToggle) {
  $("play").addEventListener("click", onToggle);
  $("mute").addEventListener("click", () => player.mute(!player.muted));
  const volume = $("volume");
  volume.value = setting("volume") ?? volume.value;
  const turn = () => {
    player.setVolume(Number(volume.value));
    const share = (volume.value - volume.min) / (volume.max - volume.min);
    volume.ariaValueText = $("volume-value").textContent = `${Math.round(100 * share)} %`;
    paint(volume);
  };
  volume.addEventListener("input", turn);
  volume.addEventListener("change", () => keepSetting("volume", volume.value));
  turn();
  player.addEventListener("change", () => {
    $("play").ariaLabel = player.heard ? "Pause" : "Play";
    $("play").classList.toggle("awaited", player.playing && !player.heard);
    $("mute").ariaPressed = String(player.muted);
  });
  return {
    louder(steps) {
      volume.value = Number(volume.value) + steps * VOLUME_STEP_DB;
      turn();
      keepSetting("volume", volume.value);
    },
  };
}

/**
 * The keyboard's and the headset's own keys. Browsers give them to pages with a media element
 * that plays, so a silent one goes along.
 * @param {import("./player.js").Player} player
 * @param {(step: number) => void} onStep - To the next or the previous of the mixes.
 * @returns {(title: string) => void} What says what plays.
 */
export function mediaKeys(player, onStep) {
  const session = navigator.mediaSession;
  if (!session) return () => {};
  const actions = {
    play: () => player.play(), pause: () => player.pause(), stop: () => player.pause(),
    nexttrack: () => onStep(1), previoustrack: () => onStep(-1),
  };
  for (const [name, action] of Object.entries(actions)) session.setActionHandler(name, action);
  player.addEventListener("change", () => {
    session.playbackState = player.heard ? "playing" : "paused";
    if (player.heard) $("silence").play().catch(() => {});
    else $("silence").pause();
  });
  return (title) => { session.metadata = new MediaMetadata({ title, artist: "deepmersion" }); };
}
