/** Lets the page open without its server: see sw.js. */

/** What was fetched before the worker was there has to pass through it once. */
const SOUNDS = /^(sounds|loops|cuts)\//;

/** The page's own folder. */
const BASE = new URL("./", location).href;

const FIRST = "controllerchange";

function install() {
  const { serviceWorker } = navigator;
  if (!serviceWorker.controller) {
    serviceWorker.addEventListener(FIRST, () => {
      const urls = performance.getEntriesByType("resource").map(({ name }) => name);
      for (const url of new Set(urls.filter((url) => SOUNDS.test(url.replace(BASE, ""))))) fetch(url).catch(() => {});
    }, { once: true });
  }
  // Without a secure context there is none, and in some private windows it is refused.
  serviceWorker.register("sw.js").catch(() => {});
}

if (navigator.serviceWorker) {
  if (document.readyState === "complete") install();
  else addEventListener("load", install);
}
