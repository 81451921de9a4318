/** The timer, the live camera, and saving a mix. */
import { parse } from "./mix.js";
import { snapshot } from "./photo.js";
import { rendered } from "./server.js";

const $ = (id) => document.getElementById(id);

const MINUTE_S = 60;

/** The timer fades over the last quarter of its time, but not over more than five minutes. */
const FADE_SHARE = 0.25;
const MAX_FADE_S = 300;

const TICK_MS = 500;

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Count down to a time, tell of it, and do something then. Returns what stops it. */
function countDown(seconds, tell, then) {
  const end = Date.now() + 1000 * seconds;
  const tick = () => {
    const left = (end - Date.now()) / 1000;
    if (left > 0) return tell(clock(left));
    clearInterval(ticking);
    then();
  };
  const ticking = setInterval(tick, TICK_MS);
  tick();
  return () => clearInterval(ticking);
}

/** @param {import("./player.js").Player} player */
export function timer(player) {
  let stop = null;
  const clear = (text = "It fades out slowly.") => {
    stop?.();
    stop = null;
    $("timer-button").textContent = "Start";
    $("timer-left").textContent = text;
  };
  $("timer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (stop) {
      player.goOn();
      return clear();
    }
    player.play();
    const seconds = MINUTE_S * $("timer-minutes").valueAsNumber;
    player.endIn(seconds, Math.min(MAX_FADE_S, FADE_SHARE * seconds));
    $("timer-button").textContent = "Stop";
    stop = countDown(seconds, (left) => { $("timer-left").textContent = `Silence in ${left}`; }, () => clear("Time is up."));
  });
  // Pausing by hand cancels the timer.
  player.addEventListener("change", () => { if (stop && !player.playing) clear(); });
}

/**
 * @param {(photo: Blob, live: boolean) => Promise<void>} onPhoto
 * @param {(error: Error) => void} onTrouble
 */
export function live(onPhoto, onTrouble) {
  /** What stands for the time since it was switched on, so that nothing earlier goes on. */
  let run = null;
  let stop = null;
  const button = $("live-switch");
  const look = async (mine) => {
    try {
      $("live-left").textContent = "Looking";
      const photo = await snapshot();
      if (run !== mine) return;
      await onPhoto(photo, true);
    } catch (error) {
      if (run === mine) onTrouble(error);
    }
    if (run !== mine) return;
    const seconds = MINUTE_S * $("live-minutes").valueAsNumber;
    stop = countDown(seconds, (left) => { $("live-left").textContent = `Next picture in ${left}`; }, () => look(mine));
  };
  const set = (on) => {
    run = on ? Symbol("run") : null;
    stop?.();
    button.ariaChecked = String(on);
    $("live-minutes").disabled = on;
    $("live-left").textContent = "The sound follows what the camera sees.";
    if (on) look(run);
  };
  $("live").addEventListener("submit", (event) => event.preventDefault());
  button.addEventListener("click", () => { if (run || $("live").reportValidity()) set(!run); });
}

/**
 * @param {() => string} text - The mix to save, as text; empty when there is none.
 * @param {(error: Error) => void} onTrouble
 */
export function save(text, onTrouble) {
  let abort = null;
  const end = (state = "The mix as a file.") => {
    abort = null;
    $("save-button").textContent = "Save";
    $("save-state").textContent = state;
  };
  $("save").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (abort) return abort.abort();
    const mix = text();
    if (!mix) return end("There is no sound to save.");
    abort = new AbortController();
    $("save-button").textContent = "Cancel";
    $("save-state").textContent = "Rendering";
    try {
      const format = $("save-format").value;
      const seconds = MINUTE_S * $("save-minutes").valueAsNumber;
      const file = await rendered(mix, seconds, format, abort.signal);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = `${[...parse(mix).keys()].join("-").slice(0, 60)}.${format}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), MINUTE_S * 1000);
      end("Saved.");
    } catch (error) {
      end();
      if (error.name !== "AbortError") onTrouble(error);
    }
  });
}
