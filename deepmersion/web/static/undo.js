/** The mixes that played, to go back and forth in. */

/** Moves of one slider within this time are taken back together. */
const ONE_MOVE_MS = 1500;

/** More than anybody takes back. */
const MOST = 100;

/** @template T */
export class Undo extends EventTarget {
  /** @type {T[]} */ past = [];
  /** @type {T[]} */ future = [];
  last = { move: null, at: 0 };

  /**
   * Remember what is left.
   * @param {T} before
   * @param {string | null} move - The slider that moves, if one does.
   */
  leave(before, move = null) {
    const at = performance.now();
    const goesOn = move !== null && move === this.last.move && at - this.last.at < ONE_MOVE_MS;
    this.last = { move, at };
    if (goesOn) return;
    this.past = [...this.past, before].slice(-MOST);
    this.future = [];
    this.dispatchEvent(new Event("change"));
  }

  /**
   * @param {T} now
   * @returns {T | undefined} What was before.
   */
  back(now) {
    return this.#go(this.past, this.future, now);
  }

  /**
   * @param {T} now
   * @returns {T | undefined} What was taken back.
   */
  forth(now) {
    return this.#go(this.future, this.past, now);
  }

  #go(from, to, now) {
    if (!from.length) return undefined;
    this.last = { move: null, at: 0 };
    to.push(now);
    const found = from.pop();
    this.dispatchEvent(new Event("change"));
    return found;
  }
}
