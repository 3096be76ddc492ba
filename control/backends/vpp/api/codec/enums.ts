/** Enums are their symbol, flags the list of the symbols set. Numbers that have no symbol stay numbers, both ways. */
import type { Value } from '../api.js';
import type { EnumSchema } from '../schema.js';
import { FieldProblem } from './bytes.js';
import type { FixedCodec, Unsigned } from './codec.js';

/** `base` is the codec of the enum's integer type. */
export function enumCodec(schema: EnumSchema, base: FixedCodec): FixedCodec {
  const symbols = new Map([...schema.symbols].reverse().map(([symbol, value]) => [value, symbol]));
  const numbers = new Numbers(schema);
  return {
    size: base.size,
    initial: base.initial,
    ...(base.unsigned === undefined ? {} : { unsigned: numbers }),
    put(into, at, value) {
      if (typeof value !== 'string') return base.put(into, at, value);
      const number = numbers.numberOf(value);
      if (Number.isNaN(number)) throw noSymbol(schema.name, value);
      base.put(into, at, number);
    },
    read(from, self, outer) {
      const number = base.read(from, self, outer) as number;
      return symbols.get(number) ?? number;
    },
  };
}

/** Symbols to numbers; most are the same as the one before. */
class Numbers implements Unsigned {
  readonly #numbers: ReadonlyMap<string, number>;
  #symbol: Value | undefined;
  #number = 0;

  constructor({ symbols }: EnumSchema) {
    this.#numbers = new Map(symbols);
  }

  /** NaN: no symbol. */
  numberOf(symbol: Value): number {
    if (symbol === this.#symbol) return this.#number;
    const number = typeof symbol === 'string' ? this.#numbers.get(symbol) : undefined;
    if (number === undefined) return Number.NaN;
    this.#symbol = symbol;
    this.#number = number;
    return number;
  }
}

/** A list; also accepted: one number for all of them. */
export function flagsCodec(schema: EnumSchema, base: FixedCodec): FixedCodec {
  const numbers = new Map<string, number>(schema.symbols);
  // Symbols of one bit before those that stand for several.
  const named = schema.symbols
    .filter(([, value]) => value !== 0)
    .sort(([, a], [, b]) => Number((a & (a - 1)) !== 0) - Number((b & (b - 1)) !== 0));
  const known = new Map<number, readonly (string | number)[]>();
  return {
    size: base.size,
    initial: base.initial,
    put(into, at, value) {
      if (!Array.isArray(value)) {
        if (typeof value !== 'number') throw new FieldProblem(`must be a list of ${schema.name}`, value);
        return base.put(into, at, value);
      }
      let sum = 0;
      for (const flag of value as readonly Value[]) {
        const bits = typeof flag === 'string' ? numberOf(numbers, flag, schema.name) : flag;
        if (typeof bits !== 'number') throw new FieldProblem(`must be a list of ${schema.name}`, value);
        sum |= bits;
      }
      base.put(into, at, sum >>> 0);
    },
    read(from, self, outer) {
      const number = base.read(from, self, outer) as number;
      const before = known.get(number);
      if (before !== undefined) return before;
      const flags = split(number, named);
      if (known.size < 256) known.set(number, flags);
      return flags;
    },
  };
}

function split(number: number, named: readonly (readonly [string, number])[]): readonly (string | number)[] {
  const flags: (string | number)[] = [];
  let left = number;
  for (const [symbol, bits] of named) {
    if ((left & bits) >>> 0 !== bits >>> 0) continue;
    flags.push(symbol);
    left = (left & ~bits) >>> 0;
  }
  return Object.freeze(left === 0 ? flags : [...flags, left]);
}

function numberOf(numbers: ReadonlyMap<string, number>, symbol: string, name: string): number {
  const number = numbers.get(symbol);
  if (number === undefined) throw noSymbol(name, symbol);
  return number;
}

function noSymbol(name: string, symbol: string): FieldProblem {
  return new FieldProblem(`is no ${name}`, symbol);
}
