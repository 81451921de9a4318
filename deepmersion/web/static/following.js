/** What the live camera sees plays, unless something else was chosen by hand: then it is asked about. */
import { toText } from "./mix.js";
import { ask } from "./question.js";

/** @typedef {import("./moment.js").Moment} Moment */

/** The mix of the camera's that was declined last, as text. */
let declined = null;

/**
 * Return how what plays goes on beside the camera's next photo.
 * @param {Moment} now
 * @param {Moment | null} was - What the photo before asked for.
 * @param {Moment} wish - What the next one asks for.
 * @returns {{goesOn: Moment | null, asks: boolean}} Null where the wish is to play, and whether to
 *   ask about it where something else was chosen by hand.
 */
export function beside(now, was, wish) {
  const same = was !== null && toText(was.mix) === toText(wish.mix);
  const byPhoto = now.origin === "address" || (was?.origin === now.origin && was.chosen === now.chosen);
  if (byPhoto) return { goesOn: same ? wish : null, asks: false };
  const origin = now.origin === "match" ? "hand" : now.origin;
  return { goesOn: { ...now, seen: wish.seen, chosen: -1, origin }, asks: !same };
}

/**
 * Ask whether what the camera would have is to play, unless it was declined just before.
 * @param {import("./mix.js").Mix} mix
 * @param {string} words - What it is called.
 * @returns {Promise<boolean>}
 */
export async function wanted(mix, words) {
  const text = toText(mix);
  if (text === declined) return false;
  const called = words[0].toLowerCase() + words.slice(1);
  const answer = await ask(`The camera sees something else: ${called}.`, "Play that", "Keep mine");
  if (answer === false) declined = text;
  return answer === true;
}
