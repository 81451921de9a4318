/**
 * How a sound ebbs and swells: a slow, smooth random course of its level, as that of
 * deepmersion/sound/ebb.py: a cubic spline through differences of random numbers.
 */

/** How far a level goes up or down at most, at an ebb of 1. */
export const MOST_DB = 8;

/** The usual ebb. */
export const EBB = 0.3;

/** Seconds between the random numbers. */
export const KNOT_S = 15;

/** Seconds between the points that the gain goes through in straight lines. */
export const STEP_S = 0.5;

/** What the spline of differences of numbers from -1 to 1, halved, reaches at most. */
const HIGHEST = 2 / 3;

/** Return the weights of the last five random numbers, `f` of the way from a knot to the next. */
function weights(f) {
  const g = 1 - f;
  const knots = [g ** 3, 4 - 6 * f ** 2 + 3 * f ** 3, 1 + 3 * f + 3 * f ** 2 - 3 * f ** 3, f ** 3];
  const edged = [0, ...knots.map((weight) => weight / 6), 0];
  return edged.slice(1).map((weight, i) => (edged[i] - weight) / (2 * HIGHEST));
}

/** Return by how much such a course raises the mean power, in dB. */
function meanPowerDb(mostDb) {
  let power = 0;
  for (let i = 0; i < 32; i++) {
    const exponents = weights(i / 32).map((weight) => (mostDb * Math.LN10 * weight) / 10);
    power += exponents.reduce((product, a) => product * (Math.abs(a) < 1e-9 ? 1 : Math.sinh(a) / a), 1);
  }
  return 10 * Math.log10(power / 32);
}

export class Ebb {
  /**
   * @param {number} ebb - From 0 to 1.
   * @param {() => number} random - From 0 to 1.
   */
  constructor(ebb, random = Math.random) {
    this.mostDb = ebb * MOST_DB;
    this.meanDb = meanPowerDb(this.mostDb);
    this.draw = () => 2 * random() - 1;
    this.numbers = Array.from({ length: 5 }, this.draw);
    this.seconds = 0;
  }

  /**
   * Go on for a step, and return the gain there.
   * @returns {number}
   */
  next() {
    this.seconds += STEP_S;
    while (this.seconds >= KNOT_S) {
      this.seconds -= KNOT_S;
      this.numbers = [...this.numbers.slice(1), this.draw()];
    }
    const course = weights(this.seconds / KNOT_S).reduce((sum, weight, i) => sum + weight * this.numbers[i], 0);
    return 10 ** ((this.mostDb * course - this.meanDb) / 20);
  }
}
