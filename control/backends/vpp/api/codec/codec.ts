/** What a codec is: of a type whose size is always the same, or of one that varies. */
import type { Value } from '../api.js';
import type { Reader, Writer } from './bytes.js';

/** The object being read, of which a union's discriminator is a field. */
export type SoFar = Readonly<Record<string, Value>>;

interface Reading {
  /** `self`: what of the object has been read before this field; `outer`: the same of the object around it. Throws DecodeError. */
  read(from: Reader, self: SoFar, outer: SoFar): Value;
}

export interface FixedCodec extends Reading {
  readonly size: number;
  /** Bytes of a value left out. */
  readonly initial: Uint8Array;
  /** Writes over `initial`, which is at `at` already. Throws FieldProblem. */
  put(into: Writer, at: number, value: Value): void;
  /** The same of all of a list, which follow each other; absent: one by one. */
  putAll?(into: Writer, at: number, list: readonly Value[]): void;
  /** Only of what is written as an unsigned integer of `size` bytes, big endian: which one a value stands for. */
  readonly unsigned?: Unsigned;
}

/** `numberOf` absent: the value is the number. It gives NaN for what `put` has to look at. */
export interface Unsigned {
  numberOf?(value: Value): number;
}

export interface VariableCodec extends Reading {
  readonly size: undefined;
  /** Bytes it has at least. */
  readonly least: number;
  /** Writes at the end. Throws FieldProblem. */
  append(into: Writer, value: Value | undefined): void;
}

export type Codec = FixedCodec | VariableCodec;

export function leastSize(codec: Codec): number {
  return codec.size ?? codec.least;
}

/** Whether a value says no more than that the field is left out: zero, empty, or made of nothing else. */
export function isNothing(value: Value): boolean {
  if (typeof value === 'object') {
    if (value instanceof Uint8Array) return value.every((byte) => byte === 0);
    return Object.values(value).every((inner: Value) => isNothing(inner));
  }
  return !value;
}
