/** What this browser remembers: the last photos with what was answered, and some settings. */

const NAME = "deepmersion";
const STORE = "seen";
const VERSION = 1;

/** Photos remembered, of some 300 KB each. */
const MOST = 12;

/**
 * @typedef {object} Seen A photo and what was answered for it.
 * @property {string} id
 * @property {Blob} photo
 * @property {object} record - As `POST /api/match` answers.
 * @property {import("./server.js").Wanted} wanted - What counted.
 * @property {number} at - When, in milliseconds.
 */

let opening;

/** @returns {Promise<IDBDatabase>} */
function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" }).createIndex("at", "at");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

/** @param {IDBRequest} request */
const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** Do something with what is remembered; null where the browser remembers nothing, as in a private window. */
async function attempt(mode, action) {
  try {
    return await action((await open()).transaction(STORE, mode).objectStore(STORE));
  } catch {
    return null;
  }
}

/** @param {Seen} seen */
export const remember = (seen) => attempt("readwrite", async (store) => {
  await done(store.put(seen));
  const oldest = await done(store.index("at").getAllKeys());
  for (const id of oldest.slice(0, -MOST)) store.delete(id);
});

/** @returns {Promise<Seen | null | undefined>} */
export const recall = (id) => attempt("readonly", (store) => done(store.get(id)));

export const forget = (id) => attempt("readwrite", (store) => done(store.delete(id)));

export const forgetAll = () => attempt("readwrite", (store) => done(store.clear()));

/**
 * Return what was kept of a setting, or null.
 * @param {string} name
 */
export function setting(name) {
  try {
    return localStorage.getItem(`${NAME} ${name}`);
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @param {string} value
 */
export function keepSetting(name, value) {
  try {
    localStorage.setItem(`${NAME} ${name}`, value);
  } catch {
    // It is as ever the next time.
  }
}
