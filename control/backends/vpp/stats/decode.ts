/** Reads the parts of a statistics segment. Every pointer and every count is checked: a torn or hostile one throws, and nothing else. */
import { StatsTornError } from './errors.js';
import * as S from './layout.js';
import type { StatValue } from './values.js';

/** The bytes of a segment: the addon's mapping, or an image in a test. */
export interface SegmentBytes {
  readonly size: number;
  /** Fills `into` from `offset`. False: not all of it lies in the segment. */
  copy(offset: number, into: Uint8Array): boolean;
}

export interface Header {
  readonly version: number;
  readonly base: number;
  readonly epoch: bigint;
  readonly busy: boolean;
  readonly directory: number;
}

export interface Entry {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  /** Its value, or a pointer to it, when the directory was read: only of a symlink does it stay the same for an epoch. */
  readonly word: bigint;
}

export interface RawDirectory {
  readonly bytes: Buffer;
  readonly entries: readonly Entry[];
}

/** What a symlink shows: one element of the vectors of another entry. */
export interface Link {
  /** Index of the other entry. */
  readonly target: number;
  readonly element: number;
}

export function linkOf(word: bigint): Link {
  return { target: Number(word & 0xffff_ffffn), element: Number(word >> 32n) };
}

export function readHeader(bytes: SegmentBytes): Header {
  const words = new BigUint64Array(S.HEADER_SIZE / 8);
  if (!bytes.copy(0, new Uint8Array(words.buffer))) throw new StatsTornError('the segment has no header', {});
  const word = (index: number): bigint => words[index] as bigint;
  return {
    version: Number(word(S.HEADER.version)),
    base: Number(word(S.HEADER.base)),
    epoch: word(S.HEADER.epoch),
    busy: word(S.HEADER.inProgress) !== 0n,
    directory: Number(word(S.HEADER.directory)),
  };
}

/** Bytes of a vector that are read together with its count: most vectors are shorter. */
const GUESS = 256;
/** Of a ring no more records of a thread are taken. */
const MOST_RECORDS = 4096;
/** A read that copies more than so many times the segment runs in circles. */
const MOST_ROUNDS = 4;

/** One read of the segment, under one header. Addresses are of 48 bits, so that numbers hold them. */
export class SegmentReader {
  readonly #scratch = new Uint8Array(S.VECTOR_COUNT + GUESS);
  readonly #view = new DataView(this.#scratch.buffer);
  #copied = 0;

  constructor(
    readonly bytes: SegmentBytes,
    readonly header: Header,
  ) {}

  /**
   * All entries, in the order of their indexes; free ones have the type `empty`. Most are what they were in the last one (`before`), and are
   * not read again.
   */
  directory(before: RawDirectory | null = null): RawDirectory {
    const found = this.#vector(this.header.directory, S.ENTRY_SIZE);
    const bytes = Buffer.from(found.buffer, found.byteOffset, found.length);
    const view = new DataView(found.buffer);
    const entries = Array.from({ length: bytes.length / S.ENTRY_SIZE }, (_, index): Entry => {
      const [at, end] = [index * S.ENTRY_SIZE, (index + 1) * S.ENTRY_SIZE];
      const old = before?.entries[index];
      if (old !== undefined && before?.bytes.compare(bytes, at, end, at, end) === 0) return old;
      const name = text(found.subarray(at + S.ENTRY_NAME, end));
      const word = view.getBigUint64(at + S.ENTRY_VALUE, true);
      return { index, name, type: view.getUint32(at, true), word };
    });
    return { bytes, entries };
  }

  /** Null for a free entry, one of a type we do not know, and a symlink that leads nowhere. */
  value({ index, type }: Entry, directory: readonly Entry[]): StatValue | null {
    switch (type) {
      case S.TYPE.scalar:
      case S.TYPE.gauge:
        return { type: 'scalar', value: Number(this.#word(index)) };
      case S.TYPE.simple:
        return { type: 'simple', threads: this.#threads(this.#word(index), 8) };
      case S.TYPE.combined:
        return { type: 'combined', threads: this.#threads(this.#word(index), 16) };
      case S.TYPE.histogram:
        return { type: 'histogram', threads: this.#threads(this.#word(index), 8) };
      case S.TYPE.names:
        return { type: 'names', names: this.#names(this.#word(index)) };
      case S.TYPE.ring:
        return { type: 'ring', threads: this.#rings(this.#word(index)) };
      case S.TYPE.symlink:
        return this.#column(this.#word64(index), directory);
      default:
        return null;
    }
  }

  /** Holds an entry's value or points to it; it may change while the directory stays as it is. */
  #word(index: number): number {
    return Number(this.#word64(index));
  }

  #word64(index: number): bigint {
    const at = this.#offset(this.header.directory) + index * S.ENTRY_SIZE + S.ENTRY_VALUE;
    this.#copy(at, this.#scratch.subarray(0, 8));
    return this.#view.getBigUint64(0, true);
  }

  /** For each thread the element that a symlink shows. */
  #column(word: bigint, directory: readonly Entry[]): StatValue | null {
    const link = linkOf(word);
    const target = directory[link.target];
    if (target?.type !== S.TYPE.simple && target?.type !== S.TYPE.combined) return null;
    const words = target.type === S.TYPE.combined ? 2 : 1;
    const threads = this.#pointers(this.#word(target.index)).map((pointer) => {
      const column = new BigUint64Array(words);
      if (pointer !== 0 && link.element < this.#count(pointer)) {
        this.#copy(this.#offset(pointer) + link.element * words * 8, new Uint8Array(column.buffer));
      }
      return column;
    });
    return { type: words === 2 ? 'combined' : 'simple', threads };
  }

  #threads(pointer: number, elementSize: number): BigUint64Array[] {
    return this.#pointers(pointer).map((each) => new BigUint64Array(this.#vector(each, elementSize).buffer));
  }

  #names(pointer: number): (string | null)[] {
    return this.#pointers(pointer).map((each) => (each === 0 ? null : text(this.#vector(each, 1))));
  }

  #rings(pointer: number): Uint8Array[][] {
    const start = this.#offset(pointer);
    const head = this.#bytes(start, S.RING_SIZE);
    const ring = new DataView(head.buffer);
    const word = (at: number): number => ring.getUint32(at, true);
    const [entrySize, entries, threads] = [
      word(S.RING.entrySize),
      word(S.RING.entries),
      word(S.RING.threads),
    ];
    // Before anything is allocated: all of it must lie in the segment.
    if (entrySize === 0 || threads * entries * entrySize > this.bytes.size) throw torn('a ring', pointer);
    if (threads * S.RING_METADATA_SIZE > this.bytes.size) throw torn('a ring', pointer);
    return Array.from({ length: threads }, (_, thread) => {
      const at = start + word(S.RING.metadata) + thread * S.RING_METADATA_SIZE;
      const metadata = new DataView(this.#bytes(at, 16).buffer);
      const written = metadata.getBigUint64(S.RING_SEQUENCE, true);
      const there = Math.min(Number(written), entries, MOST_RECORDS);
      const next = metadata.getUint32(0, true);
      const data = start + word(S.RING.data) + thread * entries * entrySize;
      return Array.from({ length: there }, (_, i) => {
        const slot = (next + entries - there + i) % entries;
        return this.#bytes(data + slot * entrySize, entrySize);
      });
    });
  }

  #pointers(pointer: number): readonly number[] {
    return Array.from(new BigUint64Array(this.#vector(pointer, 8).buffer), Number);
  }

  /** All bytes of a vector; a null pointer is an empty one. */
  #vector(pointer: number, elementSize: number): Uint8Array {
    if (pointer === 0) return new Uint8Array(0);
    const at = this.#offset(pointer);
    const there = Math.min(GUESS, this.bytes.size - at);
    const length = this.#count(pointer, there) * elementSize;
    if (length <= there) return this.#scratch.slice(S.VECTOR_COUNT, S.VECTOR_COUNT + length);
    if (length > this.bytes.size) throw torn('a vector', pointer);
    return this.#bytes(at, length);
  }

  /** Elements of a vector; leaves so many of its first bytes behind the count. */
  #count(pointer: number, more = 0): number {
    this.#copy(this.#offset(pointer) - S.VECTOR_COUNT, this.#scratch.subarray(0, S.VECTOR_COUNT + more));
    return this.#view.getUint32(0, true);
  }

  #offset(pointer: number): number {
    const offset = pointer - this.header.base;
    if (offset < 0 || offset >= this.bytes.size) throw torn('a pointer', pointer);
    return offset;
  }

  #bytes(offset: number, length: number): Uint8Array {
    const into = new Uint8Array(length);
    this.#copy(offset, into);
    return into;
  }

  #copy(offset: number, into: Uint8Array): void {
    this.#copied += into.length;
    const runsInCircles = this.#copied > MOST_ROUNDS * this.bytes.size;
    if (runsInCircles || !this.bytes.copy(offset, into)) throw torn(`${into.length} bytes`, offset);
  }
}

function torn(what: string, where: number): StatsTornError {
  return new StatsTornError(`${what} at 0x${where.toString(16)} does not lie in the segment`, {
    retryable: true,
  });
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(bytes.buffer, bytes.byteOffset, end < 0 ? bytes.length : end).toString('utf8');
}
