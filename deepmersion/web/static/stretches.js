/**
 * A sound without end: stretches from places drawn at random, joined where nobody hears it.
 * The rules are those of deepmersion/sound/stretches.py; the draws are the page's own.
 */

/** Seconds: shorter stretches would be a patchwork, longer ones come round together. */
export const LEAST_S = 8;
export const MOST_S = 25;

/** Nor is a stretch longer than this share of its sound. */
export const MOST_SHARE = 0.25;

/** For this share of the sound's length, nothing of a stretch is heard again. */
export const REST_SHARE = 0.35;

/** A sound that is shorter is played round and round. */
export const SHORTEST_S = 20;

/** Length of a join, shorter where less is quiet. */
export const JOIN_S = 2;

/** A span that is shorter has no room for a join. */
export const SHORTEST_CUT_S = 0.3;

/** A join's middle keeps so far from the ends of a short span, as a share of it. */
export const MARGIN_SHARE = 0.25;

/** Stretches that are drawn until one has rested. */
export const N_TRIES = 40;

/**
 * @typedef {{at: number, room: number}} Cut - The middle of a join, and the seconds to either side
 *   that it may take.
 * @typedef {{begin: Cut, end: Cut}} Stretch
 */

export class Stretches {
  /**
   * @param {number} seconds - Length of the loop.
   * @param {[number, number][]} cuts - Spans in which it may be cut; none means anywhere.
   * @param {() => number} random - From 0 to 1.
   */
  constructor(seconds, cuts, random = Math.random) {
    this.seconds = seconds;
    this.random = random;
    const spans = cuts.map(([from, to]) => [from, Math.min(to, seconds)]);
    const anywhere = spans.some(([from, to]) => to - from > seconds - SHORTEST_CUT_S);
    this.spans = anywhere ? [] : spans.filter(([from, to]) => to - from >= SHORTEST_CUT_S);
    this.most = Math.min(MOST_S, MOST_SHARE * seconds);
    this.least = Math.min(LEAST_S, this.most / 2);
    this.recent = [];
    this.clock = 0;
  }

  /**
   * Draw the next stretch.
   * @param {number} [from] - Where it begins, if that is given.
   * @returns {Stretch}
   */
  next(from) {
    let chosen;
    let longest = -Infinity;
    for (let n = 0; n < N_TRIES; n++) {
      const begin = from === undefined ? this.cut(this.random() * this.seconds) : { at: from, room: 0 };
      const length = this.least + this.random() * (this.most - this.least);
      const end = this.cut((begin.at + length) % this.seconds);
      const rested = this.rested(begin.at, this.between(begin.at, end.at));
      if (rested > longest) [longest, chosen] = [rested, { begin, end }];
      if (rested >= REST_SHARE * this.seconds) break;
    }
    const length = this.between(chosen.begin.at, chosen.end.at);
    this.clock += length;
    this.recent.push({ at: chosen.begin.at, length, until: this.clock });
    this.recent = this.recent.filter(({ until }) => until >= this.clock - REST_SHARE * this.seconds);
    return chosen;
  }

  /** Return the way from one place to another, round the loop. */
  between(from, to) {
    return (to - from + this.seconds) % this.seconds;
  }

  /** Return how long ago a stretch was heard; below zero if it is too short or too long. */
  rested(at, length) {
    const off = Math.max(this.least - length, length - MOST_S, 0);
    if (off > 0) return -off;
    const heard = this.recent.filter(
      (other) => this.between(other.at, at) < other.length || this.between(at, other.at) < length);
    return Math.min(this.seconds, ...heard.map(({ until }) => this.clock - until));
  }

  /** Return the next cut from a place on. */
  cut(place) {
    const join = JOIN_S / 2;
    if (!this.spans.length) return { at: place, room: join };
    const [from, to] = this.spans.find(([, end]) => end > place) ?? this.spans[0];
    const margin = Math.min(join, MARGIN_SHARE * (to - from));
    const inside = place >= from + margin && place < to - margin;
    const at = inside ? place : from + margin + this.random() * (to - from - 2 * margin);
    return { at, room: Math.min(join, at - from, to - at) };
  }
}
