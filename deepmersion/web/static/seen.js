/** What is seen in the photo, and why the mix was chosen, in bars, words and a table. */
const $ = (id) => document.getElementById(id);

/** As many together as objects, so that the two columns are of one height. */
const N_SCENES = 3;
const N_CONDITIONS = 2;

/** Classes of each label set in the table of reasons. */
const N_ROWS = 3;

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

/** Return a class's name as a person reads it: `temple/east_asia` is `temple (east asia)`. */
export function plain(label) {
  const [head, ...rest] = label.replaceAll("_", " ").split("/");
  return rest.length ? `${head} (${rest.join(", ")})` : head;
}

function bar({ label, p }) {
  const percent = Math.round(100 * p);
  const filled = element("i");
  filled.style.width = `${100 * p}%`;
  return element(
    "li", {},
    element("span", { className: "name", title: plain(label) }, plain(label)),
    element("span", { className: "share" }, percent < 1 ? "< 1 %" : `${percent} %`),
    element("span", { className: "bar", ariaHidden: "true" }, filled),
  );
}

/** Show what is seen, as `POST /api/match` answers. */
export function showSeen(record) {
  $("scenes").replaceChildren(...record.scenes.slice(0, N_SCENES).map(bar));
  $("conditions").replaceChildren(...record.conditions.slice(0, N_CONDITIONS).map(bar));
  $("objects").replaceChildren(...record.objects.map(bar));
  const [scene] = record.scenes;
  $("photo").ariaLabel = `Your photo: ${plain(scene.label)}, ${Math.round(100 * scene.p)} %`;
}

/** Return in a sentence why the loudest sound was chosen; `showReasons` has the others'. */
export function because(record, chatter) {
  if (chatter) return "Every sound, as loud as it fits by itself.";
  return record.why ? `${record.why[0]}.` : "";
}

/** Show the classes that decided. */
export function showReasons(record, chatter) {
  const found = record.explanation;
  $("reasons-intro").textContent = found
    ? `${record.why.slice(1).map((sentence) => `${sentence}. `).join("")}What decided against the runner-up, in nats: what SoundNet hears, what is known of the ${chatter ? "first sound" : "sounds"}, and in all.`
    : "";
  const head = ["", "Photo", "Heard", "Known", "Nats"].map((text) => element("th", { scope: "col" }, text));
  const rows = found ? Object.values(found.contributions).flatMap((some) => some.slice(0, N_ROWS)) : [];
  const shown = rows.map(({ label, photo, heard, known, nats }) => element(
    "tr", {},
    element("td", {}, plain(label)),
    element("td", {}, photo.toFixed(2)),
    ...[heard, known, nats].map((n) => element("td", {}, (n < 0 ? "−" : "+") + Math.abs(n).toFixed(2))),
  ));
  $("reasons").replaceChildren(...(found ? [element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...shown)] : []));
}
