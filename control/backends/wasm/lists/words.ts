/** Words of a list that is being put together or changed; changes are noted from the first `forget` on, so that copies can follow. */
import { PteropusError } from '../../../common/errors.js';

/** A section of a list has no room for a change: the list must be built anew. */
export class ListFullError extends PteropusError {
  constructor(section: string) {
    super(`the access list has no more room for ${section}`, { object: section });
  }
}

export class ListWords {
  readonly words: Uint32Array;
  #at: number[] | null = null;

  /** All 0. @param from words that nobody uses any more: their memory is taken, if it is of about that size */
  constructor(size: number, from: ListWords | null = null) {
    const buffer = from?.words.buffer;
    const fits = buffer !== undefined && buffer.byteLength >= size * 4 && buffer.byteLength <= size * 8;
    this.words = fits ? new Uint32Array(buffer, 0, size).fill(0) : new Uint32Array(size);
  }

  get(at: number): number {
    return this.words[at] ?? 0;
  }

  put(at: number, value: number): void {
    if (this.words[at] === value) return;
    this.words[at] = value;
    this.#at?.push(at);
  }

  /** 16 bits at a byte offset, a multiple of 2. */
  getHalf(byte: number): number {
    return (this.get(byte >>> 2) >>> ((byte & 2) << 3)) & 0xffff;
  }

  putHalf(byte: number, value: number): void {
    const shift = (byte & 2) << 3;
    this.put(byte >>> 2, ((this.get(byte >>> 2) & ~(0xffff << shift)) | (value << shift)) >>> 0);
  }

  getByte(byte: number): number {
    return (this.get(byte >>> 2) >>> ((byte & 3) << 3)) & 0xff;
  }

  putByte(byte: number, value: number): void {
    const shift = (byte & 3) << 3;
    this.put(byte >>> 2, ((this.get(byte >>> 2) & ~(0xff << shift)) | (value << shift)) >>> 0);
  }

  /** Copies all into a memory, whose list begins at word `base`. */
  copy(memory: Uint32Array, base: number): void {
    memory.set(this.words, base);
  }

  /** Writes what changed since `forget` was called last into a copy. */
  follow(memory: Uint32Array, base: number): void {
    for (const at of this.#at ?? []) memory[base + at] = this.words[at] ?? 0;
  }

  forget(): void {
    this.#at = [];
  }
}
