/** The keyboard's shortcuts, and the sheet that lists them. */
import { $ } from "./dom.js";

/** Where letters are written. */
const TEXT = "textarea, select, input:not([type=range], [type=checkbox], [type=button])";

/** What the arrow keys belong to: they move a slider, choose a tab, or scroll a panel. */
const OWN_ARROWS = `${TEXT}, input[type=range], [role=tab], [role=tabpanel]`;

/** What the space bar presses, where the keyboard led there. */
const PRESSED = "button, summary, a, input[type=checkbox]";

/**
 * @typedef {object} Actions
 * @property {() => void} toggle
 * @property {() => void} mute
 * @property {(steps: number) => void} louder
 * @property {(by: number) => void} step - To the next or the previous of the mixes.
 * @property {(n: number) => void} place - Plays a place, by its number from 1.
 * @property {() => void} undo
 * @property {() => void} redo
 * @property {() => void} keep
 * @property {() => void} cancel
 */

/** @param {Actions} act */
export function keys(act) {
  const sheet = $("sheet");
  const open = () => (sheet.open ? sheet.close() : sheet.showModal());
  $("keys").addEventListener("click", open);
  $("sheet-close").addEventListener("click", () => sheet.close());
  /** Whether the keyboard moved the focus last: then the space bar presses what has it. */
  let led = false;
  document.addEventListener("pointerdown", () => { led = false; }, true);
  document.addEventListener("keydown", ({ key }) => { if (/^(Tab|Arrow|Home|End)/.test(key)) led = true; }, true);

  const plain = {
    " ": act.toggle, m: act.mute, k: act.keep, u: act.undo, "?": open,
    ArrowUp: () => act.louder(1), ArrowDown: () => act.louder(-1),
    ArrowRight: () => act.step(1), ArrowLeft: () => act.step(-1),
    Escape: act.cancel,
  };
  const held = { z: act.undo, Z: act.redo, y: act.redo };

  const found = (event) => {
    const { key, target, ctrlKey, metaKey, altKey } = event;
    if (altKey || event.isComposing || target.closest(TEXT)) return key === "Escape" ? act.cancel : undefined;
    if (ctrlKey || metaKey) return held[key];
    if (target.closest("dialog")) return key === "?" && sheet.open ? open : undefined;
    if (key === " " && led && target.closest(PRESSED)) return undefined;
    if (key.startsWith("Arrow") && target.closest(OWN_ARROWS)) return undefined;
    if (/^[1-9]$/.test(key)) return () => act.place(Number(key));
    return plain[key.length === 1 ? key.toLowerCase() : key];
  };
  let handled = false;
  document.addEventListener("keydown", (event) => {
    const action = found(event);
    handled = event.key === " " && Boolean(action);
    if (!action) return;
    if (event.key !== "Escape") event.preventDefault();
    if (!event.repeat || event.key.startsWith("Arrow")) action();
  });
  // Some browsers press a button when the space bar is let go.
  document.addEventListener("keyup", (event) => { if (event.key === " " && handled) event.preventDefault(); });
}
