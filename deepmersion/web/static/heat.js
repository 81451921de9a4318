/** Pointing at a reason shows where in the photo its sound comes from. */
import { $ } from "./dom.js";
import { shade } from "./stage.js";

/**
 * @param {() => Promise<{sound: string, values: number[][],
 *   reasons: {label: string, words: string, values: number[][]}[]}[]>} find - Finds the maps of the
 *   photo on the stage, once for each.
 * @param {(sound: string) => string} titleOf
 * @param {(error: Error) => void} onTrouble
 */
export function heat(find, titleOf, onTrouble) {
  /** The button whose map is wanted. */
  let pointed = null;
  /** The one that was pressed, whose map stays. */
  let pressed = null;

  const point = async (button) => {
    if (button === pointed) return;
    pointed = button;
    for (const other of $("reasons").querySelectorAll("button")) other.classList.toggle("pointed", other === button);
    if (!button) return shade(null);
    try {
      const { map, label } = button.dataset;
      const ofSound = (await find()).find(({ sound }) => sound === map);
      if (pointed !== button) return;
      const reason = ofSound?.reasons?.find((some) => some.label === label);
      if (reason) shade(reason.values, `Where the photo shows ${reason.words}`);
      else shade(ofSound?.values ?? null, `Where it comes from: ${titleOf(map)}`);
    } catch (error) {
      if (pointed === button) onTrouble(error);
    }
  };
  const press = (button) => {
    pressed = button === pressed ? null : button;
    for (const other of $("reasons").querySelectorAll("button")) other.ariaPressed = String(other === pressed);
    point(pressed);
  };
  const on = (name, act) => $("reasons").addEventListener(name, ({ target }) => act(target.closest("button")));
  on("pointerover", (button) => { if (button) point(button); });
  on("focusin", (button) => { if (button?.matches(":focus-visible")) point(button); });
  on("click", (button) => { if (button) press(button); });
  for (const name of ["pointerleave", "focusout"]) $("reasons").addEventListener(name, () => point(pressed));
  const release = () => {
    if (pressed) press(pressed);
    point(null);
  };
  document.addEventListener("click", ({ target }) => { if (!target.closest("#reasons, #stage")) release(); });
  return release;
}
