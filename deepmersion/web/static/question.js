/** One quiet question at a time, where the answer matters; unanswered, it changes nothing. */
import { $ } from "./dom.js";

let withdraw = () => {};

/**
 * Ask, in place of the sentence below the heading.
 * @param {string} text
 * @param {string} yes
 * @param {string} no
 * @returns {Promise<boolean | null>} Null when the question was withdrawn.
 */
export function ask(text, yes, no) {
  withdraw();
  return new Promise((resolve) => {
    const answer = (given) => {
      const focused = $("question").contains(document.activeElement);
      $("question").hidden = true;
      $("why").hidden = false;
      withdraw = () => {};
      if (focused) $("play").focus();
      resolve(given);
    };
    withdraw = () => answer(null);
    $("question-text").textContent = text;
    $("question-yes").textContent = yes;
    $("question-no").textContent = no;
    $("question-yes").onclick = () => answer(true);
    $("question-no").onclick = () => answer(false);
    $("why").hidden = true;
    $("question").hidden = false;
    $("status").textContent = `${text} ${yes}, or ${no.toLowerCase()}.`;
  });
}

/** Take the question back: what it was about is gone. */
export const unask = () => withdraw();
