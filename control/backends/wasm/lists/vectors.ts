/** The bit vectors of a short list (LIST_VECTOR_SIZE in dataplane-as/lists/layout.ts). */
import { LIST_PORT_BLOCK, NO_RULE } from '../../../../dataplane-as/lists/layout.js';
import type { Ends } from './ends.js';
import { RANGES } from './port-lines.js';
import type { Scratch } from './scratch.js';

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

/** Makes them, in the scratch memory, for rules with these ends and ranges (packRanges), which are numbered in steps of `gap`. */
export function bitVectors(
  { src, dst, sources, targets }: Ends,
  ranges: Uint32Array,
  gap: number,
  scratch: Scratch,
): BitVectors {
  const last = sources.length;
  const words = Math.ceil((last + 1) / 128) * 4;
  const numbers = scratch.words(last + 1);
  for (let i = 0; i < last; i++) numbers[i] = (i + 1) * gap;
  numbers[last] = NO_RULE;
  const srcPorts = rangeVectors(ranges, 0, PORTS, words, scratch);
  const dstPorts = rangeVectors(ranges, 1, PORTS, words, scratch);
  const protocols = rangeVectors(ranges, 2, PROTOCOLS, words, scratch);
  const from = src.vectors(sources, words, last, scratch);
  const to = dst.vectors(targets, words, last, scratch);
  const all = [from, to, srcPorts.vectors, dstPorts.vectors, protocols.vectors];
  return {
    size: words * 4,
    parts: all.map((vectors) => partsOf(vectors, words, scratch)),
    sections: [
      ...[from, to],
      ...[portBlocks(srcPorts.starts, scratch), srcPorts.vectors],
      ...[portBlocks(dstPorts.starts, scratch), dstPorts.vectors],
      ...[protocolTable(protocols.starts, scratch), protocols.vectors, numbers],
    ],
  };
}

/**
 * Vectors of the stretches of values in which the same ranges of a dimension hold: a bit for each of these, and one more; and where
 * each stretch begins.
 */
function rangeVectors(
  ranges: Uint32Array,
  dimension: number,
  values: number,
  words: number,
  scratch: Scratch,
): { readonly starts: Uint32Array; readonly vectors: Uint32Array } {
  const rules = ranges.length / RANGES;
  // Where a range begins or has ended, its bit changes. Most begin with the first value: these need no sorting.
  const changes = scratch.words(rules * 2);
  const first = scratch.words(words);
  first[rules >> 5] = 1 << (rules & 31);
  let count = 0;
  for (let i = 0; i < rules; i++) {
    const range = ranges[i * RANGES + dimension] ?? 0;
    const low = range & 0xffff;
    const behind = (~range >>> 16) + 1;
    if (low === 0) first[i >> 5] = (first[i >> 5] ?? 0) | (1 << (i & 31));
    else changes[count++] = (low << RULE_BITS) | i;
    if (behind < values) changes[count++] = (behind << RULE_BITS) | i;
  }
  const sorted = changes.subarray(0, count).sort();
  let stretches = 1;
  for (let i = 0, latest = 0; i < count; i++) {
    const start = (sorted[i] ?? 0) >>> RULE_BITS;
    if (start !== latest) stretches++;
    latest = start;
  }
  const starts = scratch.words(stretches);
  const vectors = scratch.words(stretches * words);
  for (let word = 0; word < words; word++) vectors[word] = first[word] ?? 0;
  let at = 0;
  let n = 0;
  for (let i = 0, latest = 0; i < count; i++) {
    const change = sorted[i] ?? 0;
    const start = change >>> RULE_BITS;
    if (start !== latest) {
      starts[++n] = start;
      latest = start;
      for (let end = at + words; at < end; at++) vectors[at + words] = vectors[at] ?? 0;
    }
    const rule = change & (2 ** RULE_BITS - 1);
    const word = at + (rule >> 5);
    vectors[word] = (vectors[word] ?? 0) ^ (1 << (rule & 31));
  }
  return { starts, vectors };
}

/** For each vector, `words` words long, a bit for each 128 of its bits that are not all 0. */
function partsOf(vectors: Uint32Array, words: number, scratch: Scratch): Uint32Array {
  const parts = scratch.words(vectors.length / words);
  let at = 0;
  for (let vector = 0; vector < parts.length; vector++) {
    let bits = 0;
    for (let word = 0; word < words; word++) if (vectors[at++] !== 0) bits |= 1 << (word >> 2);
    parts[vector] = bits;
  }
  return parts;
}

/** Which vector each port has (LIST_PORT_BLOCK); neighbours that are alike share a block. */
function portBlocks(starts: Uint32Array, scratch: Scratch): Uint32Array {
  const size = LIST_PORT_BLOCK;
  const halves = scratch.halves(size + size * Math.min(size, 2 * starts.length));
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
  return new Uint32Array(halves.buffer, halves.byteOffset, ((block + 1) * size) / 2);
}

function protocolTable(starts: Uint32Array, scratch: Scratch): Uint32Array {
  const table = scratch.halves(PROTOCOLS);
  for (let n = 1; n < starts.length; n++) table.fill(n, starts[n], starts[n + 1] ?? PROTOCOLS);
  return new Uint32Array(table.buffer, table.byteOffset, PROTOCOLS / 2);
}
