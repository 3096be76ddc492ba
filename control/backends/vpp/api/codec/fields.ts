/** What structs and unions have in common: fields, their places, and how values name them. */
import type { Value } from '../api.js';
import type { ArrayCodec } from './arrays.js';
import { FieldProblem, type Reader } from './bytes.js';
import { type Codec, type FixedCodec, isNothing, type SoFar } from './codec.js';

/** A field with its codec: once, or an array whose count is the field `by`, or (null) whose end is the message's. */
export type FieldCodec =
  | { readonly name: string; readonly codec: Codec; readonly initial?: Uint8Array }
  | { readonly name: string; readonly array: ArrayCodec; readonly by: string | null };

export type Members = Readonly<Record<string, Value | undefined>>;

export const NOTHING: SoFar = {};

/** A field of fixed size, at its place in a run. */
export interface Placed {
  readonly name: string;
  readonly codec: FixedCodec;
  readonly offset: number;
}

/** Fields of fixed size that follow each other. */
export interface Run {
  readonly size: number;
  readonly initial: Uint8Array;
  readonly fields: readonly Placed[];
}

export function fixedRun(fields: readonly FieldCodec[]): Run {
  const placed: Placed[] = [];
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const { name, ...field } of fields) {
    if (!('codec' in field) || field.codec.size === undefined) continue;
    placed.push({ name, codec: field.codec, offset: size });
    parts.push(field.initial ?? field.codec.initial);
    size += field.codec.size;
  }
  return { size, initial: Buffer.concat(parts), fields: placed };
}

export function readRun(run: Run, from: Reader, self: Record<string, Value>, outer: SoFar): void {
  const { fields } = run;
  for (let i = 0; i < fields.length; i++) {
    const { name, codec } = fields[i] as Placed;
    self[name] = codec.read(from, self, outer);
  }
}

/**
 * Fields by name. Values of one kind have their fields in the same order nearly always, so that the field last found at the same
 * position is tried first.
 */
export class FieldIndex<T extends { readonly name: string }> {
  /** As the values have them: a comparison of two strings that are the same object takes no time. */
  readonly #names: string[] = [];
  readonly #last: T[] = [];
  readonly #fields: ReadonlyMap<string, T>;

  constructor(fields: readonly T[]) {
    this.#fields = new Map(fields.map((field) => [field.name, field]));
  }

  get(position: number, name: string): T | undefined {
    if (this.#names[position] === name) return this.#last[position];
    const field = this.#fields.get(name);
    if (field === undefined) return undefined;
    this.#names[position] = name;
    this.#last[position] = field;
    return field;
  }
}

/**
 * A field this VPP does not have is one of a newer version: it may be given as long as it says nothing.
 * Throws FieldProblem.
 */
export function refuseUnknown(owner: string, given: Value): void {
  if (!isNothing(given)) throw new FieldProblem(`is no field of ${owner} in this VPP`, given);
}

export function asMembers(value: Value): Members {
  if (typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array))
    return value as Members;
  throw new FieldProblem('must be an object', value);
}
