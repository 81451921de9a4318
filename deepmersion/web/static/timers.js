/** The timers: silence after a while, or work and rest, again and again. One of them runs at a time. */
import { MINUTE_S, chip, clock, countDown, keepTime } from "./countdown.js";
import { $ } from "./dom.js";
import { keepSetting, setting } from "./store.js";

/** A fade takes a quarter of the time it belongs to, but not more than the longest. */
const FADE_SHARE = 0.25;

/** Seconds of the longest fade into sleep. */
const MAX_FADE_S = 300;

/** Seconds of the longest fade into a rest or out of it: the cue, which has to be noticed. */
const MAX_TURN_S = 8;

const seconds = (id) => MINUTE_S * $(id).valueAsNumber;

/** @param {import("./player.js").Player} player */
export function timers(player) {
  let running = null;

  /**
   * Let a form start a timer, and end it.
   * @param {string} name
   * @param {(tell: (words: string, short: string) => void, end: (words?: string) => void) =>
   *   () => void} begin - Returns what stops its counting.
   */
  const offer = (name, begin) => {
    const [form, button, state] = [$(name), $(`${name}-button`), $(`${name}-state`)];
    const idle = state.textContent;
    for (const input of form.querySelectorAll("input")) remember(input);
    const end = (words = idle) => {
      running.stop();
      running = null;
      button.textContent = "Start";
      state.textContent = words;
      chip("timer", "");
    };
    const tell = (words, short) => {
      state.textContent = words;
      chip("timer", short, name);
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const before = running;
      if (before) {
        player.goOn();
        before.end();
      }
      if (before?.name === name) return;
      player.play();
      button.textContent = "Stop";
      running = { name, end, stop: begin(tell, end) };
    });
  };
  offer("timer", (tell, end) => sleep(player, tell, end));
  offer("focus", (tell) => workAndRest(player, tell));
  // Pausing by hand cancels the timer.
  player.addEventListener("change", () => { if (running && !player.playing) running.end(); });
}

/** Let a form's field have the value of the last time. */
function remember(input) {
  input.value = setting(input.id) ?? input.value;
  input.addEventListener("change", () => { if (input.validity.valid) keepSetting(input.id, input.value); });
}

function sleep(player, tell, end) {
  const all = seconds("timer-minutes");
  player.endIn(all, Math.min(MAX_FADE_S, FADE_SHARE * all));
  return countDown(all, (left) => tell(`Silence in ${left}`, left), () => end("Time is up."));
}

function workAndRest(player, tell) {
  const [work, rest] = [seconds("focus-minutes"), seconds("rest-minutes")];
  const fade = Math.min(MAX_TURN_S, FADE_SHARE * Math.min(work, rest));
  let rested = false;
  return keepTime((passed) => {
    const into = passed % (work + rest);
    const resting = into >= work;
    const left = work - into + (resting ? rest : 0);
    player.alternate(resting, left, fade);
    const what = resting ? "Rest" : "Focus";
    tell(resting ? `Silence for ${clock(left)}` : `Rest in ${clock(left)}`, `${what} ${clock(left)}`);
    if (resting !== rested) $("status").textContent = `${what} now.`;
    rested = resting;
  });
}
