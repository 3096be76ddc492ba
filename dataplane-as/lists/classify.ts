/**
 * Finds the first matching rule of an access list for many packets, in stages whose loads do not wait for each other: classes of
 * both addresses, pairs of prefixes that may have rules, lines of rules. Hardly a branch depends on the packet.
 */
import { HASH_C } from '../layout';
import {
  BELOW_STEPS,
  BUCKET_DST_PORTS,
  BUCKET_FLAGS,
  BUCKET_KEYS,
  BUCKET_NUMBERS,
  BUCKET_PASSED,
  BUCKET_PROTOCOLS,
  BUCKET_SHIFT,
  BUCKET_SIZE,
  CLASS_PREFIX_SIZE,
  CLASS_PREFIXES,
  CLASS_SHIFT,
  LIST_BELOW,
  LIST_BELOW_SHIFT,
  LIST_BOUNDS,
  LIST_DST_CLASSES,
  LIST_DST_TREE,
  LIST_LEVELS,
  LIST_LINES,
  LIST_LOOSE,
  LIST_LOOSE_COUNT,
  LIST_PAIRS,
  LIST_PAIRS_LOG2,
  LIST_SRC_CLASSES,
  LIST_SRC_TREE,
  LIST_VECTOR_SIZE,
  LOOSE_SIZE,
  NO_RULE,
  PAIR_AWAY_SHIFT,
  PAIR_MOST_AWAY,
  PAIR_SOURCE_SHIFT,
  PREFIX_GROUP_BITS,
  PREFIX_GROUP_SHIFT,
  PREFIX_NUMBER,
} from './layout';
import { DST_PORT, judgeLines, KEYS, lower, UPPER } from './lines';
import { BATCH, intersect, intersectOne, locate } from './short';
import { locateClasses } from './tree';
import { classOf } from './trie';

/** Of each packet: where its classes lie. */
const CLASSES: usize = memory.data(256 * 8, 64);
/** Of each packet: its destination port and its protocol as a bucket's ranges want them (32 bytes). */
const VALUES: usize = memory.data(256 * 32, 64);
/** Pairs to look at, one of each packet: key, bucket, packet (16 bytes each). */
const PAIRS: usize = memory.data(257 * 16, 64);
/** Pairs whose rules are in lines: where, packet. They take the places of the pairs they are found by. */
const FOUND: usize = PAIRS;
/** Pairs of each packet that were not looked at yet, and the packets that have some. */
const OTHERS: usize = memory.data(256 * 8, 64);
const ACTIVE: usize = memory.data(256 * 4, 64);

/** The byte of a header that protocols in cells are compared with, and what complements the upper ones. */
const PROTOCOL_BYTES: usize = memory.data<u8>(
  [12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12],
  16,
);
const UPPER_BYTES: usize = memory.data<u32>([0, 0xffffffff, 0, 0], 16);

/** Classes of both addresses, and what ranges are compared with. */
function classify(list: usize, from: usize, count: u32): void {
  const levels = load<u32>(list, LIST_LEVELS);
  const srcTree = list + load<u32>(list, LIST_SRC_TREE);
  const dstTree = list + load<u32>(list, LIST_DST_TREE);
  const srcClasses = list + load<u32>(list, LIST_SRC_CLASSES);
  const dstClasses = list + load<u32>(list, LIST_DST_CLASSES);
  for (let i: usize = 0; i < <usize>count; i++) {
    const header = v128.load(from + (i << 4));
    const to = VALUES + (i << 5);
    v128.store(to, v128.xor(i8x16.swizzle(header, v128.load(DST_PORT)), v128.load(UPPER)));
    v128.store(to, v128.xor(i8x16.swizzle(header, v128.load(PROTOCOL_BYTES)), v128.load(UPPER_BYTES)), 16);
    const port = <u32>bswap<u16>(load<u16>(from + (i << 4), 10));
    store<u32>(KEYS + (i << 2), (load<u32>(from + (i << 4), 12) << 16) | port);
  }
  if (levels !== 0) {
    locateClasses(list, levels, srcTree, dstTree, srcClasses, dstClasses, from, count, CLASSES);
    return;
  }
  for (let i: usize = 0; i < <usize>count; i++) {
    const src = classOf(srcTree, load<u32>(from + (i << 4)));
    const dst = classOf(dstTree, load<u32>(from + (i << 4), 4));
    store<u32>(CLASSES + (i << 3), <u32>(srcClasses + (src << CLASS_SHIFT)));
    store<u32>(CLASSES + (i << 3), <u32>(dstClasses + (dst << CLASS_SHIFT)), 4);
  }
}

/** What a class names in a place: the prefix's number and group. Read with the byte before it, so as not to leave the class. */
function prefixAt(entry: usize, place: u32): u32 {
  return load<u32>(entry + <usize>(place * CLASS_PREFIX_SIZE), CLASS_PREFIXES - 1) >> 8;
}

/** Notes a pair of prefixes to look at. */
function note(table: usize, log2: u32, at: usize, src: u32, dst: u32, packet: usize): void {
  const s = src & PREFIX_NUMBER;
  const d = dst & PREFIX_NUMBER;
  const home = (s ^ ((d * <u32>HASH_C) >> (32 - log2))) & ((1 << log2) - 1);
  const key = d | ((s >> log2) << PAIR_SOURCE_SHIFT);
  store<u64>(at, ((<u64>(table + (home << BUCKET_SHIFT))) << 32) | key);
  store<u32>(at, <u32>packet, 8);
}

/**
 * Judges packets by pairs, in rounds: the longest prefixes first, where rules tend to come early, and of the others only those that may
 * have a rule before the one found so far.
 */
function match(list: usize, from: usize, count: u32, answers: usize): void {
  const bounds = list + load<u32>(list, LIST_BOUNDS);
  const below = list + load<u32>(list, LIST_BELOW);
  const belowShift = load<u32>(list, LIST_BELOW_SHIFT);
  const table = list + load<u32>(list, LIST_PAIRS);
  const log2 = load<u32>(list, LIST_PAIRS_LOG2);
  let active: usize = 0;
  let noted: u32 = 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const src = <usize>load<u32>(CLASSES + (i << 3));
    const dst = <usize>load<u32>(CLASSES + (i << 3), 4);
    const tuples = load<u64>(src) & load<u64>(dst);
    // Where there is none, bit 0 is looked at for nothing.
    const bit = 63 - <u32>clz(tuples | 1);
    note(table, log2, PAIRS + (noted << 4), prefixAt(src, bit >> 3), prefixAt(dst, bit & 7), i);
    noted += <u32>(tuples !== 0);
    const others = tuples & ~((<u64>1) << bit);
    store<u32>(answers + (i << 2), NO_RULE);
    store<u64>(OTHERS + (i << 3), others);
    store<u32>(ACTIVE + (active << 2), <u32>i);
    active += <usize>(<u32>(others !== 0));
  }
  judge(list, from, noted, answers);
  while (active !== 0) {
    noted = 0;
    let left: usize = 0;
    for (let k: usize = 0; k < active; k++) {
      const packet = <usize>load<u32>(ACTIVE + (k << 2));
      const src = <usize>load<u32>(CLASSES + (packet << 3));
      const dst = <usize>load<u32>(CLASSES + (packet << 3), 4);
      const answer = load<u32>(answers + (packet << 2));
      const step = <usize>min<u32>(answer >> belowShift, BELOW_STEPS - 1);
      const tuples = load<u64>(OTHERS + (packet << 3)) & load<u64>(below + (step << 3));
      const bit = 63 - <u32>clz(tuples | 1);
      const s = prefixAt(src, bit >> 3);
      const d = prefixAt(dst, bit & 7);
      note(table, log2, PAIRS + (noted << 4), s, d, packet);
      const groups = ((s >> PREFIX_GROUP_SHIFT) << PREFIX_GROUP_BITS) | (d >> PREFIX_GROUP_SHIFT);
      noted += <u32>(load<u32>(bounds + (groups << 2)) < answer) & <u32>(tuples !== 0);
      const others = tuples & ~((<u64>1) << bit);
      store<u64>(OTHERS + (packet << 3), others);
      store<u32>(ACTIVE + (left << 2), <u32>packet);
      left += <usize>(<u32>(others !== 0));
    }
    judge(list, from, noted, answers);
    active = left;
  }
}

/** Judges the first `noted` of the pairs: those with one rule, then the lines of the others. */
function judge(list: usize, from: usize, noted: u32, answers: usize): void {
  let found = FOUND;
  for (let at = PAIRS, end = PAIRS + (noted << 4); at < end; at += 16) {
    const packet = <usize>load<u32>(at, 8);
    let bucket = <usize>load<u32>(at, 4);
    let same = i32x4.bitmask(i32x4.eq(v128.load(bucket, BUCKET_KEYS), v128.load32_splat(at)));
    if (<u32>(same === 0) & (load<u32>(bucket, BUCKET_FLAGS) / BUCKET_PASSED)) {
      bucket = further(list, bucket, load<u32>(at));
      same = i32x4.bitmask(i32x4.eq(v128.load(bucket, BUCKET_KEYS), v128.load32_splat(FURTHER_KEY)));
    }
    const values = VALUES + (packet << 5);
    // What is above zero: below the lowest, or above the highest.
    const ports = i16x8.sub_sat_u(v128.load(bucket, BUCKET_DST_PORTS), v128.load(values));
    const protocols = i8x16.sub_sat_u(v128.load64_zero(bucket, BUCKET_PROTOCOLS), v128.load(values, 16));
    const inPorts = i16x8.bitmask(i16x8.eq(ports, i16x8.splat(0)));
    const both = inPorts & i8x16.bitmask(i8x16.eq(protocols, i8x16.splat(0)));
    const met = same & both & (both >> 4);
    const answer = answers + (packet << 2);
    lower(answer, load<u32>(bucket + (ctz(met | 8) << 2), BUCKET_NUMBERS) | (<u32>(met !== 0) - 1));
    const cell = bucket + (ctz(same | 8) << 1);
    store<u32>(
      found,
      load<u16>(cell, BUCKET_DST_PORTS) | ((<u32>load<u16>(cell, BUCKET_DST_PORTS + 8)) << 16),
    );
    store<u32>(found, <u32>packet, 4);
    const inLines = <u32>((same & load<u32>(bucket, BUCKET_FLAGS)) !== 0);
    const better = <u32>(load<u32>(bucket + (ctz(same | 8) << 2), BUCKET_NUMBERS) < load<u32>(answer));
    found += (<usize>(inLines & better)) << 3;
  }
  if (found !== FOUND) judgeLines(list + load<u32>(list, LIST_LINES), from, FOUND, found, answers);
}

/** What `further` left: the key that the pair has, or would have, in the bucket that it answered. */
const FURTHER_KEY: usize = memory.data(4, 4);

/** The bucket of a pair that is not in its home, which others of that home have passed; one where it is not if there is none. */
function further(list: usize, home: usize, homeKey: u32): usize {
  const table = list + load<u32>(list, LIST_PAIRS);
  const end = table + (BUCKET_SIZE << load<u32>(list, LIST_PAIRS_LOG2));
  let bucket = home;
  let key = homeKey;
  let same: i32 = 0;
  do {
    bucket += BUCKET_SIZE;
    if (bucket === end) bucket = table;
    key += 1 << PAIR_AWAY_SHIFT;
    same = i32x4.bitmask(i32x4.eq(v128.load(bucket, BUCKET_KEYS), i32x4.splat(<i32>key)));
  } while (
    <u32>(same === 0) &
    (load<u32>(bucket, BUCKET_FLAGS) / BUCKET_PASSED) &
    <u32>(key >> PAIR_AWAY_SHIFT < <u32>PAIR_MOST_AWAY)
  );
  store<u32>(FURTHER_KEY, key);
  return bucket;
}

/** Rules without a place, of which there are few if any. */
function loose(list: usize, from: usize, count: u32, answers: usize): void {
  const rules = load<u32>(list, LIST_LOOSE_COUNT);
  for (let r: u32 = 0; r < rules; r++) {
    const rule = list + load<u32>(list, LIST_LOOSE) + r * LOOSE_SIZE;
    for (let i: usize = 0; i < <usize>count; i++) {
      const header = from + (i << 4);
      const src = bswap<u32>(load<u32>(header));
      const dst = bswap<u32>(load<u32>(header, 4));
      if (
        (src & load<u32>(rule, 4)) !== load<u32>(rule) ||
        (dst & load<u32>(rule, 12)) !== load<u32>(rule, 8)
      )
        continue;
      if (!within(bswap<u16>(load<u16>(header, 8)), load<u32>(rule, 16))) continue;
      if (!within(bswap<u16>(load<u16>(header, 10)), load<u32>(rule, 20))) continue;
      if (!within(load<u16>(header, 12), load<u32>(rule, 24))) continue;
      const answer = answers + (i << 2);
      store<u32>(answer, min<u32>(load<u32>(answer), load<u32>(rule, 28)));
    }
  }
}

function within(value: u32, range: u32): bool {
  return (range & 0xffff) <= value && value <= range >> 16;
}

/**
 * Numbers of the first rules that match `count` packets, NO_RULE where none does, as words at `answers`. A packet's source,
 * destination, ports and protocol (16 bytes, as from V_SRC on) lie at `from`, one behind the other.
 */
export function classifyList(list: usize, from: usize, count: u32, answers: usize): void {
  const size = load<u32>(list, LIST_VECTOR_SIZE);
  for (let done: u32 = 0; done < count; done += BATCH) {
    const n = min<u32>(BATCH, count - done);
    const at = from + ((<usize>done) << 4);
    const to = answers + ((<usize>done) << 2);
    if (size !== 0) {
      locate(list, at, n);
      if (size === 16) intersectOne(list, n, to);
      else intersect(list, n, to);
    } else {
      classify(list, at, n);
      match(list, at, n, to);
      loose(list, at, n, to);
    }
  }
}
