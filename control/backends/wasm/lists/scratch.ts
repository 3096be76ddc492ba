/**
 * Memory for what is needed only while a list is built, one list at a time: taken piece by piece, free again when the next one begins.
 * A short list is built in a tenth of a millisecond; arrays of their own for each of some fifty pieces, and collecting them, would be
 * half of that.
 */

/** Words that are kept between builds. What does not fit, of long lists, gets arrays of its own. */
const KEPT = 2 ** 16;

export class Scratch {
  readonly #buffer = new ArrayBuffer(KEPT * 4);
  #next = 0;

  /** What was taken so far is no longer in use. */
  reset(): void {
    this.#next = 0;
  }

  /** So many words, all 0. */
  words(count: number): Uint32Array {
    const from = this.#take(count);
    return from < 0 ? new Uint32Array(count) : new Uint32Array(this.#buffer, from, count).fill(0);
  }

  /** So many u16, all 0; the array begins at a word. */
  halves(count: number): Uint16Array {
    const from = this.#take((count + 1) >>> 1);
    return from < 0 ? new Uint16Array(count) : new Uint16Array(this.#buffer, from, count).fill(0);
  }

  /** So many bytes, all 0. */
  bytes(count: number): Uint8Array {
    const from = this.#take((count + 3) >>> 2);
    return from < 0 ? new Uint8Array(count) : new Uint8Array(this.#buffer, from, count).fill(0);
  }

  /** Byte offset of so many words, -1 if they do not fit. */
  #take(words: number): number {
    if (words > KEPT - this.#next) return -1;
    const from = this.#next * 4;
    this.#next += words;
    return from;
  }
}
