/** Controls that show a state: sliders, tabs, transport, media keys, messages. */
import { element } from "./seen.js";

const $ = (id) => document.getElementById(id);

/** Let a range show how full it is. */
export function paint(range) {
  const { min, max, value } = range;
  range.style.setProperty("--at", `${(100 * (value - min)) / (max - min)}%`);
}

/**
 * One slider a sound. Returns what shows a mix on them.
 * @param {Map<string, {title: string}>} sounds
 * @param {(mix: import("./mix.js").Mix) => void} onMove
 */
export function sliders(sounds, onMove) {
  const ranges = new Map();
  for (const [name, { title }] of sounds) {
    const range = element("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0 });
    range.dataset.sound = name;
    range.addEventListener("input", () => {
      describe(range);
      onMove(new Map([...ranges].map(([key, { value }]) => [key, Number(value)]).filter(([, gain]) => gain > 0)));
    });
    ranges.set(name, range);
    $("sliders").append(element("label", {}, element("span", {}, title), range));
  }
  return (mix) => {
    for (const [name, range] of ranges) {
      range.value = mix.get(name) ?? 0;
      describe(range);
    }
  };
}

function describe(range) {
  range.ariaValueText = `${Math.round(100 * range.value)} %`;
  paint(range);
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

/**
 * Play, mute, volume, and the space bar.
 * @param {import("./player.js").Player} player
 */
export function transport(player) {
  const toggle = () => (player.heard ? player.pause() : player.play());
  $("play").addEventListener("click", toggle);
  $("mute").addEventListener("click", () => player.mute(!player.muted));
  const volume = $("volume");
  const turn = () => {
    player.setVolume(Number(volume.value));
    volume.ariaValueText = `${volume.value} dB`;
    paint(volume);
  };
  volume.addEventListener("input", turn);
  turn();
  document.addEventListener("keydown", (event) => {
    // A button that has the focus is pressed by the space bar, and a text wants it.
    const own = event.target.closest("button, select, dialog, input:not([type=range])");
    if (event.key !== " " || event.repeat || own) return;
    event.preventDefault();
    player.mute(!player.muted);
  });
  player.addEventListener("change", () => {
    $("play").ariaLabel = player.heard ? "Pause" : "Play";
    $("play").classList.toggle("awaited", player.playing && !player.heard);
    $("mute").ariaPressed = String(player.muted);
  });
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

/** Show a message until it is dismissed; none with an empty text. */
export function say(text) {
  const box = $("message");
  box.classList.toggle("shown", Boolean(text));
  box.querySelector("p").textContent = text;
  box.querySelector("button").onclick = () => say("");
}
