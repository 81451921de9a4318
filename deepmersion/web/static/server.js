/** Requests to the server. */

const LOST =
  "The page cannot reach its server. Start “deepmersion serve” again; what is loaded plays on.";

const TRIES = 6;

/** A failure with a message for the user. */
export class Trouble extends Error {}

/**
 * Ask the server, again after a moment when it is busy.
 * @param {string} address
 * @param {RequestInit} options
 * @returns {Promise<Response>}
 * @throws {Trouble} When it cannot be reached, or refuses.
 */
async function ask(address, options = {}) {
  for (let n = 1; ; n++) {
    let answer;
    try {
      answer = await fetch(address, options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Trouble(LOST);
    }
    if (answer.ok) return answer;
    if (answer.status === 503 && n < TRIES) {
      const seconds = Number(answer.headers.get("Retry-After")) || 1;
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
      continue;
    }
    const { error } = await answer.json().catch(() => ({}));
    throw new Trouble(sentence(error ?? `the server failed (${answer.status})`));
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

/** Return the sound bank. */
export const sounds = async () => body(await ask("/api/sounds"), "json");

/**
 * Return the spans in which a sound may be cut, in seconds.
 * @param {string} name
 * @returns {Promise<[number, number][]>}
 */
export const cuts = async (name) => body(await ask(`/cuts/${encodeURIComponent(name)}`), "json");

/**
 * Return what is seen in a photo and the mixes that fit it.
 * @param {Blob} photo
 * @param {{use: string, chatter: number | null, top: number}} wanted - `top` is how many mixes.
 * @param {AbortSignal} signal
 */
export async function match(photo, wanted, signal) {
  const query = new URLSearchParams({ top: String(wanted.top), explain: "true", use: wanted.use });
  if (wanted.chatter !== null) query.set("chatter", String(wanted.chatter));
  const type = photo.type.startsWith("image/") ? photo.type : "application/octet-stream";
  const options = { method: "POST", body: photo, headers: { "Content-Type": type }, signal };
  return body(await ask(`/api/match?${query}`, options), "json");
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
  const query = new URLSearchParams({ mix, duration: String(seconds), format });
  return body(await ask(`/api/mix?${query}`, { signal }), "blob");
}
