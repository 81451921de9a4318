/** Ways in without a photo of one's own: the pictures that ship, and the sounds themselves. */
import { $, element, soundIcon } from "./dom.js";
import { at, example } from "./server.js";

/** The pictures in deepmersion/data/examples/, and what they show. */
const EXAMPLES = new Map([
  ["beach.jpg", "Beach"],
  ["campfire.jpg", "Campfire"],
  ["forest.jpg", "Forest"],
  ["mountains.jpg", "Mountains"],
  ["rainy-window.jpg", "Rainy window"],
]);

/** @param {(photo: Blob) => void} onPhoto */
export function examples(onPhoto, onTrouble) {
  $("examples").replaceChildren(...[...EXAMPLES].map(([file, title]) => {
    const picture = element("img", { src: at(`examples/${file}?thumbnail=true`), alt: "", width: 240, height: 180 });
    const button = element("button", { type: "button", className: "tile" }, picture, element("span", {}, title));
    button.addEventListener("click", () => example(file).then(onPhoto, onTrouble));
    const tile = element("li", {}, button);
    picture.addEventListener("error", () => tile.remove()); // without the server there is nothing to take
    return tile;
  }));
}

/**
 * @param {Map<string, {title: string}>} sounds
 * @param {(name: string) => void} onSound
 */
export function palette(sounds, onSound) {
  $("palette").replaceChildren(...[...sounds].map(([name, { title }]) => {
    const button = element("button", { type: "button" }, soundIcon(name), element("span", {}, title));
    button.addEventListener("click", () => onSound(name));
    return element("li", {}, button);
  }));
}
