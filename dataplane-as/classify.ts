/**
 * The ingress verdict for many packets at once: four go through the same instructions together, and the look-ups of different
 * groups overlap. The tables and the answers are those of policy.ts, which judges one packet.
 */
import { image } from './context';
import {
  HASH_A,
  HASH_B,
  HASH_C,
  IMG_LPM4,
  IMG_LPM4_LOG2,
  IMG_PAIRS,
  IMG_PAIRS_LOG2,
  IMG_POLICIES,
  IMG_POLICIES_COUNT,
  IMG_PORTSETS,
  IMG_PORTSETS_COUNT,
  LPM_USED,
  PORTSET_FROM,
  PORTSET_LINES,
  PORTSET_NO_FROM,
  PORTSET_SHIFT,
  PORTSET_TO,
  PORTSET_VERDICT,
  RULE_NONE,
  RULE_NOT_A_POD,
  RULE_OPEN,
  SPACE_IDENTITY,
  SPACE_TARGET,
  VERDICT_ALLOW,
} from './layout';
import { lookup4, MISS } from './lpm';
import { lineOf, portSetOf } from './policy';

/** Packets of one pass; what lies between its parts stays in the first cache. */
const BATCH: u32 = 64;
/** Of each packet: the first line of its port set, and the key to look for there. */
const LINES: usize = memory.data(64 * 4, 64);
const KEYS: usize = memory.data(64 * 4, 64);
/** Where the line of a packet lies that no policy judges. */
const FIXED: usize = memory.data(64 * 4, 64);
/** Such lines: no interval, and a default. */
const NO: u32 = PORTSET_NO_FROM;
const DENIED: usize = memory.data<u32>([NO, NO, NO, NO, 0, 0, 0, 0, 0, 0, 0, 0, RULE_NONE, 1, 0, 0], 64);
const OPEN: usize = memory.data<u32>(
  [NO, NO, NO, NO, 0, 0, 0, 0, 0, 0, 0, 0, VERDICT_ALLOW | RULE_OPEN, 1, 0, 0],
  64,
);
const AWAY: usize = memory.data<u32>(
  [NO, NO, NO, NO, 0, 0, 0, 0, 0, 0, 0, 0, VERDICT_ALLOW | RULE_NOT_A_POD, 1, 0, 0],
  64,
);
/** Of each packet, between the stages: slots to look at, what was found there. */
const SRC_SLOTS: usize = memory.data(64 * 4, 64);
const DST_SLOTS: usize = memory.data(64 * 4, 64);
const IDENTITIES: usize = memory.data(64 * 4, 64);
const POLICIES: usize = memory.data(64 * 4, 64);
const PAIR_SLOTS: usize = memory.data(64 * 4, 64);
const ROWS: usize = memory.data(64 * 4, 64);
/** Groups of four whose slots do not answer for all of them, as offsets of the first. */
const OTHERS: usize = memory.data(17 * 4, 64);
const LANES: usize = memory.data(32, 16);

/** Constants of four lanes, loaded where they are used: written out, they are put together anew every time. */
const K_HASH_A: usize = memory.data<u32>([HASH_A, HASH_A, HASH_A, HASH_A], 16);
const K_HASH_B: usize = memory.data<u32>([HASH_B, HASH_B, HASH_B, HASH_B], 16);
const K_HASH_C: usize = memory.data<u32>([HASH_C, HASH_C, HASH_C, HASH_C], 16);
const K_PORT: usize = memory.data<u32>([0xff00, 0xff00, 0xff00, 0xff00], 16);
const K_TCP: usize = memory.data<u32>([6, 6, 6, 6], 16);
const K_UDP: usize = memory.data<u32>([17, 17, 17, 17], 16);
const K_SCTP: usize = memory.data<u32>([132, 132, 132, 132], 16);
const K_ONES: usize = memory.data<u32>([MISS, MISS, MISS, MISS], 16);

function metaOf(space: u32): u32 {
  return <u32>LPM_USED | (space << 8) | 32;
}

/** Parts of a transposition of four times four words. */
function first2(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
}

function last2(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
}

function evens(ab: v128, cd: v128): v128 {
  return v128.shuffle<i64>(ab, cd, 0, 2);
}

function odds(ab: v128, cd: v128): v128 {
  return v128.shuffle<i64>(ab, cd, 1, 3);
}

/** Source to identity, destination to policy, both to the slot of the pair; keys of the port sets. */
function identify(from: usize, stride: usize, count: u32): void {
  const table = i32x4.splat(<i32>(image + load<u32>(image, IMG_LPM4)));
  const shift = 32 - load<u32>(image, IMG_LPM4_LOG2);
  const identity = i32x4.splat(<i32>metaOf(SPACE_IDENTITY));
  const target = i32x4.splat(<i32>metaOf(SPACE_TARGET));
  const identityHash = i32x4.splat(<i32>((metaOf(SPACE_IDENTITY) + <u32>HASH_B) * <u32>HASH_C));
  const targetHash = i32x4.splat(<i32>((metaOf(SPACE_TARGET) + <u32>HASH_B) * <u32>HASH_C));
  const end = (<usize>count) << 2;
  let others = OTHERS;
  for (let at: usize = 0, q = from; at < end; at += 16, q += stride << 2) {
    const a = v128.load(q);
    const b = v128.load(q + stride);
    const c = v128.load(q + stride * 2);
    const d = v128.load(q + stride * 3);
    const src = evens(first2(a, b), first2(c, d));
    const dst = odds(first2(a, b), first2(c, d));
    const srcHash = v128.xor(i32x4.mul(src, v128.load(K_HASH_A)), identityHash);
    const dstHash = v128.xor(i32x4.mul(dst, v128.load(K_HASH_A)), targetHash);
    v128.store(SRC_SLOTS + at, i32x4.add(i32x4.shl(i32x4.shr_u(srcHash, shift), 4), table));
    v128.store(DST_SLOTS + at, i32x4.add(i32x4.shl(i32x4.shr_u(dstHash, shift), 4), table));
    const ports = evens(last2(a, b), last2(c, d));
    const protocols = odds(last2(a, b), last2(c, d));
    // The destination port lies in the upper half, its bytes the other way round; only TCP, UDP and SCTP have one.
    const port = v128.or(i32x4.shr_u(ports, 24), v128.and(i32x4.shr_u(ports, 8), v128.load(K_PORT)));
    const tcp = i32x4.eq(protocols, v128.load(K_TCP));
    const udp = i32x4.eq(protocols, v128.load(K_UDP));
    const ported = v128.or(v128.or(tcp, udp), i32x4.eq(protocols, v128.load(K_SCTP)));
    v128.store(KEYS + at, v128.or(i32x4.shl(protocols, 16), v128.and(port, ported)));
    const sa = v128.load(load<u32>(SRC_SLOTS + at));
    const sb = v128.load(load<u32>(SRC_SLOTS + at, 4));
    const sc = v128.load(load<u32>(SRC_SLOTS + at, 8));
    const sd = v128.load(load<u32>(SRC_SLOTS + at, 12));
    v128.store(IDENTITIES + at, evens(last2(sa, sb), last2(sc, sd)));
    const srcOther = v128.or(
      v128.xor(evens(first2(sa, sb), first2(sc, sd)), src),
      v128.xor(odds(first2(sa, sb), first2(sc, sd)), identity),
    );
    const da = v128.load(load<u32>(DST_SLOTS + at));
    const db = v128.load(load<u32>(DST_SLOTS + at, 4));
    const dc = v128.load(load<u32>(DST_SLOTS + at, 8));
    const dd = v128.load(load<u32>(DST_SLOTS + at, 12));
    v128.store(POLICIES + at, evens(last2(da, db), last2(dc, dd)));
    const dstOther = v128.or(
      v128.xor(evens(first2(da, db), first2(dc, dd)), dst),
      v128.xor(odds(first2(da, db), first2(dc, dd)), target),
    );
    store<u32>(others, <u32>at);
    others += (<usize>(<u32>v128.any_true(v128.or(srcOther, dstOther)))) << 2;
  }
  for (let other = OTHERS; other < others; other += 4) {
    const at = <usize>load<u32>(other);
    oneByOne(from + (at >> 2) * stride, stride, at);
  }
}

/** Looks up what four packets' slots do not answer, in tables and tries. */
function oneByOne(from: usize, stride: usize, at: usize): void {
  for (let i: usize = 0; i < 16; i += 4, from += stride) {
    const identity = lookup4(SPACE_IDENTITY, load<u32>(from));
    store<u32>(IDENTITIES + at + i, identity === MISS ? 0 : identity);
    store<u32>(POLICIES + at + i, lookup4(SPACE_TARGET, load<u32>(from, 4)));
  }
}

/** Where the pairs of policy and identity lie, and the policies' rows. */
function locate(count: u32): void {
  const table = i32x4.splat(<i32>(image + load<u32>(image, IMG_PAIRS)));
  const shift = 32 - load<u32>(image, IMG_PAIRS_LOG2);
  const rows = i32x4.splat(<i32>(image + load<u32>(image, IMG_POLICIES)));
  const last = i32x4.splat(load<u32>(image, IMG_POLICIES_COUNT) - 1);
  const denied = i32x4.splat(<i32>DENIED);
  const open = i32x4.splat(<i32>(DENIED ^ OPEN));
  const away = i32x4.splat(<i32>(DENIED ^ AWAY));
  const end = (<usize>count) << 2;
  for (let at: usize = 0; at < end; at += 16) {
    const targets = v128.load(POLICIES + at);
    // Numbers that no policy has: open, no pod of this node, or a broken table, which must not open anything.
    const toOpen = v128.and(open, i32x4.eq(targets, i32x4.splat(0)));
    const toAway = v128.and(away, i32x4.eq(targets, v128.load(K_ONES)));
    v128.store(FIXED + at, v128.xor(denied, v128.or(toOpen, toAway)));
    const policies = v128.and(targets, i32x4.eq(i32x4.min_u(targets, last), targets));
    const identities = i32x4.add(v128.load(IDENTITIES + at), v128.load(K_HASH_B));
    const h = v128.xor(i32x4.mul(policies, v128.load(K_HASH_A)), i32x4.mul(identities, v128.load(K_HASH_C)));
    v128.store(POLICIES + at, policies);
    v128.store(PAIR_SLOTS + at, i32x4.add(i32x4.shl(i32x4.shr_u(h, shift), 4), table));
    v128.store(ROWS + at, i32x4.add(i32x4.shl(policies, 3), rows));
  }
}

/** First lines of the port sets, or the fixed ones where no policy is asked. */
function pair(count: u32): void {
  const lines = i32x4.splat(<i32>(image + load<u32>(image, IMG_PORTSETS)));
  const last = i32x4.splat(load<u32>(image, IMG_PORTSETS_COUNT) - 1);
  const end = (<usize>count) << 2;
  let others = OTHERS;
  for (let at: usize = 0; at < end; at += 16) {
    const a = v128.load(load<u32>(PAIR_SLOTS + at));
    const b = v128.load(load<u32>(PAIR_SLOTS + at, 4));
    const c = v128.load(load<u32>(PAIR_SLOTS + at, 8));
    const d = v128.load(load<u32>(PAIR_SLOTS + at, 12));
    const policies = v128.load(POLICIES + at);
    const policy = evens(first2(a, b), first2(c, d));
    const identity = i32x4.eq(odds(first2(a, b), first2(c, d)), v128.load(IDENTITIES + at));
    const same = v128.and(i32x4.eq(policy, policies), identity);
    const value = evens(last2(a, b), last2(c, d));
    let fallback = v128.load32_zero(load<u32>(ROWS + at));
    fallback = v128.load32_lane(load<u32>(ROWS + at, 4), fallback, 1);
    fallback = v128.load32_lane(load<u32>(ROWS + at, 8), fallback, 2);
    fallback = v128.load32_lane(load<u32>(ROWS + at, 12), fallback, 3);
    const sets = v128.bitselect(value, fallback, same);
    v128.store(LINES + at, firstLines(sets, at, lines, last));
    // An empty slot answers too. Only where another pair has taken the slot is there more to do.
    const answered = v128.or(same, i32x4.eq(policy, i32x4.splat(0)));
    store<u32>(others, <u32>at);
    others += (<usize>(<u32>!i32x4.all_true(answered))) << 2;
  }
  for (let other = OTHERS; other < others; other += 4) {
    const at = <usize>load<u32>(other);
    v128.store(LINES + at, firstLines(pairByPair(at), at, lines, last));
  }
}

/** Where four port sets begin. One that is not there denies. */
function firstLines(sets: v128, at: usize, lines: v128, last: v128): v128 {
  const policies = v128.load(POLICIES + at);
  const there = v128.and(i32x4.eq(i32x4.min_u(sets, last), sets), i32x4.gt_s(policies, i32x4.splat(0)));
  const found = i32x4.add(i32x4.shl(sets, PORTSET_SHIFT), lines);
  return v128.bitselect(found, v128.load(FIXED + at), there);
}

function pairByPair(at: usize): v128 {
  for (let i: usize = 0; i < 16; i += 4) {
    store<u32>(LANES + i, portSetOf(load<u32>(POLICIES + at + i), load<u32>(IDENTITIES + at + i)));
  }
  return v128.load(LANES);
}

/** Verdicts of `count` packets whose port sets are found. */
function decide(answers: usize, count: u32): void {
  const end = (<usize>count) << 2;
  const groups = end & ~15;
  for (let at: usize = 0; at < groups; at += 16) {
    let a = <usize>load<u32>(LINES + at);
    let b = <usize>load<u32>(LINES + at, 4);
    let c = <usize>load<u32>(LINES + at, 8);
    let d = <usize>load<u32>(LINES + at, 12);
    const most =
      load<u32>(a, PORTSET_LINES) |
      load<u32>(b, PORTSET_LINES) |
      (load<u32>(c, PORTSET_LINES) | load<u32>(d, PORTSET_LINES));
    if (most > 1) {
      a = lineOf(a, load<u32>(a, PORTSET_LINES), load<u32>(KEYS + at));
      b = lineOf(b, load<u32>(b, PORTSET_LINES), load<u32>(KEYS + at, 4));
      c = lineOf(c, load<u32>(c, PORTSET_LINES), load<u32>(KEYS + at, 8));
      d = lineOf(d, load<u32>(d, PORTSET_LINES), load<u32>(KEYS + at, 12));
    }
    store<u32>(answers + at, verdictIn(a, v128.load32_splat(KEYS + at)));
    store<u32>(answers + at, verdictIn(b, v128.load32_splat(KEYS + at, 4)), 4);
    store<u32>(answers + at, verdictIn(c, v128.load32_splat(KEYS + at, 8)), 8);
    store<u32>(answers + at, verdictIn(d, v128.load32_splat(KEYS + at, 12)), 12);
  }
  for (let at = groups; at < end; at += 4) {
    const first = <usize>load<u32>(LINES + at);
    const line = lineOf(first, load<u32>(first, PORTSET_LINES), load<u32>(KEYS + at));
    store<u32>(answers + at, verdictIn(line, v128.load32_splat(KEYS + at)));
  }
}

/** The verdict that a line has for a key. */
function verdictIn(line: usize, keys: v128): u32 {
  const above = i32x4.gt_s(v128.load(line, PORTSET_FROM), keys);
  const outside = i32x4.bitmask(v128.or(above, i32x4.gt_s(keys, v128.load(line, PORTSET_TO))));
  return load<u32>(line + (ctz(~outside) << 2), PORTSET_VERDICT);
}

/**
 * Judges `count` packets. Their source, destination, ports and protocol (16 bytes, as from V_SRC on) lie at `from`, `stride` bytes
 * apart; behind them up to three more are read that mean nothing. The answers, VERDICT_ALLOW or 0 | rule, are words at `answers`.
 */
export function classifyIngress(from: usize, stride: usize, count: u32, answers: usize): void {
  for (let done: u32 = 0; done < count; done += BATCH) {
    const n = min<u32>(BATCH, count - done);
    identify(from + <usize>done * stride, stride, n);
    locate(n);
    pair(n);
    decide(answers + ((<usize>done) << 2), n);
  }
}
