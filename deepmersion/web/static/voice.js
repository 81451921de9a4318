/**
 * One sound of the mix: it begins with what is decoded first, and goes on with stretches of the
 * whole, scheduled far ahead.
 *
 *   stretch ─> share ─┐
 *   stretch ─> share ─┼─> ebb ─> fade ─> the mix
 *   stretch ─> share ─┘
 */
import { release } from "./bank.js";
import { EBB, Ebb, STEP_S } from "./ebb.js";
import { Fade } from "./fade.js";
import { SHORTEST_S, Stretches } from "./stretches.js";

/** Seconds beyond the browser's buffer at which something can still be scheduled exactly. */
const SOON_S = 0.06;

/**
 * Seconds that are scheduled at least. A page in the background is woken once a minute if at all;
 * the end of a stretch wakes it too.
 */
export const AHEAD_S = 90;

/** Seconds in which the whole takes over: both play the same samples, so nothing is heard of it. */
const HANDOVER_S = 0.02;

const N_POINTS = 65;

/** Equal powers make a level join, for stretches from different places are uncorrelated. */
const RISE = Float32Array.from({ length: N_POINTS }, (_, i) => Math.sin((i / (N_POINTS - 1)) * (Math.PI / 2)));
const FALL = RISE.slice().reverse();

export class Voice {
  /**
   * @param {BaseAudioContext} context
   * @param {{buffer: AudioBuffer, levelDb: number, cuts?: [number, number][],
   *   whole: Promise<{buffer: AudioBuffer, cuts: [number, number][]}> | null}} sound
   * @param {AudioNode} to
   * @param {{ebb?: number, random?: () => number}} [options]
   */
  constructor(context, { buffer, levelDb, cuts, whole }, to, { ebb = EBB, random = Math.random } = {}) {
    this.context = context;
    this.random = random;
    this.level = 10 ** (levelDb / 20);
    this.fade = new Fade(context, 0);
    this.fade.node.connect(to);
    this.sources = new Set();
    this.begin = this.soon();
    this.ebb = new Ebb(ebb, random);
    this.swell = new GainNode(context, { gain: this.ebb.next() });
    this.swell.connect(this.fade.node);
    this.swellsUntil = this.begin;
    this.swell.gain.setValueAtTime(this.swell.gain.value, this.begin);
    if (whole === null) {
      this.chain(buffer, cuts ?? [], this.begin);
    } else {
      this.head = this.source(buffer, this.begin, 0);
    }
    /** When the whole plays. */
    this.whole = whole?.then((rest) => this.goOn(rest));
  }

  /** Return the time of a sample that is not yet on its way to the speakers. */
  soon() {
    return this.exact(this.context.currentTime + SOON_S + (this.context.baseLatency ?? 0));
  }

  /** Return the time of the sample that is next to a time: between samples, sound is interpolated. */
  exact(time) {
    return Math.ceil(time * this.context.sampleRate) / this.context.sampleRate;
  }

  /** Begin to play a buffer, from an offset, round and round until it is stopped. */
  source(buffer, when, offset, gain = 1) {
    const source = new AudioBufferSourceNode(this.context, { buffer, loop: this.stretches !== undefined });
    const share = new GainNode(this.context, { gain });
    source.connect(share).connect(this.swell);
    source.start(when, offset);
    this.sources.add(source);
    source.addEventListener("ended", () => {
      this.sources.delete(source);
      share.disconnect();
      source.buffer = null;
      this.schedule();
    });
    return { source, share };
  }

  /** Let the whole sound take over from its beginning, at the very sample where that is. */
  goOn({ buffer, cuts }) {
    if (this.ended) return;
    const at = Math.max(this.begin, this.soon());
    const { source, share } = this.head;
    const head = source.buffer;
    this.chain(buffer, cuts, at, (at - this.begin) % buffer.duration);
    for (const [{ gain }, from, to] of [[share, 1, 0], [this.last.share, 0, 1]]) {
      gain.setValueAtTime(from, at);
      gain.linearRampToValueAtTime(to, at + HANDOVER_S);
    }
    source.stop(at + HANDOVER_S);
    source.addEventListener("ended", () => release(head));
    this.head = null;
    this.schedule();
  }

  /** Begin to play stretches, the first of them from an offset; or a short sound, round and round. */
  chain(buffer, cuts, when, offset) {
    this.buffer = buffer;
    const short = buffer.duration < SHORTEST_S;
    this.stretches = new Stretches(buffer.duration, cuts, this.random);
    const first = short ? null : this.stretches.next(offset);
    const place = offset ?? first?.begin.at ?? 0;
    this.last = this.source(buffer, when, this.onSample(place), offset === undefined ? 1 : 0);
    this.freeAt = when + HANDOVER_S;
    this.joinAt = short ? Infinity : when + first.end.at - first.begin.at;
    this.leaving = first?.end;
    if (offset === undefined) this.schedule();
  }

  onSample(place) {
    const { length, sampleRate } = this.buffer;
    return (Math.round(place * sampleRate) % length) / sampleRate;
  }

  /** Schedule stretch after stretch, and the course of the level, as far ahead as is wanted. */
  schedule() {
    if (this.ended || !this.buffer) return;
    const until = this.context.currentTime + AHEAD_S;
    while (this.joinAt < until) this.join(this.stretches.next());
    for (; this.swellsUntil < until; this.swellsUntil += STEP_S) {
      this.swell.gain.linearRampToValueAtTime(this.ebb.next(), this.swellsUntil + STEP_S);
    }
  }

  /** Let the next stretch take over from the last. */
  join({ begin, end }) {
    const half = Math.min(this.leaving.room, begin.room);
    const start = this.exact(Math.max(this.joinAt - half, this.freeAt));
    const { source, share } = this.last;
    const place = this.stretches.between(half, begin.at);
    this.last = this.source(this.buffer, start, this.onSample(place), 0);
    share.gain.setValueCurveAtTime(FALL, start, 2 * half);
    this.last.share.gain.setValueCurveAtTime(RISE, start, 2 * half);
    this.freeAt = start + 2 * half;
    source.stop(this.freeAt);
    this.joinAt = start + half + end.at - begin.at;
    this.leaving = end;
  }

  end() {
    this.ended = true;
    for (const source of this.sources) source.stop();
    this.fade.node.disconnect();
  }
}
