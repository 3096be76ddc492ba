/**
 * First packets of the usual kind, many at once: TCP that begins and UDP, from pods and out of tunnels. Decided is what first.ts
 * decides one by one, in two passes. The first one (here) looks into the tables of the image only, and touches the lines in which
 * the answers' sessions will lie, so that those misses overlap; the second one (establish.ts) opens the connections, in the order of
 * their packets. Whatever is not usual is left to first.ts, which knows every case.
 */
import { adjacencies, adjacencyCount, image, ports, seed, sessionMask, sessions } from './context';
import { homeOf, sessionHash, slotHash } from './hash';
import { ACK, SYN, TCP, UDP } from './l4';
import {
  ADJ_PORT,
  ADJ_SHIFT,
  ADJ_TYPE,
  ADJ_TYPE_PORT,
  ADJ_TYPE_TUNNEL,
  BACKEND_ID,
  BACKEND_IP4,
  BACKEND_PORT,
  DROP_POLICY_EGRESS,
  DROP_POLICY_INGRESS,
  FRONTEND_ADDRESS,
  FRONTEND_KEY,
  FRONTEND_SERVICE,
  FRONTEND_SHIFT,
  IMG_FRONTENDS4,
  IMG_FRONTENDS4_LOG2,
  IMG_SERVICES_COUNT,
  IMG_SNAT4,
  MAX_PORTS,
  PORT_EGRESS_POLICY,
  PORT_INGRESS_POLICY,
  PORT_IP4,
  PORT_ROLE,
  PORT_SHIFT,
  PORT_VRF,
  ROLE_NONE,
  ROLE_POD,
  ROLE_UPLINK,
  RULE_FIRST,
  RULE_NOT_A_POD,
  RULE_OPEN,
  RULE_SELF,
  S_DIRECT,
  S_SRC,
  SERVICE_AFFINITY,
  SERVICE_FLAGS,
  SERVICE_SLOTS,
  SESSION_SHIFT,
  SF_DNAT,
  SF_RETURN_TUNNEL,
  SF_SNAT,
  SPACE_MAIN,
  SPACE_POD,
  SPACE_SNAT_EXCLUDE,
  SPACE_SNAT_SOURCE,
  SVF_RANGES,
  V_DST,
  V_FLAGS,
  V_L4,
  V_PORTS,
  V_PROTOCOL,
  V_RX_PORT,
  V_SRC,
  VERDICT_ALLOW,
  VF_FROM_TUNNEL,
  VF_ICMP_ERROR,
  VF_LATER_FRAGMENT,
  VF_TUNNEL_SHIFT,
  VXLAN_PORT,
} from './layout';
import { lookup4, MISS } from './lpm';
import { setFor, verdictFor, verdictOf } from './policy';
import { backendBySlot, row, serviceByKey } from './services';

/** What is known of a connection before it is opened; a line each. */
export const N_NEW_SRC: usize = 0;
export const N_NEW_DST: usize = 4;
export const N_NEW_PORTS: usize = 8;
export const N_PACKET: usize = 12; // address in the vector; 0: left to first.ts
export const N_RULE: usize = 16;
export const N_SERVICE: usize = 20;
export const N_BACKEND: usize = 24;
/** Ways of both directions, as S_ADJACENCY. */
export const N_AHEAD: usize = 28;
export const N_BACK: usize = 32;
/** S_FLAGS of the packet's line, and what the line of the answers has beside them and SF_REPLY. */
export const N_FLAGS: usize = 36;
export const N_BACK_FLAGS: usize = 40;
/** Hash of the answers' tuple. */
export const N_HASH: usize = 44;
/** Outcome of a packet that a policy denies, else 0. */
export const N_OUTCOME: usize = 48;
/** Rules by which policies judged it, NOBODY: none; they are counted when its turn comes. */
export const N_EGRESS: usize = 52;
export const N_INGRESS: usize = 56;
export const N_SIZE: usize = 64;
export const NOBODY: u32 = 0xffffffff;

/** Packets of one pass. */
export const MOST: usize = 64;
export const NEWCOMERS: usize = memory.data(64 * 64, 64);

/** Only so that the touching loads are not dropped by the optimiser. */
export let touchedAnswers: u32 = 0;

/** The end of the packets that one pass takes of those between `list` and `end`. */
export function passEnd(list: usize, end: usize): usize {
  return min<usize>(end, list + (MOST << 2));
}

/**
 * Decides on the packets whose vector addresses are the words from `list` to `end`, one pass at most. NEWCOMERS holds those of the usual
 * kind afterwards; returns their end.
 */
export function decideNewcomers(list: usize, end: usize): usize {
  let left = NEWCOMERS;
  for (let at = list; at < end; at += 4) {
    if (serve(load<u32>(at), left)) left += N_SIZE;
  }
  findSets(left);
  judgeEgress(left);
  for (let at = NEWCOMERS; at < left; at += N_SIZE) {
    if (load<u32>(at, N_OUTCOME) !== 0) continue;
    if (!judgeNewcomer(load<u32>(at, N_PACKET), at)) store<u32>(at, 0, N_PACKET);
  }
  touchAnswers(left);
  return left;
}

function touchAnswers(end: usize): void {
  const mask = sessionMask;
  const table = sessions;
  let sum: u32 = 0;
  for (let at = NEWCOMERS; at < end; at += N_SIZE)
    sum += load<u32>(table + ((<usize>(load<u32>(at, N_HASH) & mask)) << SESSION_SHIFT));
  // Where somebody has that line, the one behind it.
  for (let at = NEWCOMERS; at < end; at += N_SIZE) {
    const hash = load<u32>(at, N_HASH);
    const taken = load<u32>(table + ((<usize>(hash & mask)) << SESSION_SHIFT), S_SRC) !== 0;
    sum += load<u32>(table + ((<usize>((hash + <u32>taken) & mask)) << SESSION_SHIFT));
  }
  touchedAnswers = sum;
}

/** Begins the record `to` of packet `v`: origin, service, backend. False: not of the usual kind. */
function serve(v: usize, to: usize): bool {
  const vf = load<u32>(v, V_FLAGS);
  const protocol = load<u32>(v, V_PROTOCOL);
  const pair = load<u32>(v, V_PORTS);
  if (vf & (VF_LATER_FRAGMENT | VF_ICMP_ERROR)) return false;
  if (protocol === TCP) {
    if ((load<u8>(<usize>load<u32>(v, V_L4), 13) & (SYN | ACK)) !== SYN) return false;
  } else if (protocol !== UDP) return false;
  let back = vf >> VF_TUNNEL_SHIFT;
  if ((vf & VF_FROM_TUNNEL) === 0) {
    const rx = load<u32>(v, V_RX_PORT);
    if (load<u8>(ports + ((<usize>rx) << PORT_SHIFT), PORT_ROLE) !== ROLE_POD) return false;
    back = rx | <u32>S_DIRECT;
  }
  const source = load<u32>(v, V_SRC);
  let destination = load<u32>(v, V_DST);
  let newPorts = pair;
  let backend: u32 = 0;
  let flags: u32 = 0;
  const service = serviceAt(destination, (pair >> 16) | (protocol << 16));
  if (service !== 0) {
    const at = row(service);
    if ((load<u32>(at, SERVICE_FLAGS) & SVF_RANGES) | load<u32>(at, SERVICE_AFFINITY)) return false;
    const chosen = backendBySlot(at, SERVICE_SLOTS, slotHash(load<u64>(v, V_SRC), load<u64>(v, V_PORTS)));
    if (chosen === 0) return false;
    destination = load<u32>(chosen, BACKEND_IP4);
    newPorts = (pair & 0xffff) | ((<u32>load<u16>(chosen, BACKEND_PORT)) << 16);
    backend = load<u32>(chosen, BACKEND_ID);
    flags = SF_DNAT;
    if (destination === source) return false;
  }
  // What might be taken for a tunnel's packet somewhere.
  if (protocol === UDP && (isTunnels(newPorts) || isTunnels(newPorts >> 16))) return false;
  store<u32>(to, source, N_NEW_SRC);
  store<u32>(to, destination, N_NEW_DST);
  store<u32>(to, newPorts, N_NEW_PORTS);
  store<u32>(to, <u32>v, N_PACKET);
  store<u32>(to, service, N_SERVICE);
  store<u32>(to, backend, N_BACKEND);
  store<u32>(to, back, N_BACK);
  store<u32>(to, flags, N_FLAGS);
  return true;
}

function isTunnels(portLoaded: u32): bool {
  return <u32>bswap<u16>(<u16>portLoaded) === VXLAN_PORT;
}

/** As serviceByKey(), which it asks where the home slot does not answer. */
function serviceAt(address: u32, key: u32): u32 {
  const table = image + load<u32>(image, IMG_FRONTENDS4);
  const slot = table + (homeOf(address, key, load<u32>(image, IMG_FRONTENDS4_LOG2)) << FRONTEND_SHIFT);
  const service = load<u32>(slot, FRONTEND_SERVICE);
  if (service === 0) return 0;
  if ((load<u32>(slot, FRONTEND_ADDRESS) ^ address) | (load<u32>(slot, FRONTEND_KEY) ^ key))
    return serviceByKey(address, key);
  return service < load<u32>(image, IMG_SERVICES_COUNT) ? service : 0;
}

/** The port sets of the policies of the pods that send; they lie in N_EGRESS until judgeEgress() has read them. */
function findSets(end: usize): void {
  for (let at = NEWCOMERS; at < end; at += N_SIZE) {
    const back = load<u32>(at, N_BACK);
    let policy: u32 = 0;
    if (back & <u32>S_DIRECT) {
      policy = load<u32>(ports + ((<usize>(back & ~(<u32>S_DIRECT))) << PORT_SHIFT), PORT_EGRESS_POLICY);
    }
    const destination = load<u32>(at, N_NEW_DST);
    store<u32>(at, 0, N_OUTCOME);
    store<u32>(at, NOBODY, N_INGRESS);
    if (policy === 0 || load<u32>(at, N_NEW_SRC) === destination) {
      store<u32>(at, 0, N_RULE);
      store<u32>(at, NOBODY, N_EGRESS);
      continue;
    }
    store<u32>(at, 1, N_RULE);
    store<u32>(at, setFor(policy, destination), N_EGRESS);
  }
}

function judgeEgress(end: usize): void {
  for (let at = NEWCOMERS; at < end; at += N_SIZE) {
    if (load<u32>(at, N_RULE) === 0) continue;
    const v: usize = load<u32>(at, N_PACKET);
    const key = (load<u32>(v, V_PROTOCOL) << 16) | <u32>bswap<u16>(<u16>(load<u32>(at, N_NEW_PORTS) >> 16));
    const verdict = verdictOf(load<u32>(at, N_EGRESS), key);
    const rule = verdict & ~(<u32>VERDICT_ALLOW);
    store<u32>(at, rule, N_EGRESS);
    if (rule === verdict) store<u32>(at, DROP_POLICY_EGRESS, N_OUTCOME);
  }
}

/** Completes the record `at` of packet `v`: policies, route, source translation, hash of the answers. False: not of the usual kind. */
function judgeNewcomer(v: usize, at: usize): bool {
  const source = load<u32>(at, N_NEW_SRC);
  const destination = load<u32>(at, N_NEW_DST);
  const newPorts = load<u32>(at, N_NEW_PORTS);
  const back = load<u32>(at, N_BACK);
  const protocol = load<u32>(v, V_PROTOCOL);
  const key = (protocol << 16) | <u32>bswap<u16>(<u16>(newPorts >> 16));
  const itself = source === destination;
  let rule: u32 = RULE_NOT_A_POD;
  let space: u32 = SPACE_POD;
  const egress = load<u32>(at, N_EGRESS);
  let backFlags: u32 = 0;
  if (back & <u32>S_DIRECT) {
    const origin = ports + ((<usize>(back & ~(<u32>S_DIRECT))) << PORT_SHIFT);
    if (load<u8>(origin, PORT_VRF) === SPACE_MAIN) space = SPACE_MAIN;
    rule = egress !== NOBODY ? egress : itself ? RULE_SELF : RULE_OPEN;
  } else if (lookup4(SPACE_POD, source) !== back) {
    backFlags = SF_RETURN_TUNNEL;
  }

  const way = lookup4(space, destination);
  if (way === 0 || way >= adjacencyCount) return false;
  const adjacency = adjacencies + ((<usize>way) << ADJ_SHIFT);
  const type: u32 = load<u8>(adjacency, ADJ_TYPE);
  let newSource = source;
  if (type === ADJ_TYPE_TUNNEL) {
    if (way === back) return false;
  } else {
    const port = load<u32>(adjacency, ADJ_PORT);
    if (type !== ADJ_TYPE_PORT || port >= <u32>MAX_PORTS) return false;
    const target = ports + ((<usize>port) << PORT_SHIFT);
    const role: u32 = load<u8>(target, PORT_ROLE);
    if (role === ROLE_NONE) return false;
    if (role === ROLE_POD) {
      if (load<u32>(target, PORT_IP4) !== destination) return false;
      const policy = load<u32>(target, PORT_INGRESS_POLICY);
      let arrived: u32 = itself ? RULE_SELF : RULE_OPEN;
      if (!itself && policy !== 0) {
        const verdict = verdictFor(policy, source, key);
        arrived = verdict & ~(<u32>VERDICT_ALLOW);
        store<u32>(at, arrived, N_INGRESS);
        if (arrived === verdict) {
          store<u32>(at, DROP_POLICY_INGRESS, N_OUTCOME);
          return true;
        }
      }
      if (arrived >= <u32>RULE_FIRST || rule < <u32>RULE_FIRST) rule = arrived;
    } else if (role === ROLE_UPLINK) {
      const pool = load<u32>(image, IMG_SNAT4);
      if (
        pool !== 0 &&
        lookup4(SPACE_SNAT_SOURCE, source) !== MISS &&
        lookup4(SPACE_SNAT_EXCLUDE, destination) === MISS
      ) {
        newSource = pool;
        store<u32>(at, newSource, N_NEW_SRC);
        store<u32>(at, load<u32>(at, N_FLAGS) | SF_SNAT, N_FLAGS);
      }
    }
  }
  const answers = <u64>rotl<u32>(newPorts, 16) | ((<u64>protocol) << 32);
  const hash = sessionHash(<u64>destination | ((<u64>newSource) << 32), answers, seed);
  store<u32>(at, rule, N_RULE);
  store<u32>(at, way, N_AHEAD);
  store<u32>(at, backFlags, N_BACK_FLAGS);
  store<u32>(at, hash, N_HASH);
  return true;
}
