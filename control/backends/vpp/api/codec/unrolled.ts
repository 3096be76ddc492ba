/**
 * Structs of fixed size, written by functions made for each of them: a few statements a field. In the loop that serves all structs every
 * access to a field and every call is one of many kinds, and costs several times as much; a list of 1,000 ACL rules has 10,000 fields.
 */
import type { Value } from '../api.js';
import type { Writer } from './bytes.js';
import type { FixedCodec } from './codec.js';
import type { Placed } from './fields.js';

export interface Unrolled {
  /** False, or whatever a codec throws: the value is not plain, and may have been written in part. */
  one(into: Writer, at: number, value: Value): boolean;
  /** The same of values that follow each other, from that of an index on; returns the index of the first that is not plain. */
  many(into: Writer, at: number, list: readonly Value[], from: number): number;
}

const NOTHING_PLAIN: Unrolled = { one: () => false, many: (_into, _at, _list, from) => from };

/** Names come from files: nothing but a name becomes code. */
const NAME = /^[a-zA-Z_]\w*$/;

/** Where functions cannot be made (`--disallow-code-generation-from-strings`) nothing is plain for them. `size`: of the struct. */
export function unrolled(fields: readonly Placed[], size: number): Unrolled {
  if (!fields.every(({ name }) => NAME.test(name))) return NOTHING_PLAIN;
  const body = [
    '"use strict";',
    ...fields.map((_, i) => `const c${i} = codecs[${i}];`),
    'function one(into, at, o) {',
    'const b = into.bytes;',
    'let v, n = 0;',
    'for (const _ in o) n++;',
    // An empty one, or what is no object at all.
    'if (n === 0) return false;',
    ...fields.map(
      ({ name, offset, codec }, i) =>
        `if ((v = o.${name}) !== undefined) { n--; ${statements(codec, `c${i}`, offset)} }`,
    ),
    'return n === 0; }',
    'function many(into, at, list, i) {',
    `while (i < list.length && one(into, at + i * ${size}, list[i])) i++;`,
    'return i; }',
    'return { one, many };',
  ];
  try {
    return new Function('codecs', body.join('\n'))(fields.map(({ codec }) => codec)) as Unrolled;
  } catch (error) {
    if (error instanceof EvalError) return NOTHING_PLAIN;
    throw error;
  }
}

/** What writes `v`. Of integers the code is here, as so many calls of one function are not inlined by the engine. */
function statements({ size, unsigned }: FixedCodec, codec: string, offset: number): string {
  if (unsigned === undefined) return `${codec}.put(into, at + ${offset}, v);`;
  const number = unsigned.numberOf === undefined ? '' : `v = ${codec}.unsigned.numberOf(v);`;
  const octets = Array.from(
    { length: size },
    (_, i) => `b[at + ${offset + i}] = v >>> ${8 * (size - 1 - i)};`,
  );
  return [number, `if (v >>> 0 !== v || v >= ${256 ** size}) return false;`, ...octets].join(' ');
}
