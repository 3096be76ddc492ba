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
import { type Unrolled, unrolled } from './unrolled.js';

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

/** A field of fixed size, at its place in a run. */
interface Placed {
  readonly name: string;
  readonly codec: FixedCodec;
  readonly offset: number;
}

/** Fields of fixed size that follow each other. */
interface Run {
  readonly size: number;
  readonly initial: Uint8Array;
  readonly fields: readonly Placed[];
}

function fixedRun(fields: readonly FieldCodec[]): Run {
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

function readRun(run: Run, from: Reader, self: Record<string, Value>, outer: SoFar): void {
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
class FieldIndex<T extends { readonly name: string }> {
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

class FixedStruct implements FixedCodec {
  readonly size: number;
  readonly initial: Uint8Array;
  readonly #run: Run;
  readonly #unrolled: Unrolled;
  readonly #fields: FieldIndex<Placed>;

  constructor(
    readonly name: string,
    run: Run,
  ) {
    this.size = run.size;
    this.initial = run.initial;
    this.#run = run;
    this.#unrolled = unrolled(run.fields);
    this.#fields = new FieldIndex(run.fields);
  }

  put(into: Writer, at: number, value: Value): void {
    const members = asMembers(value);
    try {
      if (this.#unrolled(into, at, members)) return;
    } catch {
      // Done again, by the way that says which field it is.
    }
    let current = '';
    let position = 0;
    try {
      for (const name in members) {
        current = name;
        const given = members[name];
        if (given === undefined) continue;
        const field = this.#fields.get(position++, name);
        if (field === undefined) refuseUnknown(this.name, given);
        else field.codec.put(into, at + field.offset, given);
      }
    } catch (error) {
      throw within(error, current);
    }
  }

  read(from: Reader, outer: SoFar): Value {
    const self: Record<string, Value> = {};
    readRun(this.#run, from, self, outer);
    return self;
  }
}

/** One step of writing or reading: a run of fixed fields, or one field of varying size. */
type Step =
  | { readonly run: Run }
  | { readonly name: string; readonly codec: VariableCodec }
  | { readonly name: string; readonly array: ArrayCodec; readonly by: string | null };

/** A field that is written later: a count, or one behind something of varying size. */
interface Unplaced {
  readonly name: string;
}

/** A field that says how many elements an array has. */
interface Count {
  readonly array: ArrayCodec;
  /** Name of the array. */
  readonly of: string;
}

class VariableStruct implements VariableCodec {
  readonly size = undefined;
  readonly least: number;
  /** The fields before the first one of varying size, which are nearly all. */
  readonly #head: Run;
  readonly #tail: readonly Step[];
  readonly #fields: FieldIndex<Placed | Unplaced>;
  readonly #counts: ReadonlyMap<string, Count>;

  constructor(
    readonly name: string,
    fields: readonly FieldCodec[],
  ) {
    const [first, ...rest] = stepsOf(fields);
    const leads = first !== undefined && 'run' in first;
    this.#head = leads ? first.run : fixedRun([]);
    this.#tail = leads || first === undefined ? rest : [first, ...rest];
    const counts = fields.flatMap((field) =>
      'array' in field && field.by !== null
        ? [[field.by, { array: field.array, of: field.name }] as const]
        : [],
    );
    this.#counts = new Map(counts);
    const placed = new Map(this.#head.fields.map((field) => [field.name, field]));
    this.#fields = new FieldIndex(
      fields.map(({ name }) => (this.#counts.has(name) ? { name } : (placed.get(name) ?? { name }))),
    );
    this.least = fields.reduce((sum, field) => sum + ('codec' in field ? leastSize(field.codec) : 0), 0);
  }

  append(into: Writer, value: Value | undefined): void {
    const members = value === undefined ? NOTHING : asMembers(value);
    const at = into.append(this.#head.initial);
    let current = '';
    let position = 0;
    try {
      for (const name in members) {
        current = name;
        const given = members[name];
        if (given === undefined) continue;
        const field = this.#fields.get(position++, name);
        if (field === undefined) refuseUnknown(this.name, given);
        else if ('codec' in field) field.codec.put(into, at + field.offset, given);
      }
    } catch (error) {
      throw within(error, current);
    }
    this.#putCounts(into, at, this.#head, members);
    for (const step of this.#tail) this.#step(step, into, members);
  }

  #step(step: Step, into: Writer, members: Members): void {
    if ('run' in step) {
      const at = into.append(step.run.initial);
      for (const { name, codec, offset } of step.run.fields) {
        const given = members[name];
        if (given === undefined || this.#counts.has(name)) continue;
        try {
          codec.put(into, at + offset, given);
        } catch (error) {
          throw within(error, name);
        }
      }
      this.#putCounts(into, at, step.run, members);
      return;
    }
    try {
      ('codec' in step ? step.codec : step.array).append(into, members[step.name]);
    } catch (error) {
      throw within(error, step.name);
    }
  }

  /** A count is that of the array, whether it is given or not. */
  #putCounts(into: Writer, at: number, run: Run, members: Members): void {
    for (const [name, { array, of }] of this.#counts) {
      const field = run.fields.find((candidate) => candidate.name === name);
      if (field === undefined) continue;
      try {
        const count = array.count(members[of]);
        const given = members[name];
        if (given !== undefined && given !== count) {
          throw new FieldProblem(`must be ${count}, the length of ${of}`, given);
        }
        field.codec.put(into, at + field.offset, count);
      } catch (error) {
        throw within(error, name);
      }
    }
  }

  read(from: Reader, outer: SoFar): Value {
    const self: Record<string, Value> = {};
    readRun(this.#head, from, self, outer);
    for (const step of this.#tail) {
      if ('run' in step) readRun(step.run, from, self, outer);
      else if ('codec' in step) self[step.name] = step.codec.read(from, self, outer);
      else {
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
  const codecs = new Map(arms.map((arm) => [arm.name, arm.codec]));
  return {
    size,
    initial: new Uint8Array(size),
    put(into, at, value) {
      const members = asMembers(value);
      let chosen: string | undefined;
      for (const arm in members) {
        if (members[arm] === undefined) continue;
        if (chosen !== undefined) throw new FieldProblem('must have one arm', value);
        chosen = arm;
      }
      const given = chosen === undefined ? undefined : members[chosen];
      if (chosen === undefined || given === undefined) return;
      if (chosen === 'raw' && given instanceof Uint8Array && given.length <= size) {
        into.bytes.set(given, at);
        return;
      }
      const codec = codecs.get(chosen);
      if (codec === undefined) throw new FieldProblem(`is no arm of ${name}`, chosen);
      try {
        into.bytes.set(codec.initial, at);
        codec.put(into, at, given);
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
