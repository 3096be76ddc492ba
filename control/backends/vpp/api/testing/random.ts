/** Random values for the fields of a message, as its description allows, canonical so that they can be compared when read back. */
import type { Fields, Value } from '../api.js';
import { TypeCompiler } from '../codec/compile.js';
import { casesOf, discriminatorOf } from '../codec/discriminators.js';
import {
  type ApiSchema,
  type FieldSchema,
  joinModules,
  type MessageSchema,
  type ModuleSchema,
} from '../schema.js';

/** A number below `below`; always the same ones for a seed (mulberry32). */
export function randomSource(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
  };
}

type Random = (below: number) => number;

/** Fields of a message; counts are left to the codec. */
export function randomFields(schema: ApiSchema, message: MessageSchema, random: Random): Fields {
  const module = schema.modules.get(message.module);
  if (module === undefined) throw new Error(`no module ${message.module}`);
  const first = message.fields.findIndex(
    ({ name }, i) => i > 0 && name !== 'client_index' && name !== 'context',
  );
  return first < 0 ? {} : struct(module, message.name, message.fields.slice(first), random, {});
}

function struct(
  module: ModuleSchema,
  owner: string,
  fields: readonly FieldSchema[],
  random: Random,
  outer: Fields,
): Fields {
  const counts = new Map(
    fields.flatMap((field) => (field.extent.kind === 'counted' ? [[field.extent.by, field]] : [])),
  );
  const self: Record<string, Value> = {};
  for (const field of fields) {
    if (counts.has(field.name)) self[field.name] = random(4);
    else self[field.name] = value(module, owner, field, random, self, outer);
  }
  return self;
}

function value(
  module: ModuleSchema,
  owner: string,
  field: FieldSchema,
  random: Random,
  self: Fields,
  outer: Fields,
): Value {
  const { extent } = field;
  if (field.type === 'string') return text(random(extent.kind === 'fixed' ? extent.length : 200), random);
  if (extent.kind === 'one') return single(module, owner, field, random, self, outer);
  const length =
    extent.kind === 'fixed' ? extent.length : extent.kind === 'counted' ? Number(self[extent.by]) : random(4);
  if (field.type === 'u8') return Uint8Array.from({ length }, () => random(256));
  return Array.from({ length }, () => single(module, owner, field, random, self, outer));
}

const INTEGERS: Readonly<Record<string, readonly [number, number]>> = {
  u8: [0, 8],
  i8: [1, 8],
  u16: [0, 16],
  i16: [1, 16],
  u32: [0, 32],
  i32: [1, 32],
};

function single(
  module: ModuleSchema,
  owner: string,
  field: FieldSchema,
  random: Random,
  self: Fields,
  outer: Fields,
): Value {
  const { type } = field;
  const integer = INTEGERS[type];
  if (integer !== undefined) {
    const [signed, bits] = integer;
    return random(2 ** bits) - (signed === 1 ? 2 ** (bits - 1) : 0);
  }
  const special = SPECIAL[type];
  if (special !== undefined) return special(random);
  const set = module.enums.get(type);
  if (set !== undefined) {
    if (!set.flags) return canonicalSymbol(set.symbols, random);
    const bits = set.symbols.filter(([, bit]) => bit !== 0 && (bit & (bit - 1)) === 0);
    return bits.filter(() => random(2) === 1).map(([symbol]) => symbol);
  }
  const union = module.unions.get(type);
  if (union !== undefined) {
    const symbol = discriminatorOf(owner, field)(self, outer);
    const arm = union.fields.find((candidate) => casesOf(union, candidate).includes(String(symbol)));
    if (arm === undefined)
      return {
        raw: new Uint8Array(new TypeCompiler(module, joinModules([module])).struct(owner, [field]).size ?? 0),
      };
    return { [arm.name]: value(module, type, arm, random, {}, self) };
  }
  const alias = module.aliases.get(type);
  if (alias !== undefined) {
    const extent =
      alias.length === undefined
        ? { kind: 'one' as const }
        : { kind: 'fixed' as const, length: alias.length };
    return value(module, owner, { name: field.name, type: alias.type, extent }, random, self, outer);
  }
  return struct(module, type, module.types.get(type)?.fields ?? [], random, self);
}

const hex = (random: Random, digits: number) =>
  random(16 ** digits)
    .toString(16)
    .padStart(digits, '0');

const ip4 = (random: Random) => Array.from({ length: 4 }, () => random(256)).join('.');
/** No group is zero, so that there is nothing to shorten. */
const ip6 = (random: Random) => Array.from({ length: 8 }, () => (1 + random(65535)).toString(16)).join(':');

const SPECIAL: Readonly<Record<string, (random: Random) => Value>> = {
  bool: (random) => random(2) === 1,
  f64: (random) => random(1_000_000) / 7,
  u64: (random) => (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32)),
  i64: (random) => ((BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32))) - (1n << 63n),
  ip4_address: ip4,
  ip6_address: ip6,
  address: (random) => (random(2) === 0 ? ip4(random) : ip6(random)),
  prefix: (random) => (random(2) === 0 ? `${ip4(random)}/${random(33)}` : `${ip6(random)}/${random(129)}`),
  ip4_prefix: (random) => `${ip4(random)}/${random(33)}`,
  ip6_prefix: (random) => `${ip6(random)}/${random(129)}`,
  mac_address: (random) => Array.from({ length: 6 }, () => hex(random, 2)).join(':'),
};

function text(length: number, random: Random): string {
  return Array.from({ length }, () => String.fromCharCode(33 + random(90))).join('');
}

/** Of symbols that share a number the first is read back. */
function canonicalSymbol(symbols: readonly (readonly [string, number])[], random: Random): string {
  const number = symbols[random(symbols.length)]?.[1];
  return symbols.find(([, value]) => value === number)?.[0] ?? '';
}
