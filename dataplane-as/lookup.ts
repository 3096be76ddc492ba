/** Stages 2 and 3: hash every packet (touching its home line, so that misses overlap), then look its session up. */
import { generation, seed, sessionMask, sessions, tracing } from './context';
import { establish } from './establish';
import { sessionHash } from './hash';
import {
  DROP_SESSION_FULL,
  DROP_WORKERS,
  S_GENERATION,
  S_NEW_DST,
  S_PORTS,
  S_RULE,
  S_SRC,
  S_STATE,
  SESSION_SHIFT,
  ST_CLOSING,
  STAGE_SESSION_HIT,
  V_FLAGS,
  V_HASH,
  V_L3,
  V_OUTCOME,
  V_PORTS,
  V_SESSION,
  V_SRC,
  VECTOR_BASE,
  VECTOR_CAPACITY,
  VECTOR_SHIFT,
  VECTOR_SIZE,
  VF_ICMP_ERROR,
} from './layout';
import { decideNewcomers, passEnd } from './newcomers';
import { find, KEY_MASK, lineAt, removals } from './sessions';
import { reopens, slow } from './slow';
import { record } from './trace';
import { enter, leave, workers } from './workers/lock';
import { acceptOwn, foundLines, release } from './workers/removed';

/** Of the word at S_PORTS: the key's 40 bits, and above them ST_CLOSING, whose bit no other state has. */
const OPEN_MASK: u64 = KEY_MASK | ((<u64>ST_CLOSING) << 40);

/**
 * What of a line's first 16 bytes must be as a packet has it in those at V_SRC. An ICMP error has no line: its key is ICMP with ports 0,
 * and those of queries have the type of the query.
 */
const COMPARED: usize = memory.data<u32>([0xffffffff, 0xffffffff, 0xffffffff, <u32>(OPEN_MASK >> 32)], 16);
/** i32x4.bitmask() of four equal words. */
const ALL_FOUR: i32 = 15;

/** Only so that the touching loads are not dropped by the optimiser. */
export let touched: u32 = 0;

/**
 * Sets V_HASH, and V_SESSION to the home line. Four packets a turn, as V8 looks at the stack's limit in each; entries behind the last
 * packet are hashed too, which does no harm.
 */
export function hash(n: i32): void {
  const salt = seed;
  const mask = sessionMask;
  const table = <u32>sessions;
  const end = <usize>VECTOR_BASE + ((<usize>n) << VECTOR_SHIFT);
  for (let v: usize = VECTOR_BASE; v < end; v += 4 * VECTOR_SIZE) {
    const hash0 = sessionHash(load<u64>(v, V_SRC), load<u64>(v, V_PORTS), salt);
    const home0 = table + ((hash0 & mask) << SESSION_SHIFT);
    store<u32>(v, hash0, V_HASH);
    store<u32>(v, home0, V_SESSION);
    const hash1 = sessionHash(load<u64>(v, VECTOR_SIZE + V_SRC), load<u64>(v, VECTOR_SIZE + V_PORTS), salt);
    const home1 = table + ((hash1 & mask) << SESSION_SHIFT);
    store<u32>(v, hash1, VECTOR_SIZE + V_HASH);
    store<u32>(v, home1, VECTOR_SIZE + V_SESSION);
    const hash2 = sessionHash(
      load<u64>(v, 2 * VECTOR_SIZE + V_SRC),
      load<u64>(v, 2 * VECTOR_SIZE + V_PORTS),
      salt,
    );
    const home2 = table + ((hash2 & mask) << SESSION_SHIFT);
    store<u32>(v, hash2, 2 * VECTOR_SIZE + V_HASH);
    store<u32>(v, home2, 2 * VECTOR_SIZE + V_SESSION);
    const hash3 = sessionHash(
      load<u64>(v, 3 * VECTOR_SIZE + V_SRC),
      load<u64>(v, 3 * VECTOR_SIZE + V_PORTS),
      salt,
    );
    const home3 = table + ((hash3 & mask) << SESSION_SHIFT);
    store<u32>(v, hash3, 3 * VECTOR_SIZE + V_HASH);
    store<u32>(v, home3, 3 * VECTOR_SIZE + V_SESSION);
  }
  touch(end);
}

/**
 * Reads the home lines, so that they are on their way when lookup() wants them. A loop that does nothing else has the most misses under
 * way at once: read in hash() itself, with 64,000 flows, they take twice as long.
 */
function touch(end: usize): void {
  let sum: u32 = 0;
  for (let v: usize = VECTOR_BASE; v < end; v += 4 * VECTOR_SIZE) {
    sum += load<u32>(<usize>load<u32>(v, V_SESSION));
    sum += load<u32>(<usize>load<u32>(v, VECTOR_SIZE + V_SESSION));
    sum += load<u32>(<usize>load<u32>(v, 2 * VECTOR_SIZE + V_SESSION));
    sum += load<u32>(<usize>load<u32>(v, 3 * VECTOR_SIZE + V_SESSION));
  }
  touched = sum;
}

/** Packets whose home line is not theirs, or not in force: addresses of their vector lines, and a place for one that does not stay. */
const ELSEWHERE: usize = memory.data(VECTOR_CAPACITY * 4 + 4, 16);

/**
 * Sets V_SESSION where a line is in force; returns whether any packet is left for the slow path. Most lines are in their home, where
 * hash() let V_SESSION lead; the others are looked for afterwards.
 */
export function lookup(n: i32): bool {
  const end = <usize>VECTOR_BASE + ((<usize>n) << VECTOR_SHIFT);
  const elsewhere = compareHomes(end);
  const left = elsewhere === ELSEWHERE ? ELSEWHERE : compareSeconds(elsewhere);
  newcomersEnd = ELSEWHERE;
  foundLines();
  const missing = left !== ELSEWHERE && lookElsewhere(left);
  if (tracing) traceHits(end);
  return missing;
}

/**
 * Compares packets with their home lines, whole and without a branch, and lists those that differ in ELSEWHERE: each is written there,
 * and the list's end moves on if it differs. Returns the end.
 */
function compareHomes(end: usize): usize {
  const current = generation;
  // Loaded, since V8 makes a constant of 16 bytes anew in each turn.
  const mask = v128.load(COMPARED);
  let left = ELSEWHERE;
  for (let v: usize = VECTOR_BASE; v < end; v += 4 * VECTOR_SIZE) {
    const home0: usize = load<u32>(v, V_SESSION);
    const same0 = i32x4.bitmask(i32x4.eq(v128.and(v128.load(home0, S_SRC), mask), v128.load(v, V_SRC)));
    store<u32>(left, <u32>v);
    left += listed((same0 ^ ALL_FOUR) | (load<u32>(home0, S_GENERATION) ^ current));
    const home1: usize = load<u32>(v, VECTOR_SIZE + V_SESSION);
    const same1 = i32x4.bitmask(
      i32x4.eq(v128.and(v128.load(home1, S_SRC), mask), v128.load(v, VECTOR_SIZE + V_SRC)),
    );
    store<u32>(left, <u32>v + VECTOR_SIZE);
    left += listed((same1 ^ ALL_FOUR) | (load<u32>(home1, S_GENERATION) ^ current));
    const home2: usize = load<u32>(v, 2 * VECTOR_SIZE + V_SESSION);
    const same2 = i32x4.bitmask(
      i32x4.eq(v128.and(v128.load(home2, S_SRC), mask), v128.load(v, 2 * VECTOR_SIZE + V_SRC)),
    );
    store<u32>(left, <u32>v + 2 * VECTOR_SIZE);
    left += listed((same2 ^ ALL_FOUR) | (load<u32>(home2, S_GENERATION) ^ current));
    const home3: usize = load<u32>(v, 3 * VECTOR_SIZE + V_SESSION);
    const same3 = i32x4.bitmask(
      i32x4.eq(v128.and(v128.load(home3, S_SRC), mask), v128.load(v, 3 * VECTOR_SIZE + V_SRC)),
    );
    store<u32>(left, <u32>v + 3 * VECTOR_SIZE);
    left += listed((same3 ^ ALL_FOUR) | (load<u32>(home3, S_GENERATION) ^ current));
  }
  // Entries behind the last packet were compared too.
  while (left !== ELSEWHERE && <usize>load<u32>(left - 4) >= end) left -= 4;
  return left;
}

/** Bytes that an entry of a list takes if its packet differs. */
function listed(different: u32): usize {
  return (<usize>(different !== 0)) << 2;
}

/**
 * Compares packets whose home line is another's with the line behind it, where most of them are, in the same way: so neither misses nor
 * wrong guesses of branches wait for each other. Returns where the list of those that differ again ends.
 */
function compareSeconds(end: usize): usize {
  const current = generation;
  const mask = v128.load(COMPARED);
  let left = ELSEWHERE;
  for (let at = ELSEWHERE; at < end; at += 4) {
    const v: usize = load<u32>(at);
    const home: usize = load<u32>(v, V_SESSION);
    // Where the home is vacant no line behind it is read, which would be a miss for nothing.
    const line = lineAt(load<u32>(v, V_HASH) + <u32>(load<u32>(home, S_SRC) !== 0));
    const same = i32x4.bitmask(i32x4.eq(v128.and(v128.load(line, S_SRC), mask), v128.load(v, V_SRC)));
    const different = (same ^ ALL_FOUR) | (load<u32>(line, S_GENERATION) ^ current);
    store<u32>(v, <u32>(different === 0 ? line : home), V_SESSION);
    store<u32>(left, <u32>v);
    left += listed(different);
  }
  return left;
}

/** Where the list of packets without a line ends; it lies in ELSEWHERE once lookup() is through. */
let newcomersEnd: usize = ELSEWHERE;

/** The other lines of their windows, and lines that may not be in force. */
function lookElsewhere(left: usize): bool {
  let stale = false;
  let unknown = ELSEWHERE;
  for (let at = ELSEWHERE; at < left; at += 4) {
    const v: usize = load<u32>(at);
    // What parse() decided on was compared with some line too.
    if (load<u32>(v, V_OUTCOME) !== 0) continue;
    const home: usize = load<u32>(v, V_SESSION);
    store<u32>(v, 0, V_SESSION);
    // Most new connections find their home vacant.
    const vacant = (<u64>load<u32>(home, S_SRC) | load<u64>(home, S_PORTS)) === 0;
    const line: usize = vacant ? 0 : find(load<u64>(v, V_SRC), load<u64>(v, V_PORTS), load<u32>(v, V_HASH));
    if (line === 0) {
      store<u32>(unknown, <u32>v);
      unknown += 4;
    } else if (isStale(v, line)) stale = true;
    else store<u32>(v, <u32>line, V_SESSION);
  }
  newcomersEnd = unknown;
  return stale || unknown !== ELSEWHERE;
}

function traceHits(end: usize): void {
  for (let v: usize = VECTOR_BASE; v < end; v += VECTOR_SIZE) {
    const line: usize = load<u32>(v, V_SESSION);
    if (load<u32>(v, V_OUTCOME) !== 0 || line === 0) continue;
    record(v, STAGE_SESSION_HIT, <u32>line, load<u32>(line, S_RULE), generation, 0, 0);
  }
}

/** Must the slow path look at this packet although it has a line? */
function isStale(v: usize, line: usize): bool {
  if (load<u32>(line, S_GENERATION) !== generation) return true;
  if (load<u32>(v, V_FLAGS) & VF_ICMP_ERROR) return true;
  return load<u8>(line, S_STATE) === ST_CLOSING && reopens(v, line);
}

/** Is the line still that of packet `v`? */
function holds(v: usize, line: usize): bool {
  return (
    load<u64>(line, S_SRC) === load<u64>(v, V_SRC) &&
    (load<u64>(line, S_PORTS) & KEY_MASK) === load<u64>(v, V_PORTS)
  );
}

function leads(v: usize, line: usize): bool {
  return load<u32>(line, S_NEW_DST) === load<u32>(<usize>load<u32>(v, V_L3), 16);
}

/**
 * First packets of the usual kind are taken together, the others go the slow path one by one. That may take lines from other connections, also from packets of this very batch:
 * then those are decided anew. Two rounds suffice but for a table far too small; what is left then is dropped.
 */
export function resolve(n: i32): void {
  // A trace wants to see each packet by itself.
  for (let at = ELSEWHERE; at < newcomersEnd && !tracing; ) {
    const end = passEnd(at, newcomersEnd);
    const decided = decideNewcomers(at, end);
    if (workers > 1 && !enterForBatch()) break;
    establish(decided);
    if (workers > 1) leaveForBatch();
    at = end;
  }
  if (workers > 1 && !enterForBatch()) {
    refuseUndecided(n);
    return;
  }
  resolveSlowly(n);
  if (workers > 1) leaveForBatch();
}

function resolveSlowly(n: i32): void {
  for (let round = 0; round < 3; round++) {
    const before = removals;
    for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
      if (load<u32>(v, V_OUTCOME) === 0 && load<u32>(v, V_SESSION) === 0) slow(v);
    }
    if (removals === before) return;
    disown(n, round === 2);
  }
}

/** Takes the lock; packets of the batch whose line another worker took meanwhile are undecided again. */
export function enterForBatch(): bool {
  if (!enter()) return false;
  release();
  return true;
}

export function leaveForBatch(): void {
  acceptOwn();
  leave();
}

/** Another worker stands still, in the midst of a change. */
function refuseUndecided(n: i32): void {
  for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    if (load<u32>(v, V_OUTCOME) === 0 && load<u32>(v, V_SESSION) === 0)
      store<u32>(v, DROP_WORKERS, V_OUTCOME);
  }
}

/** Takes V_SESSION from packets whose line was given to another connection. */
function disown(n: i32, last: bool): void {
  for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    const line: usize = load<u32>(v, V_SESSION);
    if (load<u32>(v, V_OUTCOME) !== 0 || line === 0) continue;
    const error = (load<u32>(v, V_FLAGS) & VF_ICMP_ERROR) !== 0;
    // An ICMP error is already translated: what counts is that the line still leads to where it goes.
    if (error ? leads(v, line) : holds(v, line)) continue;
    store<u32>(v, 0, V_SESSION);
    if (last || error) store<u32>(v, DROP_SESSION_FULL, V_OUTCOME);
  }
}
