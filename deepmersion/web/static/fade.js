/** A gain that goes smoothly from wherever it is to another, with equal power. */

const N_POINTS = 65;

export class Fade {
  /**
   * @param {BaseAudioContext} context
   * @param {number} gain
   */
  constructor(context, gain) {
    this.context = context;
    this.node = new GainNode(context, { gain });
    this.from = this.target = gain;
    this.start = this.seconds = 0;
  }

  /**
   * Return the gain at a time of the context.
   * Powers are what is interpolated: different sounds are uncorrelated.
   */
  at(time) {
    const share = this.seconds ? Math.min(Math.max((time - this.start) / this.seconds, 0), 1) : 1;
    return Math.sqrt(this.from ** 2 + (this.target ** 2 - this.from ** 2) * share);
  }

  /** Be at a gain at once. */
  set(gain) {
    Object.assign(this, { from: gain, target: gain, seconds: 0 });
    this.node.gain.cancelScheduledValues(0);
    this.node.gain.setValueAtTime(gain, this.context.currentTime);
    clearTimeout(this.waiting);
  }

  /**
   * Go to another gain.
   * @param {number} target
   * @param {number} seconds
   * @param {() => void} [done] - Called when it is there, unless it was sent elsewhere meanwhile.
   * @param {number} wait - Seconds before it begins.
   */
  to(target, seconds, done, wait = 0) {
    const now = this.context.currentTime;
    const from = this.at(now);
    Object.assign(this, { from, target, seconds, start: now + wait });
    const { gain } = this.node;
    gain.cancelScheduledValues(0);
    gain.setValueAtTime(from, now);
    if (wait) gain.setValueAtTime(from, this.start);
    // No curve: Firefox lets nothing else be scheduled until a curve has ended.
    for (let i = 1; i < N_POINTS; i++) {
      const time = this.start + (seconds * i) / (N_POINTS - 1);
      gain.linearRampToValueAtTime(this.at(time), time);
    }
    clearTimeout(this.waiting);
    if (done) this.waiting = setTimeout(() => this.check(done), 1000 * (wait + seconds));
  }

  /** A context that is suspended meanwhile has its own time. */
  check(done) {
    const left = this.start + this.seconds - this.context.currentTime;
    if (left <= 0) done();
    else this.waiting = setTimeout(() => this.check(done), Math.max(1000 * left, 20));
  }
}
