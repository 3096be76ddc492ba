/** The bit vectors of a short list (LIST_VECTOR_SIZE in dataplane-as/lists/layout.ts). */
import { NO_RULE } from '../../../../dataplane-as/lists/layout.js';
import type { ListRule, Range } from './rule.js';
import type { Side } from './side.js';

export interface BitVectors {
  /** Bytes of a vector, a multiple of 16. */
  readonly size: number;
  /** In the order of the list's header. */
  readonly sections: readonly Uint32Array[];
}

/** Makes them for rules whose prefixes have these numbers; rules are numbered in steps of `gap`. */
export function bitVectors(
  rules: readonly ListRule[],
  src: Side,
  dst: Side,
  sources: Uint32Array,
  targets: Uint32Array,
  gap: number,
): BitVectors {
  const last = rules.length;
  const words = Math.ceil((last + 1) / 128) * 4;
  const numbers = Uint32Array.from(rules, (_, i) => (i + 1) * gap);
  const ranges = (values: number, of: (rule: ListRule) => Range) =>
    rangeVectors(rules.map(of), values, words);
  return {
    size: words * 4,
    sections: [
      ...[src.vectors(sources, words, last), dst.vectors(targets, words, last)],
      ...ranges(65_536, ({ srcPorts }) => srcPorts),
      ...ranges(65_536, ({ dstPorts }) => dstPorts),
      ...ranges(256, ({ protocols }) => protocols),
      Uint32Array.of(...numbers, NO_RULE),
    ],
  };
}

/** A table that says for each value which vector is its own, and the vectors: a bit for each range that holds it, and one more. */
function rangeVectors(ranges: readonly Range[], values: number, words: number): [Uint32Array, Uint32Array] {
  const begin = new Map<number, number[]>([[0, []]]);
  const end = new Map<number, number[]>();
  for (const [i, [low, high]] of ranges.entries()) {
    push(begin, low, i);
    if (high + 1 < values) push(end, high + 1, i);
  }
  const starts = [...new Set([...begin.keys(), ...end.keys()])].sort((a, b) => a - b);
  const vectors = new Uint32Array(starts.length * words);
  const table = new Uint16Array(values);
  for (const [n, start] of starts.entries()) {
    const at = n * words;
    if (n > 0) vectors.copyWithin(at, at - words, at);
    else vectors[ranges.length >> 5] = 1 << (ranges.length & 31);
    for (const i of end.get(start) ?? [])
      vectors[at + (i >> 5)] = (vectors[at + (i >> 5)] ?? 0) & ~(1 << (i & 31));
    for (const i of begin.get(start) ?? [])
      vectors[at + (i >> 5)] = (vectors[at + (i >> 5)] ?? 0) | (1 << (i & 31));
    table.fill(n, start, starts[n + 1] ?? values);
  }
  return [new Uint32Array(table.buffer), vectors];
}

function push(map: Map<number, number[]>, key: number, value: number): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
