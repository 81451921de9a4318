/** Small helpers for the document: elements, icons, messages. */

/** @type {(id: string) => HTMLElement} */
export const $ = (id) => document.getElementById(id);

/** The sounds that icons.svg has a drawing of; any other gets the one for all. */
const DRAWN = new Set([
  "bells", "birds", "city", "crickets", "fan", "fire", "harbour", "keyboard", "people", "rain",
  "singing-bowl", "snow-wind", "stream", "thunder", "train", "waves", "white-noise", "wind",
]);

const SPRITE = new URL("icons.svg", import.meta.url).href;

const SVG = "http://www.w3.org/2000/svg";

const TOAST_MS = 4000;

/**
 * Return an element with children.
 * @param {string} tag
 * @param {object} properties
 * @param {...(Node | string)} children
 */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/**
 * Return one of the drawings in icons.svg.
 * @param {string} name
 */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", "line-icon");
  drawing.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${SPRITE}#${name}`);
  drawing.append(use);
  return drawing;
}

/** @param {string} name - Of a sound. */
export const soundIcon = (name) => icon(DRAWN.has(name) ? name : "sound");

/** Put an icon into every element that names one. */
export function drawIcons() {
  for (const place of document.querySelectorAll("[data-icon]")) place.prepend(icon(place.dataset.icon));
}

/** Show a message until it is dismissed; none with an empty text. */
export function say(text) {
  const box = $("message");
  box.classList.toggle("shown", Boolean(text));
  box.querySelector("p").textContent = text;
  box.querySelector("button").onclick = () => say("");
}

let fading;

/** Tell in passing what has just been done. */
export function toast(text) {
  clearTimeout(fading);
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  fading = setTimeout(() => $("toast").classList.remove("shown"), TOAST_MS);
}

/** Hand a file to the person, as a download. */
export function download(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
