/**
 * Finds the first matching rule of an access list for many packets, in stages whose loads do not wait for each other: classes of
 * both addresses, pairs of prefixes that may have rules, lines of rules. Hardly a branch depends on the packet.
 */
import {
  HASH_A,
  HASH_C,
  HASH_D,
  PORTSET_FROM,
  PORTSET_INTERVALS,
  PORTSET_LINES,
  PORTSET_SHIFT,
  PORTSET_TO,
  PORTSET_VERDICT,
} from '../layout';
import {
  BUCKET_DST,
  BUCKET_LINES,
  BUCKET_LOWEST,
  BUCKET_SHIFT,
  BUCKET_SIZE,
  BUCKET_SRC,
  CLASS_BOUNDS,
  CLASS_NO_BOUND,
  CLASS_PREFIXES,
  CLASS_SHIFT,
  LINE_DST_PORTS,
  LINE_NUMBERS,
  LINE_PROTOCOLS,
  LINE_SHIFT,
  LINE_SIZE,
  LINE_SRC_PORTS,
  LIST_BOUND_SHIFT,
  LIST_BOUNDS,
  LIST_DST_CLASSES,
  LIST_DST_TRIE,
  LIST_LENGTHS_SHIFT,
  LIST_LINES,
  LIST_LOOSE,
  LIST_LOOSE_COUNT,
  LIST_PAIRS,
  LIST_PAIRS_LOG2,
  LIST_SHORT,
  LIST_SRC_CLASSES,
  LIST_SRC_TRIE,
  LIST_VECTOR_SIZE,
  LOOSE_SIZE,
  NO_RULE,
  PAIR_COUNT,
  PAIR_COUNT_SHIFT,
  PAIR_LINE,
  PREFIX_LENGTH_SHIFT,
} from './layout';
import { BATCH, intersect, intersectOne, locate } from './short';
import { classOf, shortClassOf } from './trie';

/** Of each packet: its classes, its three values as a line's ranges want them (48 bytes), its key in port sets. */
const CLASSES: usize = memory.data(256 * 8, 64);
const VALUES: usize = memory.data(256 * 48, 64);
const KEYS: usize = memory.data(256 * 4, 64);
/** Pairs to look at, one of each packet: source and destination prefix, bucket, packet (16 bytes each). */
const PAIRS: usize = memory.data(257 * 16, 64);
/** Lines of rules to look at: line, packet. */
const LINES: usize = memory.data(1024 * 8, 64);
const LINES_END: usize = LINES + 1024 * 8;
/** Port sets to look at: line, packet, how many lines from there on. They take the places of the pairs they are found by. */
const PORT_SETS: usize = PAIRS;
/** Cell of a pair that is not there: no line of rules, no port set. */
const NONE: usize = memory.data(64, 64);

/** Pairs of each packet that were not looked at yet, and the packets that have some. */
const OTHERS: usize = memory.data(256 * 8, 64);
const ACTIVE: usize = memory.data(256 * 4, 64);

/** One in each byte. */
const EVERY_BYTE: u64 = ((<u64>0x01010101) << 32) | 0x01010101;

/** Bytes of a header that each lane of a line's ranges is compared with, and what complements the upper ones. */
const SRC_PORT: usize = memory.data<u8>([9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8], 16);
const DST_PORT: usize = memory.data<u8>([11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10], 16);
const PROTOCOL: usize = memory.data<u8>([12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13], 16);
const UPPER: usize = memory.data<u32>([0, 0, 0xffffffff, 0xffffffff], 16);

function classify(list: usize, from: usize, count: u32): void {
  const short = load<u32>(list, LIST_SHORT) !== 0;
  const srcTrie = list + load<u32>(list, LIST_SRC_TRIE);
  const dstTrie = list + load<u32>(list, LIST_DST_TRIE);
  const srcClasses = list + load<u32>(list, LIST_SRC_CLASSES);
  const dstClasses = list + load<u32>(list, LIST_DST_CLASSES);
  for (let i: usize = 0; i < <usize>count; i++) {
    const header = v128.load(from + (i << 4));
    const upper = v128.load(UPPER);
    const to = VALUES + i * 48;
    v128.store(to, v128.xor(i8x16.swizzle(header, v128.load(SRC_PORT)), upper));
    v128.store(to, v128.xor(i8x16.swizzle(header, v128.load(DST_PORT)), upper), 16);
    v128.store(to, v128.xor(i8x16.swizzle(header, v128.load(PROTOCOL)), upper), 32);
    const port = <u32>bswap<u16>(load<u16>(from + (i << 4), 10));
    store<u32>(KEYS + (i << 2), (load<u32>(from + (i << 4), 12) << 16) | port);
    const source = load<u32>(from + (i << 4));
    const target = load<u32>(from + (i << 4), 4);
    const src = short ? shortClassOf(srcTrie, source) : classOf(srcTrie, source);
    const dst = short ? shortClassOf(dstTrie, target) : classOf(dstTrie, target);
    store<u32>(CLASSES + (i << 3), <u32>(srcClasses + (src << CLASS_SHIFT)));
    store<u32>(CLASSES + (i << 3), <u32>(dstClasses + (dst << CLASS_SHIFT)), 4);
  }
}

/** Notes a pair of prefixes to look at. */
function note(table: usize, shift: u32, at: usize, src: u32, dst: u32, packet: usize): void {
  let h = (src * <u32>HASH_A) ^ (dst * <u32>HASH_C);
  h = (h ^ (h >> 15)) * <u32>HASH_D;
  store<u64>(at, ((<u64>dst) << 32) | src);
  store<u64>(at, ((<u64>packet) << 32) | (table + ((h >> shift) << BUCKET_SHIFT)), 8);
}

/** Those pairs of places of two classes that may have a rule whose number is below `answer`, which is shifted. */
function below(src: usize, dst: usize, answer: u32): u64 {
  const limit = i16x8.splat(<i16>answer);
  const rows = i16x8.le_u(v128.load(src, CLASS_BOUNDS), limit);
  const columns = <u64>i16x8.bitmask(i16x8.le_u(v128.load(dst, CLASS_BOUNDS), limit));
  // Each row of pairs is a byte.
  return <u64>i64x2.extract_lane(i8x16.narrow_i16x8_s(rows, rows), 0) & (columns * EVERY_BYTE);
}

/**
 * Judges packets by pairs, in rounds: the longest prefixes first, where rules tend to come early, and of the others only those that may
 * have a rule before the one found so far.
 */
function match(list: usize, count: u32, answers: usize): void {
  const bounds = list + load<u32>(list, LIST_BOUNDS);
  const boundShift = load<u32>(list, LIST_BOUND_SHIFT);
  const table = list + load<u32>(list, LIST_PAIRS);
  const shift = 32 - load<u32>(list, LIST_PAIRS_LOG2);
  let active: usize = 0;
  let noted: u32 = 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const src = <usize>load<u32>(CLASSES + (i << 3));
    const dst = <usize>load<u32>(CLASSES + (i << 3), 4);
    const tuples = load<u64>(src) & load<u64>(dst);
    // Where there is none, bit 0 is looked at for nothing.
    const bit = 63 - <u32>clz(tuples | 1);
    const s = load<u32>(src + ((bit >> 3) << 2), CLASS_PREFIXES);
    const d = load<u32>(dst + ((bit & 7) << 2), CLASS_PREFIXES);
    note(table, shift, PAIRS + (noted << 4), s, d, i);
    noted += <u32>(tuples !== 0);
    const others = tuples & ~((<u64>1) << bit);
    store<u32>(answers + (i << 2), NO_RULE);
    store<u64>(OTHERS + (i << 3), others);
    store<u32>(ACTIVE + (active << 2), <u32>i);
    active += <usize>(<u32>(others !== 0));
  }
  judge(list, noted, answers);
  while (active !== 0) {
    noted = 0;
    let left: usize = 0;
    for (let k: usize = 0; k < active; k++) {
      const packet = <usize>load<u32>(ACTIVE + (k << 2));
      const src = <usize>load<u32>(CLASSES + (packet << 3));
      const dst = <usize>load<u32>(CLASSES + (packet << 3), 4);
      const answer = load<u32>(answers + (packet << 2));
      const tuples =
        load<u64>(OTHERS + (packet << 3)) & below(src, dst, min<u32>(answer >> boundShift, CLASS_NO_BOUND));
      const bit = 63 - <u32>clz(tuples | 1);
      const s = load<u32>(src + ((bit >> 3) << 2), CLASS_PREFIXES);
      const d = load<u32>(dst + ((bit & 7) << 2), CLASS_PREFIXES);
      note(table, shift, PAIRS + (noted << 4), s, d, packet);
      const lengths = ((s >> PREFIX_LENGTH_SHIFT) << LIST_LENGTHS_SHIFT) | (d >> PREFIX_LENGTH_SHIFT);
      noted += <u32>(load<u32>(bounds + (lengths << 2)) < answer) & <u32>(tuples !== 0);
      const others = tuples & ~((<u64>1) << bit);
      store<u64>(OTHERS + (packet << 3), others);
      store<u32>(ACTIVE + (left << 2), <u32>packet);
      left += <usize>(<u32>(others !== 0));
    }
    judge(list, noted, answers);
    active = left;
  }
}

/** Judges the first `noted` of the pairs: what lines they have, then all lines, then all port sets. */
function judge(list: usize, noted: u32, answers: usize): void {
  const lines = list + load<u32>(list, LIST_LINES);
  let line = LINES;
  let set = PORT_SETS;
  for (let at = PAIRS, end = PAIRS + (noted << 4); at < end; at += 16) {
    const bucket = <usize>load<u32>(at, 8);
    const src = i32x4.eq(v128.load(bucket, BUCKET_SRC), v128.load32_splat(at));
    const dst = i32x4.eq(v128.load(bucket, BUCKET_DST), v128.load32_splat(at, 4));
    const found = i32x4.bitmask(v128.and(src, dst));
    const missing = <usize>(<u32>(found !== 0) - 1);
    let cell = ((bucket + ((<usize>ctz(found)) << 2)) & ~missing) | (NONE & missing);
    // A pair that is not in a full bucket may be in the next one.
    if (missing & <usize>(<u32>(load<u32>(bucket, BUCKET_SRC + 12) !== 0)))
      cell = further(list, bucket, load<u64>(at));
    const packet = <usize>load<u32>(at, 12);
    // All ones where the pair may have a better rule than what was found so far.
    const better = 0 - <u32>(load<u32>(cell, BUCKET_LOWEST) < load<u32>(answers + (packet << 2)));
    const where = load<u32>(cell, BUCKET_LINES) & better;
    const first = lines + ((<usize>(where & PAIR_LINE)) << LINE_SHIFT);
    const count = (where >> PAIR_COUNT_SHIFT) & PAIR_COUNT;
    const other = (<u64>packet) << 32;
    store<u64>(line, other | first);
    store<u64>(line, other | (first + LINE_SIZE), 8);
    line += (<usize>(<u32>(count !== 0)) + <usize>(<u32>(count > 1))) << 3;
    if (count > 2) {
      // Two for each pair that is left find a place in any case.
      const room = (<usize>(LINES_END - line) >> 3) - ((<usize>(end - at) >> 4) << 1);
      for (let more: u32 = 2; more < count; more++) {
        const next = first + ((<usize>more) << LINE_SHIFT);
        if (<usize>more > room) test(next, packet, answers);
        else {
          store<u64>(line, other | next);
          line += 8;
        }
      }
    }
    store<u64>(set, other | (first + ((<usize>count) << LINE_SHIFT)));
    set += (<usize>(where >> 31)) << 4;
  }
  for (let at = LINES; at < line; at += 8) test(<usize>load<u32>(at), <usize>load<u32>(at, 4), answers);
  judgePorts(set, answers);
}

/** Judges all port sets before `end`: in each, step by step, the line that may hold the packet's key; then these lines. */
function judgePorts(end: usize, answers: usize): void {
  let most: u32 = 0;
  for (let at = PORT_SETS; at < end; at += 16) {
    const lines = load<u32>(<usize>load<u32>(at), PORTSET_LINES);
    store<u32>(at, lines, 8);
    most = max<u32>(most, lines);
  }
  for (; most > 1; most -= most >> 1) {
    for (let at = PORT_SETS; at < end; at += 16) {
      const line = <usize>load<u32>(at);
      const lines = load<u32>(at, 8);
      const half = lines >> 1;
      const middle = line + ((<usize>half) << PORTSET_SHIFT);
      // In a set that is down to one line the middle is the line itself.
      const later =
        0 - <usize>(<u32>(load<u32>(middle, PORTSET_FROM) <= load<u32>(KEYS + (load<u32>(at, 4) << 2))));
      store<u32>(at, <u32>(line ^ ((line ^ middle) & later)));
      store<u32>(at, lines - half, 8);
    }
  }
  for (let at = PORT_SETS; at < end; at += 16)
    testPorts(<usize>load<u32>(at), <usize>load<u32>(at, 4), answers);
}

/** The cell of a pair whose home is full. */
function further(list: usize, home: usize, pair: u64): usize {
  const table = list + load<u32>(list, LIST_PAIRS);
  const end = table + (BUCKET_SIZE << load<u32>(list, LIST_PAIRS_LOG2));
  const src = i32x4.splat(<i32>pair);
  const dst = i32x4.splat(<i32>(pair >> 32));
  let bucket = home;
  do {
    bucket += BUCKET_SIZE;
    if (bucket === end) bucket = table;
    const same = i32x4.eq(v128.load(bucket, BUCKET_SRC), src);
    const found = i32x4.bitmask(v128.and(same, i32x4.eq(v128.load(bucket, BUCKET_DST), dst)));
    if (found !== 0) return bucket + ((<usize>ctz(found)) << 2);
  } while (load<u32>(bucket, BUCKET_SRC + 12) !== 0 && bucket !== home);
  return NONE;
}

/** The better of a packet's answer so far and the first rule of a line that it meets. */
function test(line: usize, packet: usize, answers: usize): void {
  const answer = answers + (packet << 2);
  lower(answer, firstOf(line, VALUES + packet * 48));
}

/** The same by a port set. */
function testPorts(line: usize, packet: usize, answers: usize): void {
  const answer = answers + (packet << 2);
  const keys = v128.load32_splat(KEYS + (packet << 2));
  const above = i32x4.le_s(v128.load(line, PORTSET_FROM), keys);
  const inside = i32x4.bitmask(v128.and(above, i32x4.ge_s(v128.load(line, PORTSET_TO), keys)));
  const number = load<u32>(line + (ctz(inside | (1 << PORTSET_INTERVALS)) << 2), PORTSET_VERDICT);
  lower(answer, number);
}

/** Puts the lower of two numbers at `at`, without a branch. */
function lower(at: usize, number: u32): void {
  const lowest = i32x4.min_u(v128.load32_zero(at), i32x4.splat(number));
  v128.store32_lane(at, lowest, 0);
}

/** Number of the first rule of a line that a packet's values meet, or NO_RULE. */
function firstOf(line: usize, values: usize): u32 {
  // What is above zero: below the lowest, or above the highest.
  const src = i16x8.sub_sat_u(v128.load(line, LINE_SRC_PORTS), v128.load(values));
  const dst = i16x8.sub_sat_u(v128.load(line, LINE_DST_PORTS), v128.load(values, 16));
  const protocol = i16x8.sub_sat_u(v128.load(line, LINE_PROTOCOLS), v128.load(values, 32));
  const outside = v128.or(v128.or(src, dst), protocol);
  const both = i16x8.bitmask(i16x8.eq(outside, i16x8.splat(0)));
  const met = both & (both >> 4) & 15;
  return load<u32>(line + (ctz(met | 8) << 2), LINE_NUMBERS) | (<u32>(met !== 0) - 1);
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
      match(list, n, to);
      loose(list, at, n, to);
    }
  }
}
