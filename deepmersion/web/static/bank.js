/** The sound bank: each sound is fetched and decoded when it is first needed, and once. */
import { Trouble, bytes, cuts } from "./server.js";

/** What is decoded first: of the shipped sounds some nine seconds. */
const HEAD_BYTES = 128 * 1024;

/** A shorter beginning may end before the whole is there. */
const LEAST_HEAD_S = 3;

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
      loading.catch(() => this.loaded.delete(name)); // it may be had the next time
    }
    return this.loaded.get(name);
  };

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
