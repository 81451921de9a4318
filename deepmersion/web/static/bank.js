/** The sound bank: each sound is fetched and decoded when it is needed, and kept for a while. */
import { Trouble, bytes, cuts } from "./server.js";

/** What is decoded first: of the shipped sounds some nine seconds. */
const HEAD_BYTES = 128 * 1024;

/** A shorter beginning may end before the whole is there. */
const LEAST_HEAD_S = 3;

/**
 * Sounds that do not play but stay decoded, for who goes back to one of them. Each takes about
 * 40 MB, and is decoded anew in a second.
 */
export const N_SPARE = 4;

/**
 * Free a buffer's samples at once. Browsers do not count them when they decide whether to collect
 * what is no longer used, so that hundreds of megabytes would lie about; what is sent to a port that
 * is closed is gone.
 * @param {AudioBuffer} buffer - Is silent from now on.
 */
export function release(buffer) {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  port1.postMessage(null, Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i).buffer));
  port1.close();
}

export class Bank {
  /**
   * @param {BaseAudioContext} context
   * @param {{sounds: object[]}} listed - As `GET /api/sounds` answers.
   */
  constructor(context, listed) {
    this.context = context;
    this.sounds = new Map(listed.sounds.map((sound) => [sound.name, sound]));
    this.names = [...this.sounds.keys()];
    this.loaded = new Map();
  }

  /**
   * Return a sound so that it can begin: its first seconds, and a promise of the whole, which
   * takes several times longer to decode. Where the whole is there already, that.
   * @param {string} name
   * @returns {Promise<{buffer: AudioBuffer, levelDb: number, cuts?: [number, number][],
   *   whole: Promise<{buffer: AudioBuffer, cuts: [number, number][]}> | null}>}
   */
  async begin(name) {
    const [file] = this.sounds.get(name).files;
    if (!this.loaded.has(name) && file.samples !== null) {
      try {
        const buffer = await this.context.decodeAudioData(await bytes(file.url, HEAD_BYTES));
        const whole = this.load(name);
        if (buffer.duration > LEAST_HEAD_S) return { buffer, levelDb: file.level_db, whole };
      } catch (error) {
        // Not every browser decodes a part of a file, but the whole may do.
        if (error instanceof Trouble) throw error;
      }
    }
    return { ...(await this.load(name)), whole: null };
  }

  /**
   * Return a sound, ready to be played without end.
   * @param {string} name
   * @returns {Promise<{buffer: AudioBuffer, levelDb: number, cuts: [number, number][]}>}
   */
  load = (name) => {
    if (!this.loaded.has(name)) {
      const loading = this.decode(this.sounds.get(name));
      this.loaded.set(name, loading);
      loading.catch(() => { // it may be had the next time
        if (this.loaded.get(name) === loading) this.loaded.delete(name);
      });
    }
    return this.loaded.get(name);
  };

  /**
   * Note that sounds are wanted now: those that were wanted last are kept longest.
   * @param {Iterable<string>} names
   */
  touch(names) {
    for (const name of names) {
      const loading = this.loaded.get(name);
      if (this.loaded.delete(name)) this.loaded.set(name, loading);
    }
  }

  /**
   * Let go of what is decoded, except for some sounds and the last few that were wanted.
   * @param {Set<string>} names - With all that plays: what is let go is silent.
   */
  keep(names) {
    const loaded = [...this.loaded];
    const spare = new Map(loaded.filter(([name]) => !names.has(name)).slice(-N_SPARE));
    this.loaded = new Map(loaded.filter(([name]) => names.has(name) || spare.has(name)));
    for (const [name, loading] of loaded) {
      if (!this.loaded.has(name)) loading.then(({ buffer }) => release(buffer), () => {});
    }
  }

  async decode(sound) {
    const spans = sound.cuts ?? (await cuts(sound.name));
    for (const file of sound.files) {
      const data = await bytes(file.url);
      try {
        const buffer = await this.context.decodeAudioData(data);
        // A decoder that leaves padding in would leave a gap in the loop.
        if (file.samples === null || file.samples === buffer.length) {
          return { buffer, levelDb: file.level_db, cuts: spans };
        }
      } catch {
        // Not every browser decodes every format; the next file is another.
      }
    }
    throw new Trouble(`This browser cannot decode the sound “${sound.title}”.`);
  }
}
