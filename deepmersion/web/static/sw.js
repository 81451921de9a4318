/**
 * The service worker: without the server, the page opens as it was seen last, and every sound that
 * was heard plays. The server puts VERSION and SHELL before this script (deepmersion/web/worker.py).
 *
 *   the page's own files      the server; without it, those of VERSION
 *   what else is asked by GET the server; without it, what it answered last
 *   sounds                    what is kept; else the server, once for each version
 *   all else                  the server alone
 */

/** The page's own files, of one version. */
const PAGE = `page-${VERSION}`;

/** What the server answered last. */
const ANSWERS = "answers";

/** Asked for at once, for the page has asked before this script was there. */
const FIRST_ANSWERS = ["api/sounds", "api/places"];

const SOUNDS = "sounds";

/** Bytes of sounds that are kept; then the ones heard first go. All the shipped sounds have 20 MB. */
const MOST_SOUND_BYTES = 128 * 2 ** 20;

/** Files that are made for a client once, and too large to keep. */
const NEVER_KEPT = /^api\/(mix|places\/export)$/;

addEventListener("install", (event) => {
  skipWaiting();
  // A photo need not wait until this script runs; browsers without routes wait.
  event.addRoutes?.({ condition: { requestMethod: "POST" }, source: "network" });
  event.waitUntil(install());
});

addEventListener("activate", (event) => event.waitUntil(activate()));

addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  const path = pathOf(url);
  if (method !== "GET" || path === null || NEVER_KEPT.test(path)) return;
  event.respondWith(/^(sounds|loops)\//.test(path) ? sound(event) : latest(event, path));
});

/** Return an address's path in the page's own folder, or null. */
function pathOf(url) {
  const { href } = new URL("./", location);
  return url.startsWith(href) ? url.slice(href.length).split(/[?#]/)[0] : null;
}

async function install() {
  const page = await caches.open(PAGE);
  await page.addAll(SHELL);
  const answers = await caches.open(ANSWERS);
  await Promise.allSettled(FIRST_ANSWERS.map((path) => answers.add(path)));
}

async function activate() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith("page-") && name !== PAGE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await clients.claim();
}

/** Answer as the server does; without it, as it did the last time. */
async function latest(event, path) {
  const { request } = event;
  let answer;
  try {
    answer = await fetch(request);
  } catch (error) {
    const kept = await caches.match(path === "" ? "./" : request);
    if (kept) return kept;
    throw error;
  }
  const own = path === "" || path.startsWith("static/");
  if (answer.status === 200 && !own) event.waitUntil(remember(path, request, answer.clone()));
  return answer;
}

async function remember(path, request, answer) {
  const cache = await caches.open(ANSWERS);
  if (path === "api/places") await forgetPlaces(cache, await answer.clone().text());
  await cache.put(request, answer);
}

/** Let go of the thumbnails of places that are no longer listed. */
async function forgetPlaces(cache, listed) {
  for (const { url } of await cache.keys()) {
    const path = pathOf(url);
    if (path.startsWith("api/places/") && !listed.includes(path)) await cache.delete(url);
  }
}

/** Answer with a sound, or a part of it. */
async function sound(event) {
  const { request } = event;
  // At once: looking into what is kept takes as long as a server nearby.
  const unneeded = new AbortController();
  const asked = fetch(request, { signal: unneeded.signal });
  asked.catch(() => {});
  const cache = await caches.open(SOUNDS);
  const kept = await cache.match(request.url);
  if (kept) {
    unneeded.abort();
    return part(kept, request.headers.get("Range"));
  }
  const answer = await asked;
  if (answer.status === 200) event.waitUntil(keep(cache, request.url, answer.clone()));
  return answer;
}

async function part(answer, range) {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  if (from === undefined) return answer;
  const all = await answer.blob();
  const first = Number(from);
  const end = Math.min(to ? Number(to) + 1 : all.size, all.size);
  const headers = { "Content-Type": all.type, "Content-Range": `bytes ${first}-${end - 1}/${all.size}` };
  return new Response(all.slice(first, end, all.type), { status: 206, headers });
}

/** Keep a sound in place of its earlier version, as long as there is room. */
async function keep(cache, url, answer) {
  for (const earlier of await cache.keys(url, { ignoreSearch: true })) await cache.delete(earlier);
  await cache.put(url, answer);
  const sounds = await cache.keys();
  const lengths = await Promise.all(sounds.map(async (request) =>
    Number((await cache.match(request)).headers.get("Content-Length"))));
  let total = lengths.reduce((sum, bytes) => sum + bytes, 0);
  for (let i = 0; total > MOST_SOUND_BYTES && i < sounds.length - 1; i++) {
    await cache.delete(sounds[i]);
    total -= lengths[i];
  }
}
