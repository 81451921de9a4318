/**
 * One audio graph: sounds without end, each with its gain, then what all share.
 *
 *   voice ─┐
 *   voice ─┼─> gate (play) ─> timer ─> volume ─> limiter ─> mute ─> meter ─> speakers
 *   voice ─┘
 */
import { Fade } from "./fade.js";
import { Voice } from "./voice.js";

/** Seconds of the crossfade from one mix to the next. */
export const CROSSFADE_S = 2;

/** Seconds for a slider's move: long enough not to click, short enough to follow the hand. */
const TOUCH_S = 0.12;

const PAUSE_S = 0.4;
const MUTE_S = 0.05;

/** Seconds by which a turn of `alternate` may be early or late before it is put right. */
const MAX_DRIFT_S = 1;

/** Where the limiter begins, in dB. Mixes lie at -27 LUFS, so only a raised volume reaches it. */
const LIMIT_DB = -3;
const LIMIT_RATIO = 20;

/**
 * How much louder than the common loudness a mix may become, in dB: four sounds at 1 instead of
 * one. What goes beyond it makes all of the mix softer.
 */
export const MOST_OVER_DB = 6;

/** @param {number} db */
const linear = (db) => 10 ** (db / 20);

export class Player extends EventTarget {
  /**
   * @param {BaseAudioContext} context
   * @param {import("./bank.js").Bank} bank
   * @param {{ebb?: number, random?: () => number}} [drawn] - See `Voice`.
   */
  constructor(context, bank, drawn = {}) {
    super();
    this.drawn = drawn;
    this.context = context;
    this.bank = bank;
    this.playing = false;
    this.muted = false;
    /** @type {import("./mix.js").Mix} */
    this.mix = new Map();
    /** @type {Set<string>} Sounds of the mix that are not to be heard. */
    this.mutedSounds = new Set();
    /**
     * A sound's gain is its level in the mix times this. At 1, a sound at level 1 has the common
     * loudness by itself, which holds until a mix is chosen with `rebase`.
     */
    this.trim = 1;
    /** @type {Map<string, Voice>} */
    this.voices = new Map();
    this.samples = new Float32Array(2048);
    this.gate = new Fade(context, 0);
    this.timer = new Fade(context, 1);
    this.volume = new GainNode(context);
    this.silencer = new Fade(context, 1);
    this.meter = new AnalyserNode(context, { fftSize: this.samples.length });
    const limiter = new DynamicsCompressorNode(context, {
      threshold: LIMIT_DB, ratio: LIMIT_RATIO, knee: 0, attack: 0.002, release: 0.2,
    });
    // The node makes up for what it takes from full scale, to the power of 0.6 (Web Audio API,
    // section 1.19.6), which would make all louder: here it is taken back.
    const makeUp = new GainNode(context, { gain: linear(0.6 * LIMIT_DB * (1 - 1 / LIMIT_RATIO)) });
    const path = [this.gate.node, this.timer.node, this.volume, limiter, makeUp, this.silencer.node, this.meter];
    [...path, context.destination].reduce((from, to) => from.connect(to));
  }

  /**
   * Go over to another mix. Resolves when it plays.
   *
   * Levels are absolute: a sound at 0.1 is 20 dB softer than at 1, whatever else plays.
   * @param {import("./mix.js").Mix} mix
   * @param {object} [how]
   * @param {boolean} [how.touched] - Whether a hand is on a slider, which wants to hear it at once.
   * @param {boolean} [how.rebase] - Whether this mix is to have the common loudness, with all of
   *   its sounds heard. Mixes that follow are as much louder or softer as their levels say.
   */
  setMix(mix, { touched = false, rebase = false } = {}) {
    this.mix = new Map([...mix].filter(([, level]) => level > 0));
    if (rebase) {
      this.mutedSounds.clear();
      if (this.mix.size) this.trim = 1 / this.amplitude();
    }
    return this.hear(touched);
  }

  /**
   * Leave a sound out of what is heard, or let it be heard again, until a mix is chosen with
   * `rebase`. The others stay as loud as they are.
   * @param {string} name
   * @param {boolean} muted
   */
  muteSound(name, muted) {
    if (muted) this.mutedSounds.add(name);
    else this.mutedSounds.delete(name);
    return this.hear(true);
  }

  /** Let the mix be heard as it is now. */
  async hear(touched) {
    const wanted = (this.wanted = this.gains());
    this.bank.touch(this.mix.keys());
    this.letGo();
    const loading = [...wanted.keys()].map((name) => this.voice(name, wanted));
    // Where nothing plays yet, each sound begins as soon as it is there.
    if (![...this.voices.values()].some(({ fade }) => fade.target > 0)) {
      await Promise.all(loading.map(async (voice) => { await voice; this.fadeTo(wanted, touched); }));
    } else {
      await Promise.all(loading);
      this.fadeTo(wanted, touched);
    }
  }

  /** Return the mix's RMS beside that of one sound at 1: powers of different sounds add up. */
  amplitude() {
    const { sounds } = this.bank;
    return Math.hypot(...[...this.mix].map(([name, level]) => level * linear(sounds.get(name).gain_db)));
  }

  /**
   * Return the gains of the sounds that are to be heard.
   * @returns {Map<string, number>}
   */
  gains() {
    const trim = Math.min(this.trim, linear(MOST_OVER_DB) / this.amplitude());
    const heard = [...this.mix].filter(([name]) => !this.mutedSounds.has(name));
    return new Map(heard.map(([name, level]) => [name, level * trim]));
  }

  /** Let the bank forget what neither plays nor is about to. */
  letGo() {
    this.bank.keep(new Set([...this.mix.keys(), ...this.voices.keys()]));
  }

  /** Begin to play a sound, silent as yet, unless it plays already. */
  async voice(name, wanted) {
    if (this.voices.has(name)) return;
    const begun = await this.bank.begin(name);
    if (this.wanted !== wanted || this.voices.has(name)) {
      begun.whole?.catch(() => {}); // nobody waits for it any more
      return;
    }
    const voice = new Voice(this.context, begun, this.gate.node, this.drawn);
    this.voices.set(name, voice);
    voice.whole?.catch((error) => {
      // Its beginning does not last: it has to be begun anew, when it is wanted the next time.
      if (this.voices.get(name) === voice) this.voices.delete(name);
      voice.fade.to(0, PAUSE_S, () => voice.end());
      this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
    });
  }

  fadeTo(wanted, touched) {
    if (this.wanted !== wanted) return;
    for (const [name, voice] of this.voices) {
      voice.fade.to((wanted.get(name) ?? 0) * voice.level, touched ? TOUCH_S : CROSSFADE_S, () => {
        if (voice.fade.target > 0) return;
        voice.end();
        if (this.voices.get(name) === voice) this.voices.delete(name);
        this.letGo();
      });
    }
    if (wanted.size) performance.mark("sound");
  }

  /** Play, or as soon as the browser allows it. */
  play() {
    if (!this.playing) this.fadeIn(CROSSFADE_S);
    this.playing = true;
    // Until somebody has touched the page, browsers leave this promise open.
    this.context.resume().then(() => this.changed());
    this.changed();
  }

  /** The gate takes over what a timer left, so that another one can begin at once. */
  fadeIn(seconds) {
    const { currentTime } = this.context;
    this.gate.set(this.gate.at(currentTime) * this.timer.at(currentTime));
    this.timer.set(1);
    this.gate.to(1, seconds);
  }

  /** Whether sound leaves the page: wanted, and allowed by the browser. */
  get heard() {
    return this.playing && this.context.state === "running";
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.gate.to(0, PAUSE_S, () => { if (!this.playing) this.context.suspend(); });
    this.changed();
  }

  /**
   * Fade out so that the sound ends in some seconds, whether or not it is fading in just now.
   * @param {number} seconds
   * @param {number} fadeS - Of these.
   */
  endIn(seconds, fadeS) {
    this.timer.to(0, fadeS, () => this.pause(), seconds - fadeS);
  }

  /**
   * Be silent or not, and the other way round in some seconds. Call it repeatedly: it corrects what a
   * context that was suspended meanwhile has missed, and leaves a fade in progress alone.
   * @param {boolean} silent
   * @param {number} seconds
   * @param {number} fadeS
   */
  alternate(silent, seconds, fadeS) {
    const { currentTime } = this.context;
    const { start, target, seconds: lasts } = this.timer;
    const gain = silent ? 0 : 1;
    if (start <= currentTime && currentTime < start + lasts) return; // fading
    if (Math.abs(this.timer.at(currentTime) - gain) > 0.001) {
      this.timer.to(gain, fadeS);
    } else if (target === gain || Math.abs(start - currentTime - seconds) > MAX_DRIFT_S) {
      this.timer.to(1 - gain, fadeS, undefined, seconds);
    }
  }

  /** Take back what `endIn` or `alternate` began. */
  goOn() {
    if (this.playing) this.fadeIn(PAUSE_S);
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.muted = muted;
    this.silencer.to(muted ? 0 : 1, MUTE_S);
    this.changed();
  }

  /** @param {number} db */
  setVolume(db) {
    this.volume.gain.setTargetAtTime(linear(db), this.context.currentTime, TOUCH_S / 3);
  }

  /** Return the level that leaves for the speakers just now: its RMS, of full scale 1. */
  level() {
    // A suspended meter still holds what it heard last.
    if (this.context.state !== "running") return 0;
    this.meter.getFloatTimeDomainData(this.samples);
    let power = 0;
    for (const sample of this.samples) power += sample * sample;
    return Math.sqrt(power / this.samples.length);
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
