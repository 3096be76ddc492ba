/**
 * Structs of fixed size, written by a function made for each of them: a few statements a field. In the loop that serves all structs every
 * access to a field and every call is one of many kinds, and costs several times as much; a list of 1,000 ACL rules has 10,000 fields.
 */
import type { Writer } from './bytes.js';
import type { FixedCodec } from './codec.js';
import type { Members, Placed } from './fields.js';

/** False, or whatever a codec throws: the value is not plain, and may have been written in part. */
export type Unrolled = (into: Writer, at: number, value: Members) => boolean;

/** Names come from files: nothing but a name becomes code. */
const NAME = /^[a-zA-Z_]\w*$/;

/** Where a function cannot be made (`--disallow-code-generation-from-strings`) it is one that always says false. */
export function unrolled(fields: readonly Placed[]): Unrolled {
  if (!fields.every(({ name }) => NAME.test(name))) return () => false;
  const body = [
    '"use strict";',
    ...fields.map((_, i) => `const c${i} = codecs[${i}];`),
    'return function (into, at, o) {',
    'const b = into.bytes;',
    'let v, n = 0;',
    'for (const _ in o) n++;',
    ...fields.map(
      ({ name, offset, codec }, i) =>
        `if ((v = o.${name}) !== undefined) { n--; ${statements(codec, `c${i}`, offset)} }`,
    ),
    'return n === 0; };',
  ];
  try {
    return new Function('codecs', body.join('\n'))(fields.map(({ codec }) => codec)) as Unrolled;
  } catch (error) {
    if (error instanceof EvalError) return () => false;
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
