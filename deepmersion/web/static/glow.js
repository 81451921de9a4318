/** The photo glows with the sound, gently; a still picture costs no processor time. */
import { $ } from "./dom.js";

/** The level changes slowly, and ten pictures a second show that as well as sixty. */
const EVERY_MS = 100;

/** Level of a mix at the common loudness, -27 LUFS, and of what glows fully. */
const COMMON_RMS = 0.045;
const RANGE_DB = 9;

/** Seconds in which the glow follows the level. */
const FOLLOWS_S = 0.6;

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** @param {import("./player.js").Player} player */
export function glow(player) {
  let running = false;
  let light = 0;
  const shown = () => player.heard && !player.muted && !document.hidden && !still.matches && !$("photo").hidden;
  const step = () => {
    if (!shown()) return stop();
    const db = 20 * Math.log10(Math.max(player.level(), 1e-6) / COMMON_RMS);
    const wanted = Math.min(1, Math.max(0, 0.5 + db / (2 * RANGE_DB)));
    light += (wanted - light) * (EVERY_MS / 1000 / FOLLOWS_S);
    $("glow").style.opacity = light.toFixed(3);
    setTimeout(() => requestAnimationFrame(step), EVERY_MS);
  };
  const stop = () => {
    running = false;
    light = 0;
    $("glow").style.opacity = "0";
  };
  const consider = () => {
    if (running || !shown()) return;
    running = true;
    requestAnimationFrame(step);
  };
  player.addEventListener("change", consider);
  document.addEventListener("visibilitychange", consider);
  still.addEventListener("change", consider);
  new MutationObserver(consider).observe($("photo"), { attributeFilter: ["hidden"] });
}
