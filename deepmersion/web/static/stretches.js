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
 * @typedef {{at: number, room: number}} Cut - The middle of a join, beyond the sound's length in a
 *   further round, and the seconds to either side that it may take.
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
    const long = anywhere ? [] : spans.filter(([from, to]) => to - from >= SHORTEST_CUT_S);
    /** Of each span its ends, and between which moments the middle of a join may lie. */
    this.spans = long.map(([from, to]) => {
      const margin = Math.min(JOIN_S / 2, MARGIN_SHARE * (to - from));
      return [from, to, from + margin, to - margin];
    });
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
      begin.at %= this.seconds;
      const end = this.cut(begin.at + length);
      const rested = this.rested(begin.at, end.at - begin.at);
      if (rested > longest) [longest, chosen] = [rested, { begin, end }];
      if (rested >= REST_SHARE * this.seconds) break;
    }
    const length = chosen.end.at - chosen.begin.at;
    this.clock += length;
    this.recent.push({ at: chosen.begin.at, length, until: this.clock });
    this.recent = this.recent.filter(({ until }) => until >= this.clock - REST_SHARE * this.seconds);
    return chosen;
  }

  /** Return the way from one place to another, round the loop. */
  between(from, to) {
    return (to - from + this.seconds) % this.seconds;
  }

  /**
   * Return how long ago a stretch was heard; below zero if it is too long. It is not where the spans
   * are so far apart that no shorter one begins there: what lies between them would never be heard.
   */
  rested(at, length) {
    if (length > MOST_S && this.firstFrom(at + this.least) - at <= MOST_S) return MOST_S - length;
    const heard = this.recent.filter(
      (other) => this.between(other.at, at) < other.length || this.between(at, other.at) < length);
    return Math.min(this.seconds, ...heard.map(({ until }) => this.clock - until));
  }

  /** Return a cut at a place, or else one in the first span after it. */
  cut(place) {
    if (!this.spans.length) return { at: place, room: JOIN_S / 2 };
    const [from, to, first, last] = this.spanFrom(place);
    const at = first <= place ? place : first + this.random() * (last - first);
    return { at, room: Math.min(JOIN_S / 2, at - from, to - at) };
  }

  /** Return the first moment from a place on at which a cut may lie. */
  firstFrom(place) {
    return this.spans.length ? Math.max(place, this.spanFrom(place)[2]) : place;
  }

  /** Return the first span in which a cut may lie at or after a place. */
  spanFrom(place) {
    const within = place % this.seconds;
    const later = this.spans.find(([, , , last]) => last > within);
    const round = place - within + (later ? 0 : this.seconds);
    return (later ?? this.spans[0]).map((second) => second + round);
  }
}
