/** The bit vectors of a short list (LIST_VECTOR_SIZE in dataplane-as/lists/layout.ts). */
import { LIST_PORT_BLOCK, NO_RULE } from '../../../../dataplane-as/lists/layout.js';
import type { ListRule, Range } from './rule.js';
import type { Side } from './side.js';

export interface BitVectors {
  /** Bytes of a vector, a multiple of 16. */
  readonly size: number;
  /** In the order of the list's header. */
  readonly sections: readonly Uint32Array[];
  /** Which parts of the vectors are not all 0. */
  readonly parts: readonly Uint32Array[];
}

const PORTS = 65_536;
const PROTOCOLS = 256;
/** A rule's place in the list fits in so many bits (VECTOR_RULES). */
const RULE_BITS = 11;

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
  const numbers = new Uint32Array(last + 1);
  for (let i = 0; i < last; i++) numbers[i] = (i + 1) * gap;
  numbers[last] = NO_RULE;
  const srcPorts = rangeVectors(rules, ({ srcPorts }) => srcPorts, PORTS, words);
  const dstPorts = rangeVectors(rules, ({ dstPorts }) => dstPorts, PORTS, words);
  const protocols = rangeVectors(rules, ({ protocols }) => protocols, PROTOCOLS, words);
  const [from, to] = [src.vectors(sources, words, last), dst.vectors(targets, words, last)];
  const all = [from, to, srcPorts.vectors, dstPorts.vectors, protocols.vectors];
  return {
    size: words * 4,
    parts: all.map((vectors) => partsOf(vectors, words)),
    sections: [
      ...[from, to],
      ...[portBlocks(srcPorts.starts), srcPorts.vectors],
      ...[portBlocks(dstPorts.starts), dstPorts.vectors],
      ...[protocolTable(protocols.starts), protocols.vectors, numbers],
    ],
  };
}

/** Vectors of the stretches of values in which the same ranges hold: a bit for each of these, and one more; and where each begins. */
function rangeVectors(
  rules: readonly ListRule[],
  of: (rule: ListRule) => Range,
  values: number,
  words: number,
): { readonly starts: readonly number[]; readonly vectors: Uint32Array } {
  // Where a range begins or has ended, its bit changes.
  const changes = new Uint32Array(rules.length * 2);
  let count = 0;
  for (let i = 0; i < rules.length; i++) {
    const [low, high] = of(rules[i] as ListRule);
    changes[count++] = (low << RULE_BITS) | i;
    if (high + 1 < values) changes[count++] = ((high + 1) << RULE_BITS) | i;
  }
  const sorted = changes.subarray(0, count).sort();
  const starts = [0];
  let latest = 0;
  for (let i = 0; i < count; i++) {
    const start = (sorted[i] ?? 0) >>> RULE_BITS;
    if (start !== latest) starts.push(start);
    latest = start;
  }
  const vectors = new Uint32Array(starts.length * words);
  vectors[rules.length >> 5] = 1 << (rules.length & 31);
  let next = 0;
  for (let n = 0; n < starts.length; n++) {
    const at = n * words;
    if (n > 0) vectors.copyWithin(at, at - words, at);
    for (; next < count && (sorted[next] ?? 0) >>> RULE_BITS === starts[n]; next++) {
      const i = (sorted[next] ?? 0) & (2 ** RULE_BITS - 1);
      const word = at + (i >> 5);
      vectors[word] = (vectors[word] ?? 0) ^ (1 << (i & 31));
    }
  }
  return { starts, vectors };
}

/** For each vector, `words` words long, a bit for each 128 of its bits that are not all 0. */
function partsOf(vectors: Uint32Array, words: number): Uint32Array {
  const parts = new Uint32Array(vectors.length / words);
  for (let i = 0; i < vectors.length; i++) {
    if (vectors[i] === 0) continue;
    const vector = Math.floor(i / words);
    parts[vector] = (parts[vector] ?? 0) | (1 << ((i - vector * words) >> 2));
  }
  return parts;
}

/** Which vector each port has (LIST_PORT_BLOCK); neighbours that are alike share a block. */
function portBlocks(starts: readonly number[]): Uint32Array {
  const size = LIST_PORT_BLOCK;
  const halves = new Uint16Array(size + size * Math.min(size, 2 * starts.length));
  let n = 0;
  let block = 0;
  /** The vector that all of the latest block have, -1 = there are several. */
  let uniform = -1;
  for (let upper = 0; upper < size; upper++) {
    const from = upper * size;
    while ((starts[n + 1] ?? PORTS) <= from) n++;
    const whole = (starts[n + 1] ?? PORTS) >= from + size;
    if (!whole || uniform !== n) {
      const at = ++block * size;
      for (let lower = 0; lower < size; ) {
        while ((starts[n + 1] ?? PORTS) <= from + lower) n++;
        const end = Math.min(size, (starts[n + 1] ?? PORTS) - from);
        halves.fill(n, at + lower, at + end);
        lower = end;
      }
      uniform = whole ? n : -1;
    }
    halves[upper] = block;
  }
  return new Uint32Array(halves.buffer, 0, ((block + 1) * size) / 2);
}

function protocolTable(starts: readonly number[]): Uint32Array {
  const table = new Uint16Array(PROTOCOLS);
  for (const [n, start] of starts.entries()) table.fill(n, start, starts[n + 1] ?? PROTOCOLS);
  return new Uint32Array(table.buffer);
}
