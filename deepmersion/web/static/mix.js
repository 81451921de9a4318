/** Mixes: gains by sound, their text, and their names in words. */

/** @typedef {Map<string, number>} Mix Gains above zero, from 0 to 1, by the sound's name. */

/** The grammar, which deepmersion/sound/recipe.py states and reads in the same way. */
const NAME = /^(?:[^:,=]|:[0-9A-Fa-f]{2})+$/;
const GAIN = /^(?:[0-9]+\.?[0-9]*|\.[0-9]+)$/;

const trim = (text) => text.replace(/^ +| +$/g, "");

/**
 * Return a sound's name as a mix writes it.
 * @param {string} name
 * @returns {string}
 */
export function escaped(name) {
  const byte = (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(name).replace(/[!'()*~]|^-/g, byte).replaceAll("%", ":");
}

/**
 * Return a mix as text, such as `waves=1,birds=0.5`, the loudest first.
 * @param {Mix} mix
 * @returns {string}
 */
export function toText(mix) {
  return [...mix]
    .filter(([, gain]) => Number(gain.toFixed(3)) > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([name, gain]) => `${escaped(name)}=${Number(gain.toFixed(3))}`)
    .join(",");
}

/**
 * Return the gains by name of a mix as text; a name alone has the gain 1.
 * @param {string} text
 * @returns {Mix} With gains of any size, zero among them.
 * @throws {Error} When the text does not follow the grammar, or names a sound twice.
 */
export function parse(text) {
  const mix = new Map();
  for (const sound of text.split(",")) {
    const [written, ...gains] = sound.split("=").map(trim);
    const gain = gains.length ? gains.join("=") : "1";
    const name = NAME.test(written) && GAIN.test(gain) ? unescaped(written) : null;
    if (name === null) throw new Error(`“${text}” is not a mix. Mixes look like waves=1,birds=0.5.`);
    if (mix.has(name)) throw new Error(`The mix names ${name} twice.`);
    mix.set(name, Number(gain));
  }
  return mix;
}

function unescaped(written) {
  try {
    return decodeURIComponent(written.replaceAll("%", "%25").replaceAll(":", "%"));
  } catch {
    return null;
  }
}

/**
 * Return the mix that a text means, its loudest sound at 1 at most.
 * @param {string} text
 * @param {string[]} names - Of the sounds there are.
 * @returns {Mix}
 * @throws {Error} When it is not a mix of these sounds.
 */
export function fromText(text, names) {
  const mix = parse(text);
  for (const name of mix.keys()) {
    if (!names.includes(name)) throw new Error(`There is no sound called “${name}” here.`);
  }
  const loudest = Math.max(1, ...mix.values());
  return new Map([...mix].filter(([, gain]) => gain > 0).map(([name, gain]) => [name, gain / loudest]));
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
