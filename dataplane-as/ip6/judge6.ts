/** Where an IPv6 connection may go: as judge.ts, whose origin it shares, with the routes and identities of IPv6. */
import { adjacencies, adjacencyCount, image, ports, tracing } from '../context';
import {
  countRule,
  leadsInside,
  leadsToHost,
  origin,
  originPort,
  originTunnel,
  policyKey,
  ROLE_TUNNEL,
  refused,
  role,
  spaceOf,
  typeOf,
} from '../judge';
import { TCP } from '../l4';
import {
  ADJ_PORT,
  ADJ_SHIFT,
  ADJ_TYPE_NONE,
  ADJ_TYPE_PORT,
  ADJ_TYPE_REJECT,
  ADJ_TYPE_TUNNEL,
  DROP_HOP_LOOP,
  DROP_NO_ROUTE,
  DROP_POLICY_EGRESS,
  DROP_POLICY_INGRESS,
  DROP_PORT,
  DROP_ROUTE_DROP,
  DROP_SPOOFED,
  IMG_HOST_PORT,
  MAX_PORTS,
  PORT_EGRESS_POLICY,
  PORT_INGRESS_POLICY,
  PORT_IP6,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_HOST,
  ROLE_NONE,
  ROLE_POD,
  ROLE_UPLINK,
  RULE_FIRST,
  RULE_NODE,
  RULE_NOT_A_POD,
  RULE_OPEN,
  RULE_SELF,
  S_DIRECT,
  SPACE_IDENTITY,
  SPACE_MAIN,
  SPACE_POD,
  STAGE_EGRESS,
  STAGE_INGRESS,
  STAGE_ROUTE,
} from '../layout';
import { MISS } from '../lpm';
import { permits, verdictRule } from '../policy';
import { REJECT } from '../services';
import { same } from './address';
import { lookup6, lookupAddress6 } from './lpm6';
import { record6 } from './trace6';

/** What judge6() found; as in judge.ts. */
export let adjacency6: u32 = 0;
export let exitRole6: u32 = 0;
export let rule6: u32 = 0;

/** The route to `address` in `space`; 0 = none. */
function route(space: u32, address: usize): u32 {
  const found = lookup6(space, address);
  return found === MISS || found >= adjacencyCount ? 0 : found;
}

/** Where replies to `source` go; as wayBack(). */
export function wayBack6(source: usize): u32 {
  if (role === ROLE_TUNNEL) return originTunnel;
  if (role !== ROLE_UPLINK) return originPort | <u32>S_DIRECT;
  return route(SPACE_MAIN, source);
}

/** Does a plain route to `source` lead into the tunnel it came from? */
export function routedBack6(source: usize): bool {
  return route(SPACE_POD, source) === originTunnel;
}

/** The route to an address of the cluster as pods see it; 0 = none. */
export function routeToPod6(address: usize): u32 {
  return route(SPACE_POD, address);
}

function allows6(v: usize, stage: u32, policy: u32, peer: usize, key: u32): bool {
  const identity = lookup6(SPACE_IDENTITY, peer);
  return permits(v, stage, policy, identity === MISS ? 0 : identity, key);
}

/** Judges a connection; arguments and results as judge(), addresses by pointer. */
export function judge6(
  v: usize,
  source: usize,
  destination: usize,
  protocol: u32,
  portLoaded: u32,
  translated: bool,
  fresh: bool,
): i32 {
  const key = policyKey(protocol, portLoaded);
  const itself = same(source, destination);
  let decided: u32 = RULE_NOT_A_POD;
  if (role === ROLE_POD) {
    decided = RULE_OPEN;
    const policy = load<u32>(origin, PORT_EGRESS_POLICY);
    if (itself) decided = RULE_SELF;
    else if (policy !== 0) {
      const allowed = allows6(v, STAGE_EGRESS, policy, destination, key);
      decided = verdictRule;
      if (fresh || !allowed) countRule(decided);
      if (!allowed) return DROP_POLICY_EGRESS;
    }
  }
  const ofNode = role === ROLE_HOST && isNodes6(origin, source);
  if ((role === ROLE_UPLINK || (role === ROLE_HOST && !ofNode)) && isForged6(source)) return DROP_SPOOFED;
  const exit = leave(v, destination, translated);
  if (exit !== 0) return exit;
  if (exitRole6 === ROLE_POD) {
    const target = ports + ((<usize>targetPort()) << PORT_SHIFT);
    if (!same(target + PORT_IP6, destination)) return DROP_NO_ROUTE;
    const policy = load<u32>(target, PORT_INGRESS_POLICY);
    let ingress: u32 = RULE_OPEN;
    if (itself) ingress = RULE_SELF;
    else if (ofNode) ingress = RULE_NODE;
    else if (policy !== 0) {
      const allowed = allows6(v, STAGE_INGRESS, policy, source, key);
      ingress = verdictRule;
      if (fresh || !allowed) countRule(ingress);
      if (!allowed) return DROP_POLICY_INGRESS;
    }
    if (ingress >= <u32>RULE_FIRST || decided < <u32>RULE_FIRST) decided = ingress;
  }
  if (fresh && decided < <u32>RULE_FIRST) countRule(decided);
  rule6 = decided;
  return 0;
}

/** The other way of a TCP connection met in the middle; as judgeAnswer(). Returns 0 or the outcome to drop with. */
export function judgeAnswer6(v: usize, source: usize, destination: usize, portLoaded: u32): i32 {
  if (same(source, destination)) return 0;
  const key = policyKey(TCP, portLoaded);
  // The node reaches its own pods whatever policies say.
  if (role === ROLE_POD && exitRole6 !== ROLE_HOST) {
    const policy = load<u32>(origin, PORT_INGRESS_POLICY);
    if (policy !== 0 && !allows6(v, STAGE_INGRESS, policy, destination, key))
      return refused(DROP_POLICY_INGRESS);
  }
  if (exitRole6 === ROLE_POD) {
    const policy = load<u32>(ports + ((<usize>targetPort()) << PORT_SHIFT), PORT_EGRESS_POLICY);
    if (policy !== 0 && !allows6(v, STAGE_EGRESS, policy, source, key)) return refused(DROP_POLICY_EGRESS);
  }
  return 0;
}

/** As isForged() for IPv4. */
export function isForged6(source: usize): bool {
  return leadsInside(route(SPACE_MAIN, source));
}

/** As isNodes() for IPv4. */
function isNodes6(host: usize, source: usize): bool {
  if (same(host + PORT_IP6, source)) return true;
  const way = lookupAddress6(SPACE_MAIN, source);
  return way !== MISS && way < adjacencyCount && leadsToHost(way);
}

/** As isForgedByHost() for IPv4. */
export function isForgedByHost6(host: usize, source: usize): bool {
  return !isNodes6(host, source) && isForged6(source);
}

function targetPort(): u32 {
  if (adjacency6 & <u32>S_DIRECT) return adjacency6 & ~(<u32>S_DIRECT);
  return load<u32>(adjacencies + ((<usize>adjacency6) << ADJ_SHIFT), ADJ_PORT);
}

/** Finds the adjacency; returns 0, REJECT or an outcome. */
function leave(v: usize, destination: usize, translated: bool): i32 {
  const space = spaceOf();
  if (role === ROLE_UPLINK && same(destination, origin + PORT_IP6)) {
    // The host's stack shares the uplink's address.
    const host = load<u32>(image, IMG_HOST_PORT);
    if (host >= <u32>MAX_PORTS) return REJECT;
    adjacency6 = host | <u32>S_DIRECT;
  } else {
    adjacency6 = route(space, destination);
  }
  if (tracing) record6(v, STAGE_ROUTE, 0, destination, 0, adjacency6, space);
  if ((adjacency6 & <u32>S_DIRECT) === 0) {
    const type = typeOf(adjacency6);
    if (adjacency6 === 0 || type === ADJ_TYPE_NONE) return DROP_NO_ROUTE;
    if (type === ADJ_TYPE_REJECT) return REJECT;
    if (type === ADJ_TYPE_TUNNEL) {
      exitRole6 = ROLE_TUNNEL;
      return adjacency6 === originTunnel ? DROP_HOP_LOOP : 0;
    }
    if (type !== ADJ_TYPE_PORT) return DROP_ROUTE_DROP;
  }
  const index = targetPort();
  if (index >= <u32>MAX_PORTS) return DROP_PORT;
  exitRole6 = load<u8>(ports + ((<usize>index) << PORT_SHIFT), PORT_ROLE);
  if (exitRole6 === ROLE_NONE) return DROP_PORT;
  // A service may send what came by the uplink or from the host back there (first6.ts hides the client then).
  if (exitRole6 === ROLE_UPLINK && role === ROLE_UPLINK && !translated) return DROP_HOP_LOOP;
  if (exitRole6 === ROLE_HOST && role === ROLE_HOST && !translated) return DROP_HOP_LOOP;
  return 0;
}
