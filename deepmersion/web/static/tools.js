/** The live camera, and saving a mix. */
import { MINUTE_S, chip, countDown } from "./countdown.js";
import { $, download } from "./dom.js";
import { parse } from "./mix.js";
import { snapshot } from "./photo.js";
import { rendered } from "./server.js";

/** Characters of a file's name before its suffix, as the server names it. */
const MAX_NAME = 60;

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
      download(file, `${[...parse(mix).keys()].join("-").slice(0, MAX_NAME)}.${format}`);
      end("Saved.");
    } catch (error) {
      end();
      if (error.name !== "AbortError") onTrouble(error);
    }
  });
}
