/** What is seen in the photo, in bars; what is wrong can be struck out. */
import { $, element, icon } from "./dom.js";

const N_SCENES = 3;
const N_CONDITIONS = 2;

/** What no condition is, which says nothing to a person. */
const NONE = "other";

/** Return a class's name as a person reads it: `temple/east_asia` is `temple (east asia)`. */
export function plain(label) {
  const [head, ...rest] = label.replaceAll("_", " ").split("/");
  return rest.length ? `${head} (${rest.join(", ")})` : head;
}

/** @param {number} p */
export function percent(p) {
  const whole = Math.round(100 * p);
  return whole < 1 ? "< 1 %" : `${whole} %`;
}

function bar({ label, p }, onStrike) {
  const filled = element("i");
  filled.style.width = `${100 * p}%`;
  const strike = element("button", { type: "button", className: "strike", title: "Not in the photo" }, icon("close"));
  strike.ariaLabel = `Strike out: ${plain(label)}`;
  strike.addEventListener("click", () => onStrike(label));
  return element(
    "li", {},
    element("span", { className: "name", title: plain(label) }, plain(label)),
    element("span", { className: "share" }, percent(p)),
    strike,
    element("span", { className: "bar", ariaHidden: "true" }, filled),
  );
}

function struckOut(label, onPutBack) {
  const back = element("button", { type: "button" }, element("s", {}, plain(label)), " put back");
  back.addEventListener("click", () => onPutBack(label));
  return element("li", {}, back);
}

/**
 * Show what is seen, as `POST /api/match` answers.
 * @param {object} record
 * @param {string[]} without - What was struck out.
 * @param {{strike: (label: string) => void, putBack: (label: string) => void}} on
 */
export function showSeen(record, without, on) {
  const fill = (id, readings, n) => {
    const left = readings.filter(({ label }) => label !== NONE && !without.includes(label));
    $(id).replaceChildren(...left.slice(0, n).map((reading) => bar(reading, on.strike)));
  };
  fill("scenes", record.scenes, N_SCENES);
  fill("conditions", record.conditions, N_CONDITIONS);
  fill("objects", record.objects);
  $("struck").replaceChildren(...without.map((label) => struckOut(label, on.putBack)));
  $("struck-section").hidden = !without.length;
  const [scene] = record.scenes;
  $("photo").ariaLabel = `Your photo: ${plain(scene.label)}, ${percent(scene.p)}`;
}
