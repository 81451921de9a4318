/** Time that is left, shown beside the tool that counts it and in a chip on the photo. */
import { openTab } from "./controls.js";
import { $ } from "./dom.js";

export const MINUTE_S = 60;

const TICK_MS = 500;

/**
 * Return a time as minutes and seconds.
 * @param {number} seconds
 */
export function clock(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/**
 * Tell how long something has been going on, by the clock: a hidden page ticks late.
 * @param {(seconds: number) => void} tell - Called at once, and again and again.
 * @returns {() => void} What stops it.
 */
export function keepTime(tell) {
  const began = Date.now();
  const tick = () => tell((Date.now() - began) / 1000);
  const ticking = setInterval(tick, TICK_MS);
  tick();
  return () => clearInterval(ticking);
}

/**
 * Count down.
 * @param {number} seconds
 * @param {(left: string) => void} tell
 * @param {() => void} then - Called at the end.
 * @returns {() => void} What stops it.
 */
export function countDown(seconds, tell, then) {
  const stop = keepTime((passed) => {
    if (passed < seconds) return tell(clock(seconds - passed));
    stop();
    then();
  });
  return stop;
}

/**
 * Show on the photo what runs, wherever the page is just now; a press leads to its tool.
 * @param {string} name - Of the chip.
 * @param {string} text - Empty when nothing runs.
 * @param {string} tool - Its form.
 */
export function chip(name, text, tool = name) {
  const button = $(`${name}-chip`);
  button.hidden = !text;
  button.querySelector("span").textContent = text;
  button.onclick = () => {
    openTab("more");
    $(tool).scrollIntoView({ block: "nearest" });
    $(tool).querySelector("button").focus();
  };
}
