/** The form that keeps what plays, under a name. */
import { $ } from "./dom.js";
import { plain } from "./seen.js";

/**
 * @param {() => import("./moment.js").Moment} now - What is shown.
 * @param {(name: string) => Promise<object | undefined>} keep - Resolves to nothing where it failed.
 */
export function keepForm(now, keep) {
  const [form, opener, field] = [$("keep-form"), $("keep"), $("keep-name")];
  const open = (wanted) => {
    form.hidden = !wanted;
    opener.ariaExpanded = String(wanted);
  };
  opener.addEventListener("click", () => {
    open(form.hidden);
    if (form.hidden) return;
    const { place, seen } = now();
    field.value = place?.name ?? "";
    field.placeholder = plain(seen?.record.scenes[0].label ?? $("words").textContent);
    field.focus();
  });
  $("keep-cancel").addEventListener("click", () => open(false));
  form.addEventListener("keydown", ({ key }) => { if (key === "Escape") open(false); });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!(await keep(field.value.trim() || field.placeholder))) return;
    open(false);
    opener.focus();
  });
}
