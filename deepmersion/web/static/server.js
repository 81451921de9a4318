/** Requests to the server. */

const LOST =
  "The page cannot reach its server. Start “deepmersion serve” again; what is loaded plays on.";

const HUNG = "The server has not answered for a minute. Try again, or start “deepmersion serve” again.";

const TRIES = 6;

/** Longest wait for an answer to begin. The largest networks take some ten seconds on a slow machine. */
const PATIENCE_MS = 60_000;

/** Where the server's routes begin, which a proxy may have put under a prefix. */
const BASE = new URL("..", import.meta.url);

/** Whether the server is on the machine that shows the page. */
export const IS_LOCAL = /^(localhost|\[::1\]|127\.[\d.]+)$/.test(location.hostname);

/** A failure with a message for the user. */
export class Trouble extends Error {
  /**
   * @param {string} message
   * @param {number} [status] - Of the server's answer, where it gave one.
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * Return the address of one of the server's routes.
 * @param {string} path - From the root, such as `/api/sounds`, which a prefix may precede; the first
 *   slash can be left out.
 */
export const at = (path) => new URL(path.replace(/^\//, ""), BASE).href;

/**
 * Ask the server, again after a moment when it is busy.
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<Response>}
 * @throws {Trouble} When it cannot be reached, does not answer, or refuses.
 */
async function ask(path, options = {}) {
  for (let n = 1; ; n++) {
    const answer = await patiently(at(path), options);
    if (answer.ok) return answer;
    if (answer.status === 503 && n < TRIES) {
      const seconds = Number(answer.headers.get("Retry-After")) || 1;
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
      continue;
    }
    const { error } = await answer.json().catch(() => ({}));
    throw new Trouble(sentence(error ?? `the server failed (${answer.status})`), answer.status);
  }
}

/** Ask once, and wait for the answer to begin, but not forever. */
async function patiently(address, options) {
  const patience = new AbortController();
  const waiting = setTimeout(() => patience.abort(), PATIENCE_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, patience.signal]) : patience.signal;
  try {
    return await fetch(address, { ...options, signal });
  } catch (error) {
    if (patience.signal.aborted) throw new Trouble(HUNG);
    if (error.name === "AbortError") throw error;
    throw new Trouble(LOST);
  } finally {
    clearTimeout(waiting);
  }
}

/** @param {string} text */
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

/** Read an answer to its end; the server may be lost in the middle of it. */
async function body(answer, kind) {
  try {
    return await answer[kind]();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble(LOST);
  }
}

/** Return what sends a photo. */
function upload(photo, signal) {
  const type = photo.type.startsWith("image/") ? photo.type : "application/octet-stream";
  return { method: "POST", body: photo, headers: { "Content-Type": type }, signal };
}

/** Return the sound bank. */
export const sounds = async () => body(await ask("api/sounds"), "json");

/**
 * Return the spans in which a sound may be cut, in seconds.
 * @param {string} name
 * @returns {Promise<[number, number][]>}
 */
export const cuts = async (name) => body(await ask(`cuts/${encodeURIComponent(name)}`), "json");

/**
 * @typedef {object} Wanted What counts when a photo is matched.
 * @property {string} use - `objects`, `scenes` or both, with a comma.
 * @property {number | null} chatter
 * @property {number} top - How many mixes.
 * @property {string[]} without - Readings that were struck out.
 * @property {boolean} places - Whether a kept place may answer.
 */

/** @param {Wanted} wanted */
function query({ use, chatter, top, without, places }) {
  const written = new URLSearchParams({ top: String(top), explain: "true", use });
  if (chatter !== null) written.set("chatter", String(chatter));
  if (without.length) written.set("without", without.join(","));
  if (!places) written.set("places", "false");
  return written;
}

/**
 * Return what is seen in a photo and the mixes that fit it.
 * @param {Blob} photo
 * @param {Wanted} wanted
 * @param {AbortSignal} signal
 */
export async function match(photo, wanted, signal) {
  return body(await ask(`api/match?${query(wanted)}`, upload(photo, signal)), "json");
}

/**
 * Return where in a photo each sound comes from.
 * @param {Blob} photo
 * @param {Wanted} wanted
 * @returns {Promise<{maps: {sound: string, values: number[][],
 *   reasons: {label: string, words: string, values: number[][]}[]}[]}>}
 */
export async function maps(photo, wanted) {
  return body(await ask(`api/maps?${query(wanted)}`, upload(photo)), "json");
}

/**
 * Return the bytes of a sound.
 * @param {string} url
 * @param {number} [n] - How many, from the first on; all when it is left out.
 * @returns {Promise<ArrayBuffer>}
 */
export async function bytes(url, n) {
  const headers = n ? { Range: `bytes=0-${n - 1}` } : {};
  return body(await ask(url, { headers }), "arrayBuffer");
}

/**
 * Return a mix as a file.
 * @param {string} mix - As text.
 * @param {number} seconds
 * @param {string} format
 * @param {AbortSignal} signal
 * @returns {Promise<Blob>}
 */
export async function rendered(mix, seconds, format, signal) {
  const wanted = new URLSearchParams({ mix, duration: String(seconds), format });
  return body(await ask(`api/mix?${wanted}`, { signal }), "blob");
}

/** Return one of the pictures that ship with the program. */
export const example = async (name) => body(await ask(`examples/${name}`), "blob");

/**
 * @typedef {object} Place
 * @property {number} id
 * @property {string} name
 * @property {string} mix - As text.
 * @property {string} [thumbnail] - Its address.
 * @property {string | null} [problem] - Why its mix cannot be played here.
 */

/** @returns {Promise<{where: string | null, places: Place[]}>} */
export const places = async () => body(await ask("api/places"), "json");

/**
 * @param {Blob} photo
 * @param {string} name
 * @param {string} mix
 * @returns {Promise<Place>}
 */
export async function keep(photo, name, mix) {
  return body(await ask(`api/places?${new URLSearchParams({ name, mix })}`, upload(photo)), "json");
}

/** @param {{name?: string, mix?: string}} changed */
export async function changePlace(id, changed) {
  await ask(`api/places/${id}?${new URLSearchParams(changed)}`, { method: "PATCH" });
}

export async function forgetPlace(id) {
  await ask(`api/places/${id}`, { method: "DELETE" });
}

/** @param {string} url */
export const thumbnail = async (url) => body(await ask(url), "blob");

/** @returns {Promise<Blob>} */
export const exportedPlaces = async () => body(await ask("api/places/export"), "blob");

/**
 * @param {Blob} file
 * @returns {Promise<{added: Place[], skipped: {name: string, why: string}[]}>}
 */
export async function importPlaces(file) {
  const options = { method: "POST", body: file, headers: { "Content-Type": "application/json" } };
  return body(await ask("api/places/import", options), "json");
}
