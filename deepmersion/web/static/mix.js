/** Mixes: gains by sound, their text in the address, and their names in words. */

/** @typedef {Map<string, number>} Mix Gains above zero, from 0 to 1, by the sound's name. */

const ADDRESS = "#mix=";

/** Browsers let the address be written some hundred times in half a minute; a slider moves faster. */
const WRITE_AFTER_MS = 300;

/**
 * Return a mix as text, such as `waves=1,birds=0.5`, the loudest first.
 * @param {Mix} mix
 * @returns {string}
 */
export function toText(mix) {
  return [...mix]
    .filter(([, gain]) => Number(gain.toFixed(3)) > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([name, gain]) => `${encodeURIComponent(name)}=${Number(gain.toFixed(3))}`)
    .join(",");
}

/**
 * Return the mix that a text means.
 * @param {string} text
 * @param {string[]} names - Of the sounds there are.
 * @returns {Mix}
 * @throws {Error} When it names another sound, or a gain that is none.
 */
export function fromText(text, names) {
  const mix = new Map();
  for (const part of text.split(",").filter(Boolean)) {
    const at = part.lastIndexOf("=");
    const name = decoded(part.slice(0, Math.max(at, 0)));
    const gain = Number(part.slice(at + 1));
    if (!names.includes(name)) throw new Error(`There is no sound called “${name || part}” here.`);
    if (!(gain >= 0) || !Number.isFinite(gain)) throw new Error(`“${part}” is no gain.`);
    if (gain > 0) mix.set(name, gain);
  }
  const loudest = Math.max(1, ...mix.values());
  return new Map([...mix].map(([name, gain]) => [name, gain / loudest]));
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // an address that was cut in the middle of a letter: the name of no sound
  }
}

/**
 * Return the text of the mix in the page's address, or null.
 * @returns {string | null}
 */
export function inAddress() {
  return location.hash.startsWith(ADDRESS) ? location.hash.slice(ADDRESS.length) : null;
}

let writing;

/**
 * Put a mix into the page's address, unless another follows within a moment.
 * @param {Mix} mix
 */
export function putInAddress(mix) {
  const text = toText(mix);
  clearTimeout(writing);
  writing = setTimeout(() => {
    history.replaceState(null, "", text ? ADDRESS + text : location.pathname);
  }, WRITE_AFTER_MS);
}

/**
 * Return a mix as a person says it, such as `Waves and wind`.
 * @param {Mix} mix
 * @param {Map<string, {title: string}>} sounds
 * @param {number} most - How many sounds are named.
 * @returns {string}
 */
export function inWords(mix, sounds, most = 3) {
  const named = [...mix].sort((a, b) => b[1] - a[1]).map(([name]) => sounds.get(name)?.title ?? name);
  if (!named.length) return "Silence";
  const shown = named.slice(0, named.length > most ? most - 1 : most);
  const words = shown.map((title, i) => (i ? title[0].toLowerCase() + title.slice(1) : title));
  if (named.length > shown.length) words.push(`${named.length - shown.length} more`);
  return list(words);
}

/**
 * Return words as a list in a sentence.
 * @param {string[]} words
 * @returns {string}
 */
export function list(words) {
  return words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/**
 * Return some of the sounds at random levels.
 * @param {string[]} names
 * @returns {Mix}
 */
export function random(names) {
  const n = 1 + Math.floor(Math.random() * Math.min(4, names.length));
  const shuffled = names.map((name) => [Math.random(), name]).sort((a, b) => a[0] - b[0]);
  return new Map(shuffled.slice(0, n).map(([, name]) => [name, Math.round(20 + 80 * Math.random()) / 100]));
}
