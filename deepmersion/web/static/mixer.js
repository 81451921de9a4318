/** The mixer: for each sound a switch, a slider and its level. */
import { $, element, soundIcon } from "./dom.js";
import { paint } from "./controls.js";

/** Level at which a sound comes in that had none. */
const COMES_IN = 0.5;

/**
 * @typedef {object} Mixer
 * @property {(mix: import("./mix.js").Mix) => void} show
 * @property {(muted: Set<string>) => void} showMuted
 * @property {(name: string) => void} focus
 */

/**
 * Build the mixer.
 * @param {Map<string, {title: string}>} sounds
 * @param {{move: (name: string, gain: number) => void, mute: (name: string, muted: boolean) => void}} on
 * @returns {Mixer}
 */
export function mixer(sounds, on) {
  const rows = new Map([...sounds].map(([name, { title }]) => [name, row(name, title, on)]));
  $("sliders").replaceChildren(...[...rows.values()].map(({ box }) => box));
  return {
    show(mix) {
      for (const [name, { range, describe }] of rows) {
        range.value = mix.get(name) ?? 0;
        describe();
      }
    },
    focus: (name) => rows.get(name).range.focus(),
    showMuted(muted = new Set()) {
      for (const [name, { box, describe }] of rows) {
        box.classList.toggle("muted", muted.has(name));
        describe();
      }
    },
  };
}

function row(name, title, on) {
  const range = element("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0 });
  range.dataset.sound = name;
  range.ariaLabel = title;
  const value = element("output", { className: "value" });
  const button = element("button", { type: "button", className: "switch-sound" }, soundIcon(name));
  const box = element(
    "div", { className: "sound", role: "group", ariaLabel: title },
    button, element("span", { className: "name", title }, title), value, range,
  );
  const describe = () => {
    const text = `${Math.round(100 * range.value)} %`;
    const muted = box.classList.contains("muted");
    const sounds = Number(range.value) > 0 && !muted;
    range.ariaValueText = muted ? `${text}, muted` : text;
    value.textContent = muted ? "muted" : Number(range.value) ? text : "";
    button.ariaPressed = String(sounds);
    button.ariaLabel = title;
    button.title = sounds ? `Mute ${title}` : `Hear ${title}`;
    box.classList.toggle("sounds", sounds);
    paint(range);
  };
  range.addEventListener("input", () => {
    if (box.classList.contains("muted")) on.mute(name, false);
    describe();
    on.move(name, Number(range.value));
  });
  button.addEventListener("click", () => {
    if (box.classList.contains("muted")) on.mute(name, false);
    else if (Number(range.value) > 0) on.mute(name, true);
    else {
      range.value = COMES_IN;
      describe();
      on.move(name, COMES_IN);
    }
  });
  return { box, range, describe };
}
