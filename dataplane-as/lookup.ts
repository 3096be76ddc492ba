/** Stages 2 and 3: hash every packet (touching its home line, so that misses overlap), then look its session up. */
import { generation, seed, sessionMask, sessions, tracing } from './context';
import { establish } from './establish';
import { sessionHash } from './hash';
import {
  DROP_SESSION_FULL,
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
import { announceNewcomers, mayOpen } from './workers/newcomers';
import { workers } from './workers/ring';

/** Of the word at S_PORTS: the key's 40 bits, and above them ST_CLOSING, whose bit no other state has. */
const OPEN_MASK: u64 = KEY_MASK | ((<u64>ST_CLOSING) << 40);

/** Only so that the touching loads are not dropped by the optimiser. */
export let touched: u32 = 0;

export function hash(n: i32): void {
  const salt = seed;
  const end = <usize>VECTOR_BASE + ((<usize>n) << VECTOR_SHIFT);
  for (let v: usize = VECTOR_BASE; v < end; v += VECTOR_SIZE) {
    if (load<u32>(v, V_OUTCOME) !== 0) continue;
    const h = sessionHash(load<u64>(v, V_SRC), load<u64>(v, V_PORTS), salt);
    store<u64>(v, <u64>h, V_HASH); // and V_SESSION
  }
  touch(end);
}

/**
 * Reads the home lines of all packets, so that they are on their way when lookup() wants them. A loop that does nothing else has
 * the most misses under way at once. Entries that have no hash of this batch give some other line, which does no harm.
 */
function touch(end: usize): void {
  const mask = sessionMask;
  const table = sessions;
  let sum: u32 = 0;
  for (let v: usize = VECTOR_BASE; v < end; v += 4 * VECTOR_SIZE) {
    sum += load<u32>(table + ((<usize>(load<u32>(v, V_HASH) & mask)) << SESSION_SHIFT));
    sum += load<u32>(table + ((<usize>(load<u32>(v, VECTOR_SIZE + V_HASH) & mask)) << SESSION_SHIFT));
    sum += load<u32>(table + ((<usize>(load<u32>(v, 2 * VECTOR_SIZE + V_HASH) & mask)) << SESSION_SHIFT));
    sum += load<u32>(table + ((<usize>(load<u32>(v, 3 * VECTOR_SIZE + V_HASH) & mask)) << SESSION_SHIFT));
  }
  touched = sum;
}

/** Packets whose home line is not theirs, or not in force: addresses of their vector lines. */
const ELSEWHERE: usize = memory.data(VECTOR_CAPACITY * 4, 16);

/**
 * Sets V_SESSION where a line is in force; returns whether any packet is left for the slow path. Most lines are in their home:
 * that one is compared here, whole, with one branch; the others are looked for afterwards.
 */
export function lookup(n: i32): bool {
  const mask = sessionMask;
  const table = sessions;
  const current = generation;
  const end = <usize>VECTOR_BASE + ((<usize>n) << VECTOR_SHIFT);
  let left = ELSEWHERE;
  for (let v: usize = VECTOR_BASE; v < end; v += VECTOR_SIZE) {
    if (load<u32>(v, V_OUTCOME) !== 0) continue;
    const line = table + ((<usize>(load<u32>(v, V_HASH) & mask)) << SESSION_SHIFT);
    // An ICMP error has no line: its key is ICMP with ports 0, and those of queries have the type of the query.
    const different =
      (load<u64>(line, S_SRC) ^ load<u64>(v, V_SRC)) |
      ((load<u64>(line, S_PORTS) ^ load<u64>(v, V_PORTS)) & OPEN_MASK) |
      <u64>(load<u32>(line, S_GENERATION) ^ current);
    if (different !== 0) {
      store<u32>(left, <u32>v);
      left += 4;
      continue;
    }
    store<u32>(v, <u32>line, V_SESSION);
  }
  if (!tracing) return lookElsewhere(left);
  const missing = lookElsewhere(left);
  traceHits(end);
  return missing;
}

/** So many searches overlap by themselves. */
const FEW: usize = 4;

/** Reads the lines behind the home lines that somebody else has, as touch() does. */
function touchSecond(left: usize): void {
  let sum: u32 = 0;
  for (let at = ELSEWHERE; at < left; at += 4) {
    const hash = load<u32>(<usize>load<u32>(at), V_HASH);
    sum += load<u32>(lineAt(hash + <u32>(load<u32>(lineAt(hash), S_SRC) !== 0)));
  }
  touched = sum;
}

/** Where the list of packets without a line ends; it lies in ELSEWHERE once lookup() is through. */
let newcomersEnd: usize = ELSEWHERE;

/** The other lines of their windows, and lines that may not be in force. */
function lookElsewhere(left: usize): bool {
  if (left > ELSEWHERE + (FEW << 2)) touchSecond(left);
  let stale = false;
  let unknown = ELSEWHERE;
  for (let at = ELSEWHERE; at < left; at += 4) {
    const v: usize = load<u32>(at);
    const home = lineAt(load<u32>(v, V_HASH));
    // Most new connections find their home vacant.
    const vacant = (<u64>load<u32>(home, S_SRC) | load<u64>(home, S_PORTS)) === 0;
    const line = vacant ? 0 : find(load<u64>(v, V_SRC), load<u64>(v, V_PORTS), load<u32>(v, V_HASH));
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
  for (let at = ELSEWHERE; at < newcomersEnd && !tracing && mayOpen(); ) {
    const end = passEnd(at, newcomersEnd);
    const decided = decideNewcomers(at, end);
    establish(decided);
    if (workers > 1) announceNewcomers(decided);
    at = end;
  }
  for (let round = 0; round < 3; round++) {
    const before = removals;
    for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
      if (load<u32>(v, V_OUTCOME) === 0 && load<u32>(v, V_SESSION) === 0) slow(v);
    }
    if (removals === before) return;
    disown(n, round === 2);
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
