/** A connection as another worker tells of it: taken over, brought up to date, or ended here as there. */
import { now, seed } from '../context';
import { sessionHash } from '../hash';
import { same } from '../ip6/address';
import { writeDelta } from '../ip6/open6';
import { allocate6, findTuple6, sessionHash6 } from '../ip6/sessions6';
import {
  R_REPLY_ADJACENCY,
  R_REPLY_FLAGS,
  R_STAMP,
  RECORD_SIZE,
  RK_ANSWERED,
  RK_ASK,
  RK_END,
  RK_MASK,
  RK_OPEN,
  RK_SILENT,
  RK_SIX,
  RK_STATE,
  S_ADJACENCY,
  S_BACKEND,
  S_FLAGS,
  S_GENERATION,
  S_NEW_PORTS,
  S_NEW_SRC,
  S_PACKETS,
  S_PEER,
  S_PORTS,
  S_PROTOCOL,
  S_RULE,
  S_SEEN,
  S_SRC,
  S_STATE,
  S6_DST,
  S6_NEW_DST,
  S6_NEW_SRC,
  SESSION_STATS_BASE,
  SESSION6_BLOCK,
  SF_ASKED,
  SF_REPLY,
  SS_ACTIVE,
  ST_CLOSING,
} from '../layout';
import { writeWhole } from '../open';
import { allocate, answerKey, expired, findTuple, forget, KEY_MASK, pave, removals } from '../sessions';
import { announce, forthOf, newestOf, refuseRecord } from './announce';
import { copyRecord } from './ring';

/** `record`: two slots, of which IPv4 needs the first one. False: it is about a connection that is not known here. */
export function receiveSession(record: usize, kind: u32): bool {
  const six = (kind & RK_SIX) !== 0;
  const what = kind & RK_MASK;
  const mine = six ? findForth6(record) : findForth(record);
  const known = mine !== 0 && isSame(mine, record, six);
  if (!known) {
    if (what !== RK_OPEN) return false;
    adopt(record, kind, mine);
    return true;
  }
  if (what === RK_END) forget(mine);
  else if (what === RK_SILENT) endSilent(mine);
  else if (what === RK_ASK) answer(mine, record);
  else if (what === RK_STATE || what === RK_OPEN) update(mine, record, kind);
  return true;
}

function findForth(record: usize): usize {
  return findTuple(load<u64>(record, S_SRC), load<u64>(record, S_PORTS) & KEY_MASK);
}

function findForth6(record: usize): usize {
  const line = record + RECORD_SIZE;
  return findTuple6(line, line + S6_DST, load<u64>(record, S_PORTS) & KEY_MASK);
}

function keyOfReply(record: usize): u64 {
  return answerKey(load<u32>(record, S_NEW_PORTS), load<u8>(record, S_PROTOCOL));
}

/** The line here that has the tuple of the replies; 0 = none. */
function findReply(record: usize, six: bool): usize {
  if (!six) return findTuple(rotl<u64>(load<u64>(record, S_NEW_SRC), 32), keyOfReply(record));
  const line = record + RECORD_SIZE;
  return findTuple6(line + S6_NEW_DST, line + S6_NEW_SRC, keyOfReply(record));
}

/** Is the line here of the very connection, translated as there? */
function isSame(mine: usize, record: usize, six: bool): bool {
  if (load<u16>(mine, S_FLAGS) & SF_REPLY) return false;
  if (load<u32>(mine, S_NEW_PORTS) !== load<u32>(record, S_NEW_PORTS)) return false;
  if (!six) return load<u64>(mine, S_NEW_SRC) === load<u64>(record, S_NEW_SRC);
  const own = mine - SESSION6_BLOCK;
  const line = record + RECORD_SIZE;
  return same(own + S6_NEW_SRC, line + S6_NEW_SRC) && same(own + S6_NEW_DST, line + S6_NEW_DST);
}

/** Nobody was heard of it there; if it was seen here meanwhile, all get it anew. */
function endSilent(mine: usize): void {
  if (expired(mine)) forget(mine);
  else announce(mine, RK_OPEN);
}

function answer(mine: usize, record: usize): void {
  if (<i32>(newestOf(mine) - load<u32>(record, S_SEEN)) > 0) announce(mine, RK_STATE);
}

/** States only ever rise. */
function update(mine: usize, record: usize, kind: u32): void {
  const reply: usize = load<u32>(mine, S_PEER);
  const state: u32 = max<u32>(load<u8>(mine, S_STATE), load<u8>(record, S_STATE));
  store<u8>(mine, state, S_STATE);
  store<u8>(reply, state, S_STATE);
  if ((kind & RK_ANSWERED) !== 0 && load<u32>(reply, S_PACKETS) === 0) store<u32>(reply, 1, S_PACKETS);
  const seen = notAhead(load<u32>(record, S_SEEN));
  if (<i32>(seen - load<u32>(mine, S_SEEN)) <= 0) return;
  store<u32>(mine, seen, S_SEEN);
  store<u16>(mine, <u32>load<u16>(mine, S_FLAGS) & ~(<u32>SF_ASKED), S_FLAGS);
}

/** The other worker's clock may be a little ahead of this one's. */
function notAhead(time: u32): u32 {
  return <i32>(time - now) > 0 ? now : time;
}

/**
 * A connection that is new here. Two workers may have opened one each for a tuple at the same time: then the same one of them counts
 * everywhere, and who holds it tells so.
 */
function adopt(record: usize, kind: u32, mine: usize): void {
  const six = (kind & RK_SIX) !== 0;
  const other = findReply(record, six);
  if (!yields(mine, record, six) || !yields(other, record, six)) return;
  if (mine !== 0) forget(mine);
  // The first may have been the second's other line.
  const left = findReply(record, six);
  if (left !== 0) forget(left);
  if (six ? !install6(record, kind) : !install(record, kind)) refuseRecord(record, kind);
}

/** Does what is here (0 = nothing) give way to the record? If not, the others are told of it. */
function yields(line: usize, record: usize, six: bool): bool {
  if (line === 0) return true;
  const forth = forthOf(line);
  const over = load<u8>(forth, S_STATE) === ST_CLOSING && load<u8>(record, S_STATE) !== ST_CLOSING;
  if (over || precedes(record, forth, six)) return true;
  announce(forth, RK_OPEN);
  return false;
}

/** An order of all connections, by their tuples and then by what became of them. */
function precedes(record: usize, forth: usize, six: bool): bool {
  const a = load<u64>(record, S_PORTS) & KEY_MASK;
  const b = load<u64>(forth, S_PORTS) & KEY_MASK;
  if (a !== b) return a < b;
  if (!six && load<u64>(record, S_SRC) !== load<u64>(forth, S_SRC))
    return load<u64>(record, S_SRC) < load<u64>(forth, S_SRC);
  if (!six && load<u64>(record, S_NEW_SRC) !== load<u64>(forth, S_NEW_SRC))
    return load<u64>(record, S_NEW_SRC) < load<u64>(forth, S_NEW_SRC);
  if (six) {
    const one = record + RECORD_SIZE;
    const two = forth - SESSION6_BLOCK;
    for (let at: usize = 0; at < <usize>RECORD_SIZE; at += 8) {
      if (load<u64>(one + at) !== load<u64>(two + at)) return load<u64>(one + at) < load<u64>(two + at);
    }
  }
  return load<u32>(record, S_NEW_PORTS) < load<u32>(forth, S_NEW_PORTS);
}

/** False: its windows hold nothing that could be given up. */
function install(record: usize, kind: u32): bool {
  const addresses = load<u64>(record, S_SRC);
  const back = rotl<u64>(load<u64>(record, S_NEW_SRC), 32);
  const backKey = keyOfReply(record);
  const hash = sessionHash(addresses, load<u64>(record, S_PORTS) & KEY_MASK, seed);
  const backHash = sessionHash(back, backKey, seed);
  const before = removals;
  const forth = allocate(hash, 0);
  if (forth === 0) return false;
  const reply = allocate(backHash, forth);
  if (reply === 0) return false;
  if (removals !== before) {
    pave(hash, forth);
    pave(backHash, reply);
  }
  const about = load<u64>(record, S_RULE); // and S_SERVICE
  const backend = load<u32>(record, S_BACKEND);
  const newPorts = load<u32>(record, S_NEW_PORTS);
  const ahead = load<u32>(record, S_ADJACENCY);
  const next = load<u64>(record, S_NEW_SRC);
  writeWhole(forth, reply, addresses, load<u64>(record, S_PORTS), next, newPorts, ahead, about, backend);
  const ports = rotl<u32>(load<u32>(record, S_PORTS), 16);
  const bits: u32 = load<u16>(record, R_REPLY_FLAGS);
  const key = backKey | ((<u64>(((<u32>load<u8>(record, S_STATE)) << 8) | (bits << 16))) << 32);
  const way = load<u32>(record, R_REPLY_ADJACENCY);
  writeWhole(reply, forth, back, key, rotl<u64>(addresses, 32), ports, way, about, backend);
  finish(record, kind, forth, reply);
  return true;
}

function install6(record: usize, kind: u32): bool {
  const line = record + RECORD_SIZE;
  const backKey = keyOfReply(record);
  const forth = allocate6(sessionHash6(line, line + S6_DST, load<u64>(record, S_PORTS) & KEY_MASK), 0);
  if (forth === 0) return false;
  const reply = allocate6(sessionHash6(line + S6_NEW_DST, line + S6_NEW_SRC, backKey), forth);
  if (reply === 0) return false;
  copyRecord(forth - SESSION6_BLOCK, line);
  const back = reply - SESSION6_BLOCK;
  // Addresses in the order source, destination, new source, new destination: the other direction has them backwards.
  for (let at: usize = 0; at < <usize>RECORD_SIZE; at += 16) v128.store(back + at, v128.load(line + 48 - at));
  copyRecord(forth, record);
  store<u32>(forth, <u32>reply, S_PEER);
  store<u32>(forth, 0, S_PACKETS);
  store<u32>(forth, 0, R_STAMP);
  writeDelta(forth);
  copyRecord(reply, forth);
  store<u64>(reply, backKey, S_PORTS);
  store<u8>(reply, load<u8>(record, S_STATE), S_STATE);
  store<u16>(reply, load<u16>(record, R_REPLY_FLAGS), S_FLAGS);
  store<u32>(reply, <u32>forth, S_PEER);
  store<u32>(reply, rotl<u32>(load<u32>(record, S_PORTS), 16), S_NEW_PORTS);
  store<u32>(reply, load<u32>(record, R_REPLY_ADJACENCY), S_ADJACENCY);
  writeDelta(reply);
  finish(record, kind, forth, reply);
  return true;
}

/** What lines of both families have in common. */
function finish(record: usize, kind: u32, forth: usize, reply: usize): void {
  const seen = notAhead(load<u32>(record, S_SEEN));
  store<u32>(forth, seen, S_SEEN);
  store<u32>(reply, seen, S_SEEN);
  store<u32>(forth, load<u32>(record, S_GENERATION), S_GENERATION);
  store<u32>(reply, load<u32>(record, S_GENERATION), S_GENERATION);
  store<u32>(reply, kind & RK_ANSWERED ? 1 : 0, S_PACKETS);
  store<u64>(SESSION_STATS_BASE + SS_ACTIVE, load<u64>(SESSION_STATS_BASE + SS_ACTIVE) + 1);
}
