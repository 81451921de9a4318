/** The timer, the live camera, and saving a mix. */
import { openTab } from "./controls.js";
import { $, download } from "./dom.js";
import { parse } from "./mix.js";
import { snapshot } from "./photo.js";
import { rendered } from "./server.js";

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

/**
 * Show on the photo what runs, wherever the page is just now; a press leads to it.
 * @param {string} name - Of the tool.
 * @param {string} text - Empty when it does not run.
 */
function chip(name, text) {
  const button = $(`${name}-chip`);
  button.hidden = !text;
  button.querySelector("span").textContent = text;
  button.onclick = () => {
    openTab("more");
    $(name).scrollIntoView({ block: "nearest" });
    $(name).querySelector("button").focus();
  };
}

/** @param {import("./player.js").Player} player */
export function timer(player) {
  let stop = null;
  const clear = (text = "It fades out slowly.") => {
    stop?.();
    stop = null;
    $("timer-button").textContent = "Start";
    $("timer-left").textContent = text;
    chip("timer", "");
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
    const tell = (left) => {
      $("timer-left").textContent = `Silence in ${left}`;
      chip("timer", left);
    };
    stop = countDown(seconds, tell, () => clear("Time is up."));
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
      chip("live", "Live");
      const photo = await snapshot();
      if (run !== mine) return;
      await onPhoto(photo, true);
    } catch (error) {
      if (run === mine) onTrouble(error);
    }
    if (run !== mine) return;
    const seconds = MINUTE_S * $("live-minutes").valueAsNumber;
    const tell = (left) => {
      $("live-left").textContent = `Next picture in ${left}`;
      chip("live", `Live ${left}`);
    };
    stop = countDown(seconds, tell, () => look(mine));
  };
  const set = (on) => {
    run = on ? Symbol("run") : null;
    stop?.();
    button.ariaChecked = String(on);
    $("live-minutes").disabled = on;
    $("live-left").textContent = "The sound follows what the camera sees.";
    chip("live", on ? "Live" : "");
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
      download(file, `${[...parse(mix).keys()].join("-").slice(0, 60)}.${format}`);
      end("Saved.");
    } catch (error) {
      end();
      if (error.name !== "AbortError") onTrouble(error);
    }
  });
}
