/** Structs: of fixed size, and those with something of varying size in them. */
import type { Value } from '../api.js';
import { DecodeError } from '../errors.js';
import { type ArrayCodec, putEach } from './arrays.js';
import { FieldProblem, type Reader, type Writer, within } from './bytes.js';
import { type Codec, type FixedCodec, leastSize, type SoFar, type VariableCodec } from './codec.js';
import {
  asMembers,
  type FieldCodec,
  FieldIndex,
  fixedRun,
  type Members,
  NOTHING,
  type Placed,
  type Run,
  readRun,
  refuseUnknown,
} from './fields.js';
import { type Unrolled, unrolled } from './unrolled.js';

/** A struct is of fixed size when all its fields are. */
export function structCodec(name: string, fields: readonly FieldCodec[]): Codec {
  const fixed = fields.every((field) => 'codec' in field && field.codec.size !== undefined);
  return fixed ? new FixedStruct(name, fixedRun(fields)) : new VariableStruct(name, fields);
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
    this.#unrolled = unrolled(run.fields, run.size);
    this.#fields = new FieldIndex(run.fields);
  }

  put(into: Writer, at: number, value: Value): void {
    try {
      if (this.#unrolled.one(into, at, value)) return;
    } catch {
      // Done again, by the way that says which field it is.
    }
    const members = asMembers(value);
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

  putAll(into: Writer, at: number, list: readonly Value[]): void {
    let plain = 0;
    try {
      plain = this.#unrolled.many(into, at, list, 0);
    } catch {
      // The same.
    }
    putEach(this, into, at, list, plain);
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
