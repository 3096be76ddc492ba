/** Arrays: of bytes (Uint8Array) and of anything else (lists); of fixed length, counted by an earlier field, or up to the end. */
import type { Value } from '../api.js';
import { DecodeError } from '../errors.js';
import { FieldProblem, type Reader, type Writer, within } from './bytes.js';
import { type Codec, type FixedCodec, leastSize, type SoFar } from './codec.js';

/** Of exactly `length` bytes; a shorter value is filled up with zeros. */
export function fixedBytes(length: number): FixedCodec {
  return {
    size: length,
    initial: new Uint8Array(length),
    put(into, at, value) {
      const bytes = asBytes(value);
      if (bytes.length > length) throw new FieldProblem(`must have at most ${length} bytes`, bytes.length);
      into.bytes.set(bytes, at);
      into.bytes.fill(0, at + bytes.length, at + length);
    },
    read: (from) => from.copy(length),
  };
}

/** Of exactly `length` elements of fixed size; a shorter list is filled up with elements left out. */
export function fixedArray(element: FixedCodec, length: number): FixedCodec {
  const { size } = element;
  const initial = new Uint8Array(size * length);
  for (let i = 0; i < length; i++) initial.set(element.initial, i * size);
  return {
    size: size * length,
    initial,
    put(into, at, value) {
      const list = asList(value);
      if (list.length > length) throw new FieldProblem(`must have at most ${length} elements`, list.length);
      putAll(element, into, at, list);
    },
    read: (from, self, outer) => readMany(element, from, length, self, outer),
  };
}

function putAll(element: FixedCodec, into: Writer, at: number, list: readonly Value[]): void {
  if (element.putAll === undefined) putEach(element, into, at, list);
  else element.putAll(into, at, list);
}

/** One by one. Throws FieldProblem. */
export function putEach(
  element: FixedCodec,
  into: Writer,
  at: number,
  list: readonly Value[],
  from = 0,
): void {
  let i = from;
  try {
    for (; i < list.length; i++) element.put(into, at + i * element.size, list[i] as Value);
  } catch (error) {
    throw within(error, i);
  }
}

/** Writes `count` copies of the same bytes, each time twice as many as before. */
function repeat(into: Writer, start: number, initial: Uint8Array, count: number): void {
  const { bytes } = into;
  const end = start + initial.length * count;
  if (start === end) return;
  bytes.set(initial, start);
  for (let done = start + initial.length; done < end; done += done - start) {
    bytes.copyWithin(done, start, Math.min(done, start + end - done));
  }
}

/** What an array of varying length does; its count stands elsewhere. */
export interface ArrayCodec {
  /** Elements a value has. Throws FieldProblem. */
  count(value: Value | undefined): number;
  append(into: Writer, value: Value | undefined): void;
  read(from: Reader, count: number, self: SoFar, outer: SoFar): Value;
  /** Bytes an element has at least. */
  readonly elementSize: number;
}

export const bytesArray: ArrayCodec = {
  elementSize: 1,
  count: (value) => (value === undefined ? 0 : asBytes(value).length),
  append(into, value) {
    if (value !== undefined) into.append(asBytes(value));
  },
  read: (from, count) => from.copy(count),
};

export function arrayOf(element: Codec): ArrayCodec {
  return {
    elementSize: leastSize(element),
    count: (value) => (value === undefined ? 0 : asList(value).length),
    append(into, value) {
      if (value === undefined) return;
      const list = asList(value);
      if (element.size !== undefined) {
        const start = into.reserve(element.size * list.length);
        repeat(into, start, element.initial, list.length);
        return putAll(element, into, start, list);
      }
      let i = 0;
      try {
        for (; i < list.length; i++) element.append(into, list[i]);
      } catch (error) {
        throw within(error, i);
      }
    },
    read: (from, count, self, outer) => readMany(element, from, count, self, outer),
  };
}

/** Lists are not made longer than the bytes that are there can fill. Throws DecodeError. */
function readMany(element: Codec, from: Reader, count: number, self: SoFar, outer: SoFar): Value[] {
  const least = Math.max(1, leastSize(element));
  if (count * least > from.left) {
    throw new DecodeError(`${count} elements of at least ${least} bytes, ${from.left} bytes are left`);
  }
  const list = new Array<Value>(count);
  for (let i = 0; i < count; i++) list[i] = element.read(from, self, outer);
  return list;
}

function asBytes(value: Value): Uint8Array {
  if (value instanceof Uint8Array) return value;
  // As JSON has them (see json.ts).
  if (typeof value === 'string' && /^0x([0-9a-f]{2})*$/i.test(value))
    return Buffer.from(value.slice(2), 'hex');
  throw new FieldProblem('must be a Uint8Array', value);
}

function asList(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value as readonly Value[];
  throw new FieldProblem('must be a list', value);
}
