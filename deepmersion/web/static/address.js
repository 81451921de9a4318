/** The page's address: it holds the mix, and names the photo that this browser remembers. */

/** Browsers let the address be written some hundred times in half a minute; a slider moves faster. */
const WRITE_AFTER_MS = 300;

const MIX = "#mix=";
const PHOTO = "&photo=";

/**
 * Return what the address says.
 * @returns {{mix: string | null, photo: string | null}}
 */
export function read() {
  if (!location.hash.startsWith(MIX)) return { mix: null, photo: null };
  const [mix, photo = null] = location.hash.slice(MIX.length).split(PHOTO);
  return { mix: decoded(mix) || null, photo };
}

/** Browsers encode what was typed with spaces or accents. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What waits to be written. */
let waiting = null;
let writing;

/**
 * Write the address, unless more follows within a moment.
 * @param {string} mix - As text; empty for none.
 * @param {string | null} photo - The remembered photo's id.
 * @param {object} state - Kept with the entry of the history.
 * @param {boolean} another - Whether Back leads to what stands there now.
 */
export function write(mix, photo, state, another) {
  const address = mix ? MIX + mix + (photo ? PHOTO + photo : "") : location.pathname + location.search;
  waiting = { address, state, another: another || Boolean(waiting?.another) };
  clearTimeout(writing);
  writing = setTimeout(flush, WRITE_AFTER_MS);
}

function flush() {
  clearTimeout(writing);
  if (!waiting) return;
  const { address, state, another } = waiting;
  waiting = null;
  history[another ? "pushState" : "replaceState"](state, "", address);
}

/** Forget what waits: somebody went elsewhere in the history. */
export function drop() {
  clearTimeout(writing);
  waiting = null;
}

addEventListener("pagehide", flush);

/** Return the address for somebody else: without the photo, which only this browser has. */
export function shared() {
  flush();
  return location.href.split(PHOTO)[0];
}
