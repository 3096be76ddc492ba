/** Codecs of a module's types, made once and kept. */
import { ApiSchemaError } from '../errors.js';
import type { ApiSchema, FieldSchema, ModuleSchema, StructSchema } from '../schema.js';
import { type ArrayCodec, arrayOf, bytesArray, fixedArray, fixedBytes } from './arrays.js';
import { BASE, fixedString, variableString } from './base.js';
import { FieldProblem, Writer } from './bytes.js';
import type { Codec, FixedCodec } from './codec.js';
import { casesOf, discriminatorOf } from './discriminators.js';
import { enumCodec, flagsCodec } from './enums.js';
import type { FieldCodec } from './fields.js';
import { structCodec } from './structs.js';
import { TEXTUAL } from './textual.js';
import { type Arm, type Discriminator, unionCodec } from './unions.js';

/** Compiles the types of one module; what it does not have itself is looked for in all the others. */
export class TypeCompiler {
  readonly #done = new Map<string, Codec>();
  /** Types being compiled: one that holds itself has no end. */
  readonly #under = new Set<string>();

  constructor(
    readonly module: ModuleSchema,
    readonly schema: ApiSchema,
  ) {}

  /** The fields of a message or a type. Throws ApiSchemaError. */
  struct(owner: string, fields: readonly FieldSchema[]): Codec {
    return structCodec(
      owner,
      fields.map((field) => this.#field(owner, field)),
    );
  }

  #field(owner: string, field: FieldSchema): FieldCodec {
    const { name, extent } = field;
    if (field.type === 'string' && extent.kind !== 'one') {
      return { name, codec: extent.kind === 'fixed' ? fixedString(extent.length) : variableString };
    }
    const element = field.type === 'string' ? variableString : this.#type(field.type, owner, field);
    if (extent.kind === 'counted' || extent.kind === 'rest') {
      return {
        name,
        array: this.#array(field.type, element),
        by: extent.kind === 'counted' ? extent.by : null,
      };
    }
    if (extent.kind === 'fixed')
      return { name, codec: this.#fixedArray(owner, field, element, extent.length) };
    const initial = initialOf(owner, field, element);
    return { name, codec: element, ...(initial === undefined ? {} : { initial }) };
  }

  #array(type: string, element: Codec): ArrayCodec {
    return type === 'u8' ? bytesArray : arrayOf(element);
  }

  #fixedArray(owner: string, field: FieldSchema, element: Codec, length: number): FixedCodec {
    if (field.type === 'u8') return fixedBytes(length);
    if (element.size === undefined) {
      throw new ApiSchemaError('a fixed array of something of varying size', {
        object: owner,
        field: field.name,
      });
    }
    return fixedArray(element, length);
  }

  #type(name: string, owner: string, field: FieldSchema): Codec {
    const known = BASE.get(name) ?? TEXTUAL.get(name)?.() ?? this.#done.get(name);
    if (known !== undefined) return known;
    const union = this.#find((module) => module.unions.get(name));
    // What tells the arm depends on who holds the union, so that its codec is not kept.
    if (union !== undefined) return this.#union(union, discriminatorOf(owner, field));
    if (this.#under.has(name))
      throw new ApiSchemaError('a type that holds itself', { object: owner, field: name });
    this.#under.add(name);
    const codec = this.#make(name, owner, field);
    this.#under.delete(name);
    this.#done.set(name, codec);
    return codec;
  }

  #make(name: string, owner: string, field: FieldSchema): Codec {
    const struct = this.#find((module) => module.types.get(name));
    if (struct !== undefined) return this.struct(name, struct.fields);
    const set = this.#find((module) => module.enums.get(name));
    if (set !== undefined) {
      const base = BASE.get(set.type);
      if (base === undefined) throw new ApiSchemaError('no integer type', { object: name, value: set.type });
      return set.flags ? flagsCodec(set, base) : enumCodec(set, base);
    }
    const alias = this.#find((module) => module.aliases.get(name));
    if (alias !== undefined) {
      const extent =
        alias.length === undefined
          ? ({ kind: 'one' } as const)
          : ({ kind: 'fixed', length: alias.length } as const);
      const of = this.#field(owner, { name: field.name, type: alias.type, extent });
      if ('codec' in of) return of.codec;
    }
    throw new ApiSchemaError(`type ${name} is nowhere`, { object: owner, field: field.name });
  }

  #union(union: StructSchema, discriminator: Discriminator): FixedCodec {
    const arms = union.fields.map((field): Arm => {
      const of = this.#field(union.name, field);
      if (!('codec' in of) || of.codec.size === undefined) {
        throw new ApiSchemaError('an arm of varying size', { object: union.name, field: field.name });
      }
      return { name: field.name, codec: of.codec, when: casesOf(union, field) };
    });
    return unionCodec(union.name, arms, discriminator);
  }

  #find<T>(get: (module: ModuleSchema) => T | undefined): T | undefined {
    const own = get(this.module);
    if (own !== undefined) return own;
    for (const module of this.schema.modules.values()) {
      const found = get(module);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** The bytes of a default other than zero; undefined where there is none. */
function initialOf(owner: string, field: FieldSchema, codec: Codec): Uint8Array | undefined {
  const given = field.default;
  if (given === undefined || codec.size === undefined) return undefined;
  const writer = new Writer(codec.size);
  writer.append(codec.initial);
  for (const value of readings(given)) {
    try {
      codec.put(writer, 0, value);
      return writer.bytes.subarray(0, codec.size);
    } catch (error) {
      if (!(error instanceof FieldProblem)) throw error;
    }
  }
  throw new ApiSchemaError('a default of another type', { object: owner, field: field.name, value: given });
}

/** What a default may mean: `"true"`, a number as text, a symbol; 1 for a boolean; -1 for the highest number. */
function readings(given: number | boolean | string): readonly (number | boolean | string)[] {
  if (given === 'true' || given === 'false') return [given === 'true'];
  if (typeof given === 'number') return [given, given !== 0, given >>> 0];
  return typeof given === 'string' ? [given, Number(given)] : [given];
}
