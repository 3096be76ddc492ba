/** An IPv6 connection that was judged under an older image is judged again; as rejudge.ts. */
import { generation, ports } from '../context';
import { setOrigin } from '../first';
import { ROLE_TUNNEL, role } from '../judge';
import { UDP } from '../l4';
import {
  DROP_NO_ROUTE,
  DROP_PORT,
  DROP_SERVICE_SOURCE,
  PORT_IP6,
  PORT_SHIFT,
  ROLE_POD,
  S_ADJACENCY,
  S_BACKEND,
  S_DIRECT,
  S_FLAGS,
  S_GENERATION,
  S_NEW_PORTS,
  S_PEER,
  S_PORTS,
  S_PROTOCOL,
  S_RULE,
  S_SERVICE,
  S6_DST,
  S6_NEW_DST,
  SESSION6_BLOCK,
  SF_DNAT,
  SF_PICKED_UP,
  SF_REPLY,
  SF_RETURN_TUNNEL,
  SS_REJUDGED,
} from '../layout';
import { AGAIN, originOf, reroute } from '../rejudge';
import { hasBackend, REJECT, row } from '../services';
import { count, removePair } from '../sessions';
import { same } from './address';
import { adjacency6, judge6, judgeAnswer6, routeToPod6, rule6, wayBack6 } from './judge6';
import { mayUse6, serviceOf6 } from './services6';

/** Is the connection one through a service that its client may not use any more? */
function isBarred(forth: usize, protocol: u32, client: usize): bool {
  if (load<u32>(forth, S_SERVICE) === 0) return false;
  const now = serviceOf6(forth - SESSION6_BLOCK + S6_DST, load<u32>(forth, S_PORTS) >> 16, protocol);
  return now !== 0 && !mayUse6(row(now), client);
}

/** Does the service still have the connection's backend, or is there now a service where there was none? */
function serviceChanged(forth: usize, protocol: u32): bool {
  const destination = forth - SESSION6_BLOCK + S6_DST;
  const found = serviceOf6(destination, load<u32>(forth, S_PORTS) >> 16, protocol);
  const before = load<u32>(forth, S_SERVICE);
  if (before === 0) return found !== 0;
  if (found === 0 || !hasBackend(found, load<u32>(forth, S_BACKEND))) return true;
  store<u32>(forth, found, S_SERVICE);
  store<u32>(<usize>load<u32>(forth, S_PEER), found, S_SERVICE);
  return false;
}

/** Returns 0 = goes on, AGAIN, REJECT, or the outcome to drop with (the lines are gone then). */
export function rejudge6(v: usize, block: usize): i32 {
  const isReply = (load<u16>(block, S_FLAGS) & SF_REPLY) !== 0;
  const other: usize = load<u32>(block, S_PEER);
  const forth = isReply ? other : block;
  const reply = isReply ? block : other;
  const source = forth - SESSION6_BLOCK;
  const destination = source + S6_NEW_DST;
  const protocol: u32 = load<u8>(forth, S_PROTOCOL);
  count(SS_REJUDGED);
  if (!isReply) setOrigin(v);
  else if (!originOf(reply)) {
    removePair(block);
    return DROP_PORT;
  }
  if (role === ROLE_POD && isReply && !isStation(reply, source)) {
    removePair(block);
    return DROP_NO_ROUTE;
  }
  if (isBarred(forth, protocol, source)) {
    removePair(block);
    return DROP_SERVICE_SOURCE;
  }
  const changed = serviceChanged(forth, protocol);
  // UDP has no end that would make the client look for another backend; TCP connections live on until theirs ends.
  if (changed && protocol === UDP && !isReply) {
    removePair(block);
    return AGAIN;
  }
  const translated = (load<u16>(forth, S_FLAGS) & SF_DNAT) !== 0;
  const port = load<u32>(forth, S_NEW_PORTS) >> 16;
  let outcome = judge6(v, source, destination, protocol, port, translated, false);
  if (outcome === 0 && (load<u16>(forth, S_FLAGS) & SF_PICKED_UP) !== 0) {
    outcome = judgeAnswer6(v, source, destination, load<u32>(forth, S_PORTS) & 0xffff);
  }
  if (outcome !== 0) {
    removePair(block);
    return outcome === REJECT && isReply ? DROP_NO_ROUTE : outcome;
  }
  reroute(forth, reply, adjacency6, backWay(reply, source, isReply));
  store<u32>(forth, rule6, S_RULE);
  store<u32>(reply, rule6, S_RULE);
  store<u32>(reply, generation, S_GENERATION);
  // Replies of a UDP backend that left may still pass, but the client's next packet is judged again.
  store<u32>(forth, changed && protocol === UDP ? generation - 1 : generation, S_GENERATION);
  return 0;
}

/** Does the origin's pod still have the address? A packet of the pod itself was already held to its own. */
function isStation(reply: usize, source: usize): bool {
  const index = load<u32>(reply, S_ADJACENCY) & ~(<u32>S_DIRECT);
  return same(ports + ((<usize>index) << PORT_SHIFT) + PORT_IP6, source);
}

function backWay(reply: usize, source: usize, isReply: bool): u32 {
  if (!isReply || role !== ROLE_TUNNEL) return wayBack6(source);
  if (load<u16>(reply, S_FLAGS) & SF_RETURN_TUNNEL) return load<u32>(reply, S_ADJACENCY);
  return routeToPod6(source);
}
