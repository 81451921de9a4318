/** Why a mix was chosen: in a sentence, sound by sound, and in figures on request. */
import { $, element, soundIcon } from "./dom.js";
import { list } from "./mix.js";
import { percent, plain } from "./seen.js";

/** Readings named as reasons for a sound. */
const N_NAMED = 3;

/** Classes of each label set in the table. */
const N_ROWS = 3;

/** Mixes within this score of the first fit nearly as well. */
const NEAR_NATS = 1;

/** Return the readings that speak for a sound, each once: several witnesses may name the same. */
const readings = (reasons) => [...new Map(reasons.map((reason) => [reason.label, reason])).values()].slice(0, N_NAMED);

/** Return in a sentence why a sound was chosen. */
function sentence(reasons) {
  const found = readings(reasons);
  if (!found.length) return "It rounds the mix off.";
  return `The photo shows ${list(found.map(({ label, photo }) => `${plain(label)} (${percent(photo)})`))}.`;
}

/**
 * Return in a sentence why one of the mixes plays.
 * @param {object} record - As `POST /api/match` answers.
 * @param {number} rank - Of the mix, from 0.
 * @param {boolean} chatter
 */
export function because(record, rank, chatter) {
  if (chatter) return rank ? "Another that fits well." : "Every sound, as loud as it fits by itself.";
  if (rank) {
    const behind = record.matches[rank].score - record.matches[0].score;
    return behind < NEAR_NATS ? "Fits almost as well as the best match." : "Fits a little less well than the best match.";
  }
  const [first] = Object.values(record.explanation?.reasons ?? {});
  return first ? sentence(first) : "The best match for this photo.";
}

/** A button that shows where in the photo something is. */
function pointer(className, sound, label, ...children) {
  const button = element("button", { type: "button", className, ariaPressed: "false" }, ...children);
  button.dataset.map = sound;
  button.dataset.label = label;
  return button;
}

/** What speaks for a sound: the sound itself, and each reading, all of which can be pointed at. */
function why(name, title, reasons) {
  const found = readings(reasons).map(({ label, photo }) => element(
    "li", {}, pointer("reading", name, label, plain(label), element("span", { className: "share" }, percent(photo))),
  ));
  return element(
    "li", { className: "reason" },
    pointer("sound-reason", name, "", soundIcon(name), element("b", {}, title)),
    found.length ? element("ul", {}, ...found) : element("p", { className: "quiet" }, sentence(reasons)),
  );
}

/**
 * Show the reasons for each sound of the first mix, and the classes that decided.
 * @param {object} record
 * @param {Map<string, {title: string}>} sounds
 */
export function showReasons(record, sounds) {
  const found = record.explanation;
  const reasons = Object.entries(found?.reasons ?? {});
  $("reasons").replaceChildren(...reasons.map(([name, some]) => why(name, sounds.get(name)?.title ?? name, some)));
  $("reasons-intro").textContent = reasons.length
    ? "What the photo shows that speaks for each sound. Point at one to see where."
    : "Add a photo, and what speaks for each sound stands here.";
  $("figures").hidden = !found;
  $("figures-table").replaceChildren(...(found ? table(found) : []));
}

function table({ contributions }) {
  const head = ["Reading", "Photo", "Heard", "Known", "Nats"].map((text) => element("th", { scope: "col" }, text));
  const rows = Object.values(contributions).flatMap((some) => some.slice(0, N_ROWS));
  const shown = rows.map(({ label, photo, heard, known, nats }) => element(
    "tr", {},
    element("th", { scope: "row" }, plain(label)),
    element("td", {}, photo.toFixed(2)),
    ...[heard, known, nats].map((n) => element("td", {}, (n < 0 ? "−" : "+") + Math.abs(n).toFixed(2))),
  ));
  return [element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...shown)];
}
