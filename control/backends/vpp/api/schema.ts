/** What VPP's `*.api.json` files say, as plain data. The format is the one of vppapigen, releases 20.01 to 26.06. */
import { ApiSchemaError } from './errors.js';

/** How often a field stands there: once, `fixed` times, as often as an earlier field says, or until the message ends. */
export type Extent =
  | { readonly kind: 'one' }
  | { readonly kind: 'fixed'; readonly length: number }
  | { readonly kind: 'counted'; readonly by: string }
  | { readonly kind: 'rest' };

export interface FieldSchema {
  readonly name: string;
  /** `u32`, `string`, or the bare name of a user type (`vl_api_address_t` → `address`). */
  readonly type: string;
  readonly extent: Extent;
  /** The value of a field left out; absent: zero. Booleans may be written as text. */
  readonly default?: number | boolean | string;
  /** Of a union: the earlier field that says which arm it has. */
  readonly discriminator?: string;
  /** Of an arm: the enum's symbol that chooses it. */
  readonly case?: string;
}

export interface StructSchema {
  readonly name: string;
  readonly fields: readonly FieldSchema[];
}

export interface EnumSchema {
  readonly name: string;
  /** Base type: `u8` … `u32`. */
  readonly type: string;
  readonly flags: boolean;
  readonly symbols: readonly (readonly [symbol: string, value: number])[];
}

export interface AliasSchema {
  readonly name: string;
  readonly type: string;
  /** Of an array. */
  readonly length?: number;
}

export interface MessageSchema extends StructSchema {
  /** Eight hexadecimal digits. */
  readonly crc: string;
  readonly module: string;
}

/** How a request is answered. `reply` absent: not at all. `details` present: a dump, ended by `reply` or else by a ping. */
export interface ServiceSchema {
  readonly reply?: string;
  readonly details?: string;
}

/** One file. Its types hold those of the files it imports. */
export interface ModuleSchema {
  readonly name: string;
  readonly types: ReadonlyMap<string, StructSchema>;
  readonly unions: ReadonlyMap<string, StructSchema>;
  readonly enums: ReadonlyMap<string, EnumSchema>;
  readonly aliases: ReadonlyMap<string, AliasSchema>;
  readonly messages: readonly MessageSchema[];
  readonly services: ReadonlyMap<string, ServiceSchema>;
}

/** All files of one VPP. */
export interface ApiSchema {
  readonly modules: ReadonlyMap<string, ModuleSchema>;
  readonly messages: ReadonlyMap<string, MessageSchema>;
  readonly services: ReadonlyMap<string, ServiceSchema>;
}

/** Reads the JSON of one file. Throws ApiSchemaError. */
export function parseModule(name: string, json: unknown): ModuleSchema {
  const file = record(json, name, 'file');
  const structs = (key: string) => list(file[key], name, key).map((entry) => parseStruct(entry, name, key));
  const enums = [
    ...list(file['enums'], name, 'enums').map((entry) => parseEnum(entry, name, false)),
    ...list(file['enumflags'], name, 'enumflags').map((entry) => parseEnum(entry, name, true)),
  ];
  const aliases = Object.entries(record(file['aliases'] ?? {}, name, 'aliases')).map(([alias, spec]) =>
    parseAlias(alias, spec, name),
  );
  const services = Object.entries(record(file['services'] ?? {}, name, 'services')).map(
    ([request, spec]) => [request, parseService(spec, name, request)] as const,
  );
  return {
    name,
    types: byName(structs('types')),
    unions: byName(structs('unions')),
    enums: byName(enums),
    aliases: byName(aliases),
    messages: list(file['messages'], name, 'messages').map((entry) => parseMessage(entry, name)),
    services: new Map(services),
  };
}

/** Joins files. A message of the same name in two files (`control_ping`) is kept in all its forms only in its module. */
export function joinModules(modules: readonly ModuleSchema[]): ApiSchema {
  const messages = new Map<string, MessageSchema>();
  const services = new Map<string, ServiceSchema>();
  for (const module of modules) {
    for (const message of module.messages)
      if (!messages.has(message.name)) messages.set(message.name, message);
    for (const [request, service] of module.services)
      if (!services.has(request)) services.set(request, service);
  }
  return { modules: byName(modules), messages, services };
}

function byName<T extends { readonly name: string }>(entries: readonly T[]): ReadonlyMap<string, T> {
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function parseMessage(entry: unknown, module: string): MessageSchema {
  const struct = parseStruct(entry, module, 'messages');
  const last = record((entry as readonly unknown[]).at(-1), module, struct.name);
  const crc = last['crc'];
  if (typeof crc !== 'string' || !/^0x[0-9a-f]{8}$/i.test(crc)) {
    throw new ApiSchemaError('a message without CRC', { object: module, field: struct.name, value: crc });
  }
  return { ...struct, crc: crc.slice(2).toLowerCase(), module };
}

/** `[name, field, …, {comment, crc}]`; the object at the end may be absent. */
function parseStruct(entry: unknown, module: string, section: string): StructSchema {
  const [name, ...rest] = list(entry, module, section);
  if (typeof name !== 'string')
    throw new ApiSchemaError('a type without name', { object: module, field: section });
  return { name, fields: rest.filter(Array.isArray).map((field) => parseField(field, module, name)) };
}

/** `[type, name, length?, count field?, options?]`. */
function parseField(entry: readonly unknown[], module: string, owner: string): FieldSchema {
  const [type, name] = entry;
  if (typeof type !== 'string' || typeof name !== 'string') {
    throw new ApiSchemaError('a field without type or name', { object: module, field: owner, value: entry });
  }
  const length = entry[2];
  const counter = entry[3];
  const last = entry.at(-1);
  const options = isRecord(last) ? last : {};
  const extent: Extent =
    typeof length !== 'number'
      ? { kind: 'one' }
      : length > 0
        ? { kind: 'fixed', length }
        : typeof counter === 'string'
          ? { kind: 'counted', by: counter }
          : { kind: 'rest' };
  const given = options['default'];
  return {
    name,
    type: bareType(type),
    extent,
    ...(typeof given === 'number' || typeof given === 'boolean' || typeof given === 'string'
      ? { default: given }
      : {}),
    ...(typeof options['discriminator'] === 'string' ? { discriminator: options['discriminator'] } : {}),
    ...(typeof options['case'] === 'string' ? { case: options['case'] } : {}),
  };
}

/**
 * `[name, [symbol, value], …, {enumtype}]`. Most sets of flags are declared as plain enums in VPP; they are told by their name:
 * `if_status_flags`.
 */
function parseEnum(entry: unknown, module: string, flags: boolean): EnumSchema {
  const [name, ...rest] = list(entry, module, 'enums');
  if (typeof name !== 'string') throw new ApiSchemaError('an enum without name', { object: module });
  const last = rest.at(-1);
  const type = isRecord(last) && typeof last['enumtype'] === 'string' ? last['enumtype'] : 'u32';
  const symbols = rest.filter(Array.isArray).map((pair): readonly [string, number] => {
    const [symbol, value] = pair as readonly unknown[];
    if (typeof symbol !== 'string' || typeof value !== 'number') {
      throw new ApiSchemaError('an enum value without symbol or number', { object: module, field: name });
    }
    return [symbol, value];
  });
  return { name, type, flags: flags || name.endsWith('_flags'), symbols };
}

function parseAlias(name: string, spec: unknown, module: string): AliasSchema {
  const { type, length } = record(spec, module, name);
  if (typeof type !== 'string')
    throw new ApiSchemaError('an alias without type', { object: module, field: name });
  return { name, type: bareType(type), ...(typeof length === 'number' ? { length } : {}) };
}

/** `stream` alone: a dump whose `reply` are the details. With `stream_msg`: those are the details, and `reply` ends it. */
function parseService(spec: unknown, module: string, request: string): ServiceSchema {
  const { reply, stream, stream_msg: details } = record(spec, module, request);
  const answered = typeof reply === 'string' && reply !== 'null';
  if (typeof details === 'string') return { details, ...(answered ? { reply } : {}) };
  if (!answered) return {};
  return stream === true ? { details: reply } : { reply };
}

function bareType(type: string): string {
  return type.startsWith('vl_api_') && type.endsWith('_t') ? type.slice(7, -2) : type;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function record(value: unknown, module: string, field: string): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw new ApiSchemaError('not an object', { object: module, field, value });
  return value;
}

/** A section left out is empty. */
function list(value: unknown, module: string, field: string): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new ApiSchemaError('not a list', { object: module, field, value });
  return value;
}
