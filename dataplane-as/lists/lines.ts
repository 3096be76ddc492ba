/** Rules in lines: the first one of each pair's that its packet meets, by comparing four at once, and by port sets where they are many. */
import { PORTSET_FROM, PORTSET_LINES, PORTSET_SHIFT } from '../layout';
import { saidOf } from '../port-lines';
import {
  LINE_DST_PORTS,
  LINE_NUMBERS,
  LINE_PROTOCOLS,
  LINE_SHIFT,
  LINE_SIZE,
  LINE_SRC_PORTS,
  LINES_COUNT,
  LINES_COUNT_SHIFT,
  LINES_FIRST,
} from './layout';

/** Of each packet: its key in port sets. */
export const KEYS: usize = memory.data(256 * 4, 64);
/** Lines of rules to look at: line, packet. */
const LINES: usize = memory.data(1024 * 8, 64);
const LINES_END: usize = LINES + 1024 * 8;
/** Port sets to look at: line, packet, how many lines from there on (16 bytes each). */
const PORT_SETS: usize = memory.data(257 * 16, 64);

/** Bytes of a header that each lane of ranges is compared with, and what complements the upper ones. */
const SRC_PORT: usize = memory.data<u8>([9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8], 16);
export const DST_PORT: usize = memory.data<u8>(
  [11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10],
  16,
);
const PROTOCOL: usize = memory.data<u8>([12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13], 16);
export const UPPER: usize = memory.data<u32>([0, 0, 0xffffffff, 0xffffffff], 16);

/** Judges pairs between `begin` and `end` (what a cell says about lines, packet: 8 bytes each); `lines` is where the list's lines lie. */
export function judgeLines(lines: usize, from: usize, begin: usize, end: usize, answers: usize): void {
  let line = LINES;
  let set = PORT_SETS;
  for (let at = begin; at < end; at += 8) {
    const where = load<u32>(at);
    const packet = <usize>load<u32>(at, 4);
    const first = lines + ((<usize>(where & LINES_FIRST)) << LINE_SHIFT);
    const count = (where >> LINES_COUNT_SHIFT) & LINES_COUNT;
    const other = (<u64>packet) << 32;
    store<u64>(line, other | first);
    store<u64>(line, other | (first + LINE_SIZE), 8);
    line += (<usize>(<u32>(count !== 0)) + <usize>(<u32>(count > 1))) << 3;
    if (count > 2) {
      // Two for each pair that is left find a place in any case.
      const room = (<usize>(LINES_END - line) >> 3) - ((<usize>(end - at) >> 3) << 1);
      for (let more: u32 = 2; more < count; more++) {
        const next = first + ((<usize>more) << LINE_SHIFT);
        if (<usize>more > room) test(next, from, packet, answers);
        else {
          store<u64>(line, other | next);
          line += 8;
        }
      }
    }
    store<u64>(set, other | (first + ((<usize>count) << LINE_SHIFT)));
    set += (<usize>(where >> 31)) << 4;
  }
  for (let at = LINES; at < line; at += 8) test(<usize>load<u32>(at), from, <usize>load<u32>(at, 4), answers);
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

/** The better of a packet's answer so far and the first rule of a line that it meets. */
function test(line: usize, from: usize, packet: usize, answers: usize): void {
  lower(answers + (packet << 2), firstOf(line, v128.load(from + (packet << 4))));
}

/** The same by a port set. */
function testPorts(line: usize, packet: usize, answers: usize): void {
  lower(answers + (packet << 2), saidOf(line, v128.load32_splat(KEYS + (packet << 2))));
}

/** Puts the lower of two numbers at `at`, without a branch. */
export function lower(at: usize, number: u32): void {
  const lowest = i32x4.min_u(v128.load32_zero(at), i32x4.splat(number));
  v128.store32_lane(at, lowest, 0);
}

/** Number of the first rule of a line that a header meets, or NO_RULE. */
function firstOf(line: usize, header: v128): u32 {
  const upper = v128.load(UPPER);
  const srcPort = v128.xor(i8x16.swizzle(header, v128.load(SRC_PORT)), upper);
  const dstPort = v128.xor(i8x16.swizzle(header, v128.load(DST_PORT)), upper);
  const protocol = v128.xor(i8x16.swizzle(header, v128.load(PROTOCOL)), upper);
  // What is above zero: below the lowest, or above the highest.
  const src = i16x8.sub_sat_u(v128.load(line, LINE_SRC_PORTS), srcPort);
  const dst = i16x8.sub_sat_u(v128.load(line, LINE_DST_PORTS), dstPort);
  const outside = v128.or(v128.or(src, dst), i16x8.sub_sat_u(v128.load(line, LINE_PROTOCOLS), protocol));
  const both = i16x8.bitmask(i16x8.eq(outside, i16x8.splat(0)));
  const met = both & (both >> 4) & 15;
  return load<u32>(line + (ctz(met | 8) << 2), LINE_NUMBERS) | (<u32>(met !== 0) - 1);
}
