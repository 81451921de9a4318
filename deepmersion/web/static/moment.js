/** What is shown and what sounds at one time; Undo, Back and Reload bring it back whole. */
import { because } from "./reasons.js";

/**
 * @typedef {object} Moment
 * @property {import("./store.js").Seen | null} seen - The photo, and what was answered for it.
 * @property {import("./mix.js").Mix} mix
 * @property {"nothing" | "match" | "place" | "hand" | "random" | "address" |
 *   "before"} origin - Of the mix.
 * @property {number} chosen - Which of the record's mixes it is, or -1.
 * @property {import("./server.js").Place | null} place - The kept place that this is about.
 * @property {number} [trim] - See `Player.trim`; a mix without one gets the common loudness.
 */

/** @type {Moment} */
export const NOTHING = { seen: null, mix: new Map(), origin: "nothing", chosen: -1, place: null };

/** What the page's history keeps of a moment; the address has the mix, and this browser the photo. */
export const inHistory = ({ origin, chosen, place, trim }) => ({ origin, chosen, place, trim });

/** @returns {import("./mix.js").Mix} */
export const mixOf = (match) => new Map(Object.entries(match.sounds));

/**
 * Return the moment in which one of the answered mixes plays.
 * @param {import("./store.js").Seen} seen
 * @param {number} rank - From 0.
 * @param {import("./server.js").Place | null} place - That the photo shows.
 * @returns {Moment}
 */
export function matched(seen, rank, place = null) {
  return { seen, mix: mixOf(seen.record.matches[rank]), origin: "match", chosen: rank, place };
}

/**
 * Return in a sentence why this plays.
 * @param {Moment} moment
 */
export function why({ seen, origin, chosen, place }) {
  const about = place && origin !== "place" ? ` Your place: ${place.name}.` : "";
  const problem = seen?.record.place_problem;
  const anew = problem ? ` Your place ${problem}; matched anew.` : "";
  switch (origin) {
    case "match": return because(seen.record, chosen, seen.wanted.chatter !== null) + about + anew;
    case "place": return `Your place: ${place.name}.`;
    case "hand": return `Set by hand.${about}`;
    case "random": return `Drawn at random.${about}`;
    case "before": return "Plays on: the sounds for this photo could not be loaded.";
    case "address": return `The mix in this page’s address.${seen ? "" : " Add a photo to see what else fits."}`;
    default: return "";
  }
}
