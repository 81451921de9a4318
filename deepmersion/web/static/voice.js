/** One sound of the mix: it begins with what is decoded first, and goes on with the whole. */
import { Fade } from "./fade.js";

/** Seconds ahead of the clock at which something can still be scheduled exactly. */
const AHEAD_S = 0.06;

/** Seconds in which the whole takes over: both play the same samples, so nothing is heard of it. */
const HANDOVER_S = 0.02;

export class Voice {
  /**
   * @param {BaseAudioContext} context
   * @param {{buffer: AudioBuffer, levelDb: number, whole: Promise<AudioBuffer> | null}} sound
   * @param {AudioNode} to
   */
  constructor(context, { buffer, levelDb, whole }, to) {
    this.context = context;
    this.level = 10 ** (levelDb / 20);
    this.fade = new Fade(context, 0);
    this.fade.node.connect(to);
    this.begin = context.currentTime + AHEAD_S + (context.baseLatency ?? 0);
    this.playing = this.source(buffer, 1, whole === null);
    this.playing.source.start(this.begin);
    /** When the whole plays. */
    this.whole = whole?.then((rest) => this.goOn(rest));
  }

  source(buffer, gain, loop) {
    const source = new AudioBufferSourceNode(this.context, { buffer, loop });
    const share = new GainNode(this.context, { gain });
    source.connect(share).connect(this.fade.node);
    return { source, share };
  }

  /** Let the whole sound take over from its beginning, at the very sample where that is. */
  goOn(buffer) {
    if (this.ended) return;
    const { sampleRate } = buffer;
    const earliest = Math.max(this.begin, this.context.currentTime + AHEAD_S);
    const at = Math.ceil((earliest - this.begin) * sampleRate) / sampleRate;
    const first = this.playing;
    const next = (this.playing = this.source(buffer, 0, true));
    next.source.start(this.begin + at, at % buffer.duration);
    for (const [share, from, to] of [[first.share, 1, 0], [next.share, 0, 1]]) {
      share.gain.setValueAtTime(from, this.begin + at);
      share.gain.linearRampToValueAtTime(to, this.begin + at + HANDOVER_S);
    }
    first.source.stop(this.begin + at + HANDOVER_S);
  }

  end() {
    this.ended = true;
    this.playing.source.stop();
    this.fade.node.disconnect();
  }
}
