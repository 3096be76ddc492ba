/** Structs and unions. */
import type { Value } from '../api.js';
import { DecodeError } from '../errors.js';
import type { ArrayCodec } from './arrays.js';
import { FieldProblem, type Reader, type Writer, within } from './bytes.js';
import {
  type Codec,
  type FixedCodec,
  isNothing,
  leastSize,
  type SoFar,
  type VariableCodec,
} from './codec.js';

/** A field with its codec: once, or an array whose count is the field `by`, or (null) whose end is the message's. */
export type FieldCodec =
  | { readonly name: string; readonly codec: Codec; readonly initial?: Uint8Array }
  | { readonly name: string; readonly array: ArrayCodec; readonly by: string | null };

type Members = Readonly<Record<string, Value | undefined>>;

const NOTHING: SoFar = {};

/** A struct is of fixed size when all its fields are. */
export function structCodec(name: string, fields: readonly FieldCodec[]): Codec {
  const fixed = fields.every((field) => 'codec' in field && field.codec.size !== undefined);
  return fixed ? new FixedStruct(name, fixedRun(fields)) : new VariableStruct(name, fields);
}

/** Fields of fixed size that follow each other. */
interface Run {
  readonly size: number;
  readonly initial: Uint8Array;
  readonly fields: ReadonlyMap<string, { readonly codec: FixedCodec; readonly offset: number }>;
}

function fixedRun(fields: readonly FieldCodec[]): Run {
  const members = new Map<string, { codec: FixedCodec; offset: number }>();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const field of fields) {
    if (!('codec' in field) || field.codec.size === undefined) continue;
    members.set(field.name, { codec: field.codec, offset: size });
    parts.push(field.initial ?? field.codec.initial);
    size += field.codec.size;
  }
  return { size, initial: Buffer.concat(parts), fields: members };
}

class FixedStruct implements FixedCodec {
  readonly size: number;
  readonly initial: Uint8Array;
  readonly #fields: Run['fields'];

  constructor(
    readonly name: string,
    run: Run,
  ) {
    this.size = run.size;
    this.initial = run.initial;
    this.#fields = run.fields;
  }

  put(into: Writer, at: number, value: Value): void {
    const members = asMembers(value);
    let current = '';
    try {
      for (const name in members) {
        current = name;
        const given = members[name];
        if (given === undefined) continue;
        const field = this.#fields.get(name);
        if (field === undefined) refuseUnknown(this.name, given);
        else field.codec.put(into, at + field.offset, given);
      }
    } catch (error) {
      throw within(error, current);
    }
  }

  read(from: Reader, outer: SoFar): Value {
    const self: Record<string, Value> = {};
    for (const [name, { codec }] of this.#fields) self[name] = codec.read(from, self, outer);
    return self;
  }
}

/** One step of writing or reading: a run of fixed fields, or one field of varying size. */
type Step =
  | { readonly run: Run }
  | { readonly name: string; readonly codec: VariableCodec }
  | { readonly name: string; readonly array: ArrayCodec; readonly by: string | null };

class VariableStruct implements VariableCodec {
  readonly size = undefined;
  readonly least: number;
  readonly #steps: readonly Step[];
  readonly #names: ReadonlySet<string>;
  /** Count field → the array it counts. */
  readonly #counts: ReadonlyMap<string, { readonly name: string; readonly array: ArrayCodec }>;

  constructor(
    readonly name: string,
    fields: readonly FieldCodec[],
  ) {
    this.#steps = stepsOf(fields);
    this.#names = new Set(fields.map((field) => field.name));
    this.#counts = new Map(
      fields.flatMap((field) => ('array' in field && field.by !== null ? [[field.by, field] as const] : [])),
    );
    this.least = fields.reduce((sum, field) => sum + ('codec' in field ? leastSize(field.codec) : 0), 0);
  }

  append(into: Writer, value: Value | undefined): void {
    const members = value === undefined ? {} : asMembers(value);
    let current = '';
    try {
      for (const name in members) {
        current = name;
        const given = members[name];
        if (given !== undefined && !this.#names.has(name)) refuseUnknown(this.name, given);
      }
      for (const step of this.#steps) {
        if ('run' in step) {
          const at = into.append(step.run.initial);
          for (const [name, { codec, offset }] of step.run.fields) {
            current = name;
            const given = this.#counts.size === 0 ? members[name] : this.#member(members, name);
            if (given !== undefined) codec.put(into, at + offset, given);
          }
        } else {
          current = step.name;
          ('codec' in step ? step.codec : step.array).append(into, members[step.name]);
        }
      }
    } catch (error) {
      throw within(error, current);
    }
  }

  /** A count is that of the array, whether it is given or not. */
  #member(members: Members, name: string): Value | undefined {
    const counted = this.#counts.get(name);
    const given = members[name];
    if (counted === undefined) return given;
    const count = counted.array.count(members[counted.name]);
    if (given !== undefined && given !== count) {
      throw new FieldProblem(`must be ${count}, the length of ${counted.name}`, given);
    }
    return count;
  }

  read(from: Reader, outer: SoFar): Value {
    const self: Record<string, Value> = {};
    for (const step of this.#steps) {
      if ('run' in step) {
        for (const [name, { codec }] of step.run.fields) self[name] = codec.read(from, self, outer);
      } else if ('codec' in step) {
        self[step.name] = step.codec.read(from, self, outer);
      } else {
        const { array, by } = step;
        const count = by === null ? Math.floor(from.left / Math.max(1, array.elementSize)) : self[by];
        if (typeof count !== 'number') throw new DecodeError(`no count for ${step.name}`);
        self[step.name] = array.read(from, count, self, outer);
      }
    }
    return self;
  }
}

function stepsOf(fields: readonly FieldCodec[]): readonly Step[] {
  const steps: Step[] = [];
  let run: FieldCodec[] = [];
  const endRun = () => {
    if (run.length > 0) steps.push({ run: fixedRun(run) });
    run = [];
  };
  for (const field of fields) {
    if ('codec' in field && field.codec.size !== undefined) {
      run.push(field);
      continue;
    }
    endRun();
    if ('array' in field) steps.push(field);
    else steps.push({ name: field.name, codec: field.codec as VariableCodec });
  }
  endRun();
  return steps;
}

/**
 * A field this VPP does not have is one of a newer version: it may be given as long as it says nothing.
 * Throws FieldProblem.
 */
function refuseUnknown(owner: string, given: Value): void {
  if (!isNothing(given)) throw new FieldProblem(`is no field of ${owner} in this VPP`, given);
}

function asMembers(value: Value): Members {
  if (typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array))
    return value as Members;
  throw new FieldProblem('must be an object', value);
}

export interface Arm {
  readonly name: string;
  readonly codec: FixedCodec;
  /** Values of the discriminator that choose it. */
  readonly when: readonly string[];
}

/** Finds the discriminator's value among the fields read so far. */
export type Discriminator = (self: SoFar, outer: SoFar) => Value | undefined;

/**
 * An object with one field, the arm; as many bytes as the largest arm has. Where nothing says which arm was read, it is `raw`, the
 * bytes.
 */
export function unionCodec(name: string, arms: readonly Arm[], discriminator: Discriminator): FixedCodec {
  const size = Math.max(0, ...arms.map((arm) => arm.codec.size));
  return {
    size,
    initial: new Uint8Array(size),
    put(into, at, value) {
      const entries = Object.entries(asMembers(value)).filter(([, given]) => given !== undefined);
      const [entry] = entries;
      if (entry === undefined) return;
      if (entries.length > 1) throw new FieldProblem('must have one arm', value);
      const [chosen, given] = entry as [string, Value];
      if (chosen === 'raw' && given instanceof Uint8Array && given.length <= size) {
        into.bytes.set(given, at);
        return;
      }
      const arm = arms.find((candidate) => candidate.name === chosen);
      if (arm === undefined) throw new FieldProblem(`is no arm of ${name}`, chosen);
      try {
        into.bytes.set(arm.codec.initial, at);
        arm.codec.put(into, at, given);
      } catch (error) {
        throw within(error, chosen);
      }
    },
    read(from, self, outer) {
      const symbol = discriminator(self, outer);
      const arm =
        typeof symbol === 'string' ? arms.find((candidate) => candidate.when.includes(symbol)) : undefined;
      if (arm === undefined) return { raw: from.copy(size) };
      const start = from.take(size);
      from.at = start;
      const inner = { [arm.name]: arm.codec.read(from, NOTHING, self) };
      from.at = start + size;
      return inner;
    },
  };
}
