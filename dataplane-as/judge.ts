/**
 * Where a connection may go: egress policy of the pod it comes from, route, ingress policy of the pod it goes to. Used for
 * first packets and again for connections that were judged under an older image.
 */
import { adjacencies, adjacencyCount, image, ports, tracing } from './context';
import { SCTP, TCP, UDP } from './l4';
import {
  ADJ_PORT,
  ADJ_SHIFT,
  ADJ_TYPE,
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
  MAX_RULES,
  PORT_EGRESS_POLICY,
  PORT_INGRESS_POLICY,
  PORT_IP4,
  PORT_NONE,
  PORT_ROLE,
  PORT_SHIFT,
  PORT_VRF,
  ROLE_HOST,
  ROLE_NONE,
  ROLE_POD,
  ROLE_UPLINK,
  RULE_COUNTERS_BASE,
  RULE_FIRST,
  RULE_NODE,
  RULE_NOT_A_POD,
  RULE_OPEN,
  RULE_SELF,
  S_DIRECT,
  SPACE_MAIN,
  SPACE_POD,
  STAGE_EGRESS,
  STAGE_INGRESS,
  STAGE_ROUTE,
} from './layout';
import { lookup4, lookupAddress4, MISS } from './lpm';
import { allows, verdictRule } from './policy';
import { REJECT } from './services';
import { record } from './trace';

/** Role of an origin that is no port: packets out of a tunnel. */
export const ROLE_TUNNEL: u32 = 255;

/** Where the connection comes from; set by origin...() before judge(). */
export let role: u32 = 0;
export let origin: usize = 0; // port record, 0 for tunnels
export let originPort: u32 = 0;
export let originTunnel: u32 = 0;

/** What judge() found. */
export let adjacency: u32 = 0;
export let exitRole: u32 = 0; // role of the port it leaves by, ROLE_TUNNEL for tunnels
export let rule: u32 = 0;

export function fromPort(index: u32): void {
  origin = ports + ((<usize>index) << PORT_SHIFT);
  originPort = index;
  originTunnel = 0;
  role = load<u8>(origin, PORT_ROLE);
}

export function fromTunnel(index: u32): void {
  origin = 0;
  originPort = <u32>PORT_NONE;
  originTunnel = index;
  role = ROLE_TUNNEL;
}

/** The routing table for what comes from the origin. */
export function spaceOf(): u32 {
  return origin === 0 ? SPACE_POD : load<u8>(origin, PORT_VRF) === SPACE_MAIN ? SPACE_MAIN : SPACE_POD;
}

/** The route to `address` in `space`; 0 = none. */
function route(space: u32, address: u32): u32 {
  const found = lookup4(space, address);
  return found === MISS || found >= adjacencyCount ? 0 : found;
}

/** ADJ_TYPE_* of an adjacency. */
export function typeOf(index: u32): u32 {
  return load<u8>(adjacencies + ((<usize>index) << ADJ_SHIFT), ADJ_TYPE);
}

/**
 * Where replies to `source` go: a station behind one of our ports is reached directly; what came through a tunnel goes back
 * into it (an outside client of another node's NodePort has no route of its own to here); else by route. 0 = nowhere.
 */
export function wayBack(source: u32): u32 {
  if (role === ROLE_TUNNEL) return originTunnel;
  if (role !== ROLE_UPLINK) return originPort | <u32>S_DIRECT;
  return route(SPACE_MAIN, source);
}

/** Does a plain route to `source` lead into the tunnel it came from? */
export function routedBack(source: u32): bool {
  return route(SPACE_POD, source) === originTunnel;
}

/** The route to a pod (or another address of the cluster) as pods see it; 0 = none. */
export function routeToPod(address: u32): u32 {
  return route(SPACE_POD, address);
}

/** Counts a connection that the rule decided. */
export function countRule(id: u32): void {
  if (id >= <u32>MAX_RULES) return;
  const at: usize = RULE_COUNTERS_BASE + (id << 3);
  store<u64>(at, load<u64>(at) + 1);
}

/** Policy key: protocol << 16 | port in host order, port 0 for protocols without ports. */
export function policyKey(protocol: u32, portLoaded: u32): u32 {
  const ported = protocol === TCP || protocol === UDP || protocol === SCTP;
  return (protocol << 16) | (ported ? <u32>bswap<u16>(<u16>portLoaded) : 0);
}

/**
 * Judges a connection from `source` to `destination` (after DNAT; network order) with the destination's port as loaded.
 * `translated`: a service chose this destination. `fresh`: count the rules that decide. Returns 0 (adjacency, exitRole and
 * rule are set), REJECT, or the outcome to drop with.
 */
export function judge(
  v: usize,
  source: u32,
  destination: u32,
  protocol: u32,
  portLoaded: u32,
  translated: bool,
  fresh: bool,
): i32 {
  const key = policyKey(protocol, portLoaded);
  const itself = source === destination;
  let decided: u32 = RULE_NOT_A_POD;
  if (role === ROLE_POD) {
    decided = RULE_OPEN;
    const policy = load<u32>(origin, PORT_EGRESS_POLICY);
    if (itself) decided = RULE_SELF;
    else if (policy !== 0) {
      const allowed = allows(v, STAGE_EGRESS, policy, destination, key);
      decided = verdictRule;
      if (fresh || !allowed) countRule(decided);
      if (!allowed) return DROP_POLICY_EGRESS;
    }
  }
  const ofNode = role === ROLE_HOST && isNodes(origin, source);
  if ((role === ROLE_UPLINK || (role === ROLE_HOST && !ofNode)) && isForged(source)) return DROP_SPOOFED;
  const exit = leave(v, destination, translated);
  if (exit !== 0) return exit;
  if (exitRole === ROLE_POD) {
    const target = ports + ((<usize>targetPort()) << PORT_SHIFT);
    if (load<u32>(target, PORT_IP4) !== destination) return DROP_NO_ROUTE;
    const policy = load<u32>(target, PORT_INGRESS_POLICY);
    let ingress: u32 = RULE_OPEN;
    if (itself) ingress = RULE_SELF;
    else if (ofNode) ingress = RULE_NODE;
    else if (policy !== 0) {
      const allowed = allows(v, STAGE_INGRESS, policy, source, key);
      ingress = verdictRule;
      if (fresh || !allowed) countRule(ingress);
      if (!allowed) return DROP_POLICY_INGRESS;
    }
    if (ingress >= <u32>RULE_FIRST || decided < <u32>RULE_FIRST) decided = ingress;
  }
  if (fresh && decided < <u32>RULE_FIRST) countRule(decided);
  rule = decided;
  return 0;
}

/**
 * A TCP packet without a connection and without SYN may be the answer of the end that was connected to; taken for a
 * connection of that end's own, it would bring back one that a policy has just ended. So the pods at both ends must allow
 * the other way as well. Call after judge() said 0; `portLoaded` is the source port. Returns 0 or the outcome to drop with.
 */
export function judgeAnswer(v: usize, source: u32, destination: u32, portLoaded: u32): i32 {
  if (source === destination) return 0;
  const key = policyKey(TCP, portLoaded);
  // The node reaches its own pods whatever policies say.
  if (role === ROLE_POD && exitRole !== ROLE_HOST) {
    const policy = load<u32>(origin, PORT_INGRESS_POLICY);
    if (policy !== 0 && !allows(v, STAGE_INGRESS, policy, destination, key))
      return refused(DROP_POLICY_INGRESS);
  }
  if (exitRole === ROLE_POD) {
    const policy = load<u32>(ports + ((<usize>targetPort()) << PORT_SHIFT), PORT_EGRESS_POLICY);
    if (policy !== 0 && !allows(v, STAGE_EGRESS, policy, source, key)) return refused(DROP_POLICY_EGRESS);
  }
  return 0;
}

/** Counts the rule that refused. */
export function refused(outcome: i32): i32 {
  countRule(verdictRule);
  return outcome;
}

/**
 * What is reached through tunnels, by the ports of pods and of the host, or not at all, does not send from the underlay: whoever uses
 * such an address there forges it, be it towards a pod or towards a service that policies let that pod use. Without a route nothing is
 * known of a source.
 */
export function isForged(source: u32): bool {
  // Other nodes, which pods reach through tunnels too, are on the underlay for the node itself.
  return leadsInside(route(SPACE_MAIN, source));
}

/**
 * Does the host's stack behind this port have the address itself? It may also pass on what others send, by its other links, from
 * containers of its own or from a network beside the underlay: that is nobody whom policies let through.
 */
export function isNodes(host: usize, source: u32): bool {
  if (source === load<u32>(host, PORT_IP4)) return true;
  const way = lookupAddress4(SPACE_MAIN, source);
  return way !== MISS && way < adjacencyCount && leadsToHost(way);
}

/** Does this adjacency lead to the host's own stack? */
export function leadsToHost(way: u32): bool {
  const at = adjacencies + ((<usize>way) << ADJ_SHIFT);
  return (
    load<u8>(at, ADJ_TYPE) === ADJ_TYPE_PORT && load<u32>(at, ADJ_PORT) === load<u32>(image, IMG_HOST_PORT)
  );
}

/** Does this adjacency lead anywhere but to the underlay? */
export function leadsInside(back: u32): bool {
  const type = typeOf(back);
  if (back === 0 || type === ADJ_TYPE_NONE) return false;
  if (type !== ADJ_TYPE_PORT) return true;
  const index = load<u32>(adjacencies + ((<usize>back) << ADJ_SHIFT), ADJ_PORT);
  return index < <u32>MAX_PORTS && load<u8>(ports + (index << PORT_SHIFT), PORT_ROLE) !== ROLE_UPLINK;
}

function targetPort(): u32 {
  if (adjacency & <u32>S_DIRECT) return adjacency & ~(<u32>S_DIRECT);
  return load<u32>(adjacencies + ((<usize>adjacency) << ADJ_SHIFT), ADJ_PORT);
}

/** Finds the adjacency; returns 0, REJECT or an outcome. */
function leave(v: usize, destination: u32, translated: bool): i32 {
  const space = spaceOf();
  if (role === ROLE_UPLINK && destination === load<u32>(origin, PORT_IP4)) {
    // The host's stack shares the uplink's address.
    const host = load<u32>(image, IMG_HOST_PORT);
    if (host >= <u32>MAX_PORTS) return REJECT;
    adjacency = host | <u32>S_DIRECT;
  } else {
    adjacency = route(space, destination);
  }
  if (tracing) record(v, STAGE_ROUTE, destination, adjacency, space, 0, 0);
  if ((adjacency & <u32>S_DIRECT) === 0) {
    const type = typeOf(adjacency);
    if (adjacency === 0 || type === ADJ_TYPE_NONE) return DROP_NO_ROUTE;
    if (type === ADJ_TYPE_REJECT) return REJECT;
    if (type === ADJ_TYPE_TUNNEL) {
      exitRole = ROLE_TUNNEL;
      return adjacency === originTunnel ? DROP_HOP_LOOP : 0;
    }
    if (type !== ADJ_TYPE_PORT) return DROP_ROUTE_DROP;
  }
  const index = targetPort();
  if (index >= <u32>MAX_PORTS) return DROP_PORT;
  exitRole = load<u8>(ports + ((<usize>index) << PORT_SHIFT), PORT_ROLE);
  if (exitRole === ROLE_NONE) return DROP_PORT;
  // A service may send what came by the uplink or from the host back there (first.ts hides the client then).
  if (exitRole === ROLE_UPLINK && role === ROLE_UPLINK && !translated) return DROP_HOP_LOOP;
  if (exitRole === ROLE_HOST && role === ROLE_HOST && !translated) return DROP_HOP_LOOP;
  return 0;
}
