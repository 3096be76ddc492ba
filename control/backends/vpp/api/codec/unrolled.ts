/**
 * Structs of fixed size, written by a function made for each of them: one statement a field. In the loop that serves all structs every
 * access to a field and every call is one of many kinds, and costs several times as much; a list of 1,000 ACL rules has 10,000 fields.
 */
import type { Writer } from './bytes.js';
import type { Members, Placed } from './fields.js';

/** False, or whatever a codec throws: the value is not plain, and may have been written in part. */
export type Unrolled = (into: Writer, at: number, value: Members) => boolean;

/** Names come from files: nothing but a name becomes code. */
const NAME = /^[a-zA-Z_]\w*$/;

/** Where a function cannot be made (`--disallow-code-generation-from-strings`) it is one that always says false. */
export function unrolled(fields: readonly Placed[]): Unrolled {
  if (!fields.every(({ name }) => NAME.test(name))) return () => false;
  const codecs = fields.map(({ codec }) => codec);
  const parameters = fields.map((_, i) => `c${i}`);
  const statements = fields.map(
    ({ name, offset }, i) =>
      `if ((v = o.${name}) !== undefined) { n--; c${i}.put(into, at + ${offset}, v); }`,
  );
  const body = [
    '"use strict"; return function (into, at, o) {',
    'let v, n = 0;',
    'for (const _ in o) n++;',
    ...statements,
    'return n === 0; };',
  ].join('\n');
  try {
    return new Function(...parameters, body)(...codecs) as Unrolled;
  } catch (error) {
    if (error instanceof EvalError) return () => false;
    throw error;
  }
}
