/**
 * A connection that was judged under an older image is judged again, by the tuple of its first packet, whichever direction
 * the packet at hand has. What is no longer allowed stops at once; the rest goes on without loss.
 */
import { adjacencies, adjacencyCount, generation, image, ports } from './context';
import { setOrigin } from './first';
import {
  adjacency,
  fromPort,
  fromTunnel,
  judge,
  judgeAnswer,
  ROLE_TUNNEL,
  role,
  routeToPod,
  rule,
  wayBack,
} from './judge';
import { UDP } from './l4';
import {
  ADJ_SHIFT,
  ADJ_TYPE,
  ADJ_TYPE_TUNNEL,
  DROP_NO_ROUTE,
  DROP_PORT,
  DROP_SERVICE_SOURCE,
  IMG_UPLINK_PORT,
  MAX_PORTS,
  PORT_IP4,
  PORT_SHIFT,
  ROLE_NONE,
  ROLE_POD,
  S_ADJACENCY,
  S_BACKEND,
  S_DIRECT,
  S_DST,
  S_FLAGS,
  S_GENERATION,
  S_NEW_DST,
  S_NEW_PORTS,
  S_PEER,
  S_PORTS,
  S_PROTOCOL,
  S_RULE,
  S_SERVICE,
  S_SRC,
  SF_DNAT,
  SF_FROM_UPLINK,
  SF_PICKED_UP,
  SF_REPLY,
  SF_RETURN_TUNNEL,
  SS_REJUDGED,
} from './layout';
import { hasBackend, mayUse, REJECT, row, serviceOf } from './services';
import { count, removePair } from './sessions';
import { workers } from './workers/lock';
import { noteRemoval } from './workers/removed';

/** The connection is gone and its packet is to be treated as a first one. */
export const AGAIN: i32 = 1000;

/** Where the connection's first packet came from, as far as the way of its replies tells. False = that is gone. */
export function originOf(reply: usize): bool {
  const back = load<u32>(reply, S_ADJACENCY);
  let index = load<u32>(image, IMG_UPLINK_PORT);
  if (load<u16>(reply, S_FLAGS) & SF_FROM_UPLINK) {
    // Whatever way its replies take.
  } else if (back & <u32>S_DIRECT) {
    index = back & ~(<u32>S_DIRECT);
  } else {
    if (back >= adjacencyCount) return false;
    if (load<u8>(adjacencies + ((<usize>back) << ADJ_SHIFT), ADJ_TYPE) !== ADJ_TYPE_TUNNEL) return false;
    fromTunnel(back);
    return true;
  }
  if (index >= <u32>MAX_PORTS) return false;
  fromPort(index);
  return role !== ROLE_NONE;
}

/** Is the connection one through a service that its client may not use any more? */
function isBarred(forth: usize, protocol: u32, client: u32): bool {
  if (load<u32>(forth, S_SERVICE) === 0) return false;
  const now = serviceOf(load<u32>(forth, S_DST), load<u32>(forth, S_PORTS) >> 16, protocol);
  return now !== 0 && !mayUse(row(now), client);
}

/** Does the service still have the connection's backend, or is there now a service where there was none? */
function serviceChanged(forth: usize, protocol: u32): bool {
  const now = serviceOf(load<u32>(forth, S_DST), load<u32>(forth, S_PORTS) >> 16, protocol);
  const before = load<u32>(forth, S_SERVICE);
  if (before === 0) return now !== 0;
  if (now === 0 || !hasBackend(now, load<u32>(forth, S_BACKEND))) return true;
  store<u32>(forth, now, S_SERVICE);
  store<u32>(<usize>load<u32>(forth, S_PEER), now, S_SERVICE);
  return false;
}

/** Returns 0 = goes on, AGAIN, REJECT, or the outcome to drop with (the lines are gone then). */
export function rejudge(v: usize, line: usize): i32 {
  const isReply = (load<u16>(line, S_FLAGS) & SF_REPLY) !== 0;
  const other: usize = load<u32>(line, S_PEER);
  const forth = isReply ? other : line;
  const reply = isReply ? line : other;
  const source = load<u32>(forth, S_SRC);
  const protocol: u32 = load<u8>(forth, S_PROTOCOL);
  count(SS_REJUDGED);
  if (!isReply) setOrigin(v);
  else if (!originOf(reply)) {
    removePair(line);
    return DROP_PORT;
  }
  if (role === ROLE_POD && originAddress(reply, isReply) !== source) {
    removePair(line);
    return DROP_NO_ROUTE;
  }
  if (isBarred(forth, protocol, source)) {
    removePair(line);
    return DROP_SERVICE_SOURCE;
  }
  const changed = serviceChanged(forth, protocol);
  // UDP has no end that would make the client look for another backend; TCP connections live on until theirs ends.
  if (changed && protocol === UDP && !isReply) {
    removePair(line);
    return AGAIN;
  }
  let outcome = judge(
    v,
    source,
    load<u32>(forth, S_NEW_DST),
    protocol,
    load<u32>(forth, S_NEW_PORTS) >> 16,
    (load<u16>(forth, S_FLAGS) & SF_DNAT) !== 0,
    false,
  );
  if (outcome === 0 && (load<u16>(forth, S_FLAGS) & SF_PICKED_UP) !== 0) {
    outcome = judgeAnswer(v, source, load<u32>(forth, S_NEW_DST), load<u32>(forth, S_PORTS) & 0xffff);
  }
  if (outcome !== 0) {
    removePair(line);
    return outcome === REJECT && isReply ? DROP_NO_ROUTE : outcome;
  }
  reroute(forth, reply, adjacency, backWay(reply, source, isReply));
  store<u32>(forth, rule, S_RULE);
  store<u32>(reply, rule, S_RULE);
  store<u32>(reply, generation, S_GENERATION);
  // Replies of a UDP backend that left may still pass, but the client's next packet is judged again.
  store<u32>(forth, changed && protocol === UDP ? generation - 1 : generation, S_GENERATION);
  return 0;
}

/**
 * Gives both directions their ways. Indexes of one image may mean something else in another one: a worker that uses the lines by an
 * older image, or a newer one, must not send by a way that it did not judge.
 */
export function reroute(forth: usize, reply: usize, ahead: u32, back: u32): void {
  const changed = (load<u32>(forth, S_ADJACENCY) ^ ahead) | (load<u32>(reply, S_ADJACENCY) ^ back);
  if (workers > 1 && changed !== 0) noteRemoval(forth, reply);
  store<u32>(forth, ahead, S_ADJACENCY);
  store<u32>(reply, back, S_ADJACENCY);
}

/** The address the origin's pod has now. Only for origins that are pods. */
function originAddress(reply: usize, isReply: bool): u32 {
  // A packet of the pod itself was already held to its own address.
  if (!isReply) return load<u32>(<usize>load<u32>(reply, S_PEER), S_SRC);
  const index = load<u32>(reply, S_ADJACENCY) & ~(<u32>S_DIRECT);
  return load<u32>(ports + ((<usize>index) << PORT_SHIFT), PORT_IP4);
}

function backWay(reply: usize, source: u32, isReply: bool): u32 {
  if (!isReply || role !== ROLE_TUNNEL) return wayBack(source);
  if (load<u16>(reply, S_FLAGS) & SF_RETURN_TUNNEL) return load<u32>(reply, S_ADJACENCY);
  return routeToPod(source);
}
