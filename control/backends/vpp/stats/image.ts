/** Statistics segments made by hand, for tests: the same bytes as VPP's, of any content. */
import type { SegmentBytes } from './decode.js';
import * as S from './layout.js';

/** Where VPP mapped it. Anything but 0 will do, so that a pointer is never taken for an offset. */
export const BASE = 0x7f00_0000_0000n;

export class SegmentImage implements SegmentBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Asked for before each copy: what VPP does meanwhile. */
  meanwhile: () => void = () => undefined;
  #next = 64;
  readonly #entries: { readonly type: number; readonly value: bigint; readonly name: string }[] = [];

  constructor(readonly size = 1 << 16) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    this.header('version', BigInt(S.VERSION));
    this.header('base', BASE);
    this.header('epoch', 1n);
  }

  copy(offset: number, into: Uint8Array): boolean {
    this.meanwhile();
    if (offset < 0 || offset + into.length > this.size) return false;
    into.set(this.bytes.subarray(offset, offset + into.length));
    return true;
  }

  /** Bytes taken from its start. */
  get used(): number {
    return this.#next;
  }

  header(word: keyof typeof S.HEADER, value: bigint): void {
    this.view.setBigUint64(S.HEADER[word] * 8, value, true);
  }

  /** Adds an entry; returns its index. The directory is written anew, as VPP does when it grows. */
  add(name: string, type: keyof typeof S.TYPE, value: bigint): number {
    this.#entries.push({ name, type: S.TYPE[type], value });
    const directory = new Uint8Array(this.#entries.length * S.ENTRY_SIZE);
    const view = new DataView(directory.buffer);
    for (const [index, entry] of this.#entries.entries()) {
      const at = index * S.ENTRY_SIZE;
      view.setUint32(at, entry.type, true);
      view.setBigUint64(at + S.ENTRY_VALUE, entry.value, true);
      directory.set(Buffer.from(entry.name), at + S.ENTRY_NAME);
    }
    this.header('directory', this.vector(directory, S.ENTRY_SIZE));
    return this.#entries.length - 1;
  }

  /** Changes an entry's word where it lies. */
  setValue(index: number, value: bigint): void {
    const directory = this.view.getBigUint64(S.HEADER.directory * 8, true);
    this.view.setBigUint64(Number(directory - BASE) + index * S.ENTRY_SIZE + S.ENTRY_VALUE, value, true);
  }

  /** Counters for each thread; combined ones are pairs of packets and bytes. */
  counters(threads: readonly (readonly number[])[], words = 1): bigint {
    return this.pointers(threads.map((each) => this.vector(bytesOf(each), 8 * words)));
  }

  names(names: readonly (string | null)[]): bigint {
    return this.pointers(names.map((name) => (name === null ? 0n : this.vector(Buffer.from(name), 1))));
  }

  pointers(pointers: readonly bigint[]): bigint {
    return this.vector(new Uint8Array(new BigUint64Array(pointers).buffer), 8);
  }

  /** A vector of elements of this size; returns its address. */
  vector(bytes: Uint8Array, elementSize: number): bigint {
    const at = this.block(bytes, 16) + 16;
    this.view.setUint32(at - S.VECTOR_COUNT, bytes.length / elementSize, true);
    return BASE + BigInt(at);
  }

  /** Bytes with room before them; returns the offset of that room. */
  block(bytes: Uint8Array, before: number): number {
    const at = this.#next;
    if (at + before + bytes.length > this.size) throw new RangeError('the image is full');
    this.bytes.set(bytes, at + before);
    this.#next = (at + before + bytes.length + 7) & ~7;
    return at;
  }
}

function bytesOf(counters: readonly number[]): Uint8Array {
  return new Uint8Array(new BigUint64Array(counters.map(BigInt)).buffer);
}
