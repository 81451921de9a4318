/** The photo glows with the sound, gently; a still picture costs no processor time. */
import { $ } from "./dom.js";

/** How often the level is read: it changes slowly. */
const EVERY_MS = 1000;

/** Steps of the glow. One is less than the eye sees, and only a step makes the browser draw. */
const N_STEPS = 12;

/** Level of a mix at the common loudness, -27 LUFS, and the range that the glow covers about it. */
const COMMON_RMS = 0.045;
const RANGE_DB = 12;

/** Share of the way to the level that the glow goes each time. */
const FOLLOWS = 0.5;

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** @param {import("./player.js").Player} player */
export function glow(player) {
  let running = false;
  let light = 0;
  let shown = 0;
  const wanted = () => player.heard && !player.muted && !document.hidden && !still.matches && !$("photo").hidden;
  const draw = (steps) => {
    if (steps === shown) return;
    shown = steps;
    requestAnimationFrame(() => { $("glow").style.opacity = String(steps / N_STEPS); });
  };
  const follow = () => {
    running = wanted();
    if (!running) light = 0;
    else {
      const db = 20 * Math.log10(Math.max(player.level(), 1e-6) / COMMON_RMS);
      light += FOLLOWS * (Math.min(1, Math.max(0, 0.5 + db / RANGE_DB)) - light);
      setTimeout(follow, EVERY_MS);
    }
    draw(Math.round(N_STEPS * light));
  };
  const consider = () => { if (!running) follow(); };
  player.addEventListener("change", consider);
  document.addEventListener("visibilitychange", consider);
  still.addEventListener("change", consider);
  new MutationObserver(consider).observe($("photo"), { attributeFilter: ["hidden"] });
}
