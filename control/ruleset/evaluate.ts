/**
 * Judges packets on the items of a ruleset, plainly: no tables, no lowering. What a data plane does must agree with this;
 * `explain` speaks its words.
 */
import { cidrContains, type ParsedCidr, parseCidr, parseIp } from '../common/ip.js';
import type {
  AddressSetItem,
  Ip,
  Item,
  ItemKind,
  Key,
  Origin,
  PodRef,
  PolicyItem,
  PolicyRule,
  PortRange,
  Protocol,
  RouteItem,
  Ruleset,
  ServiceItem,
  Tier,
  Vrf,
} from './types.js';

export interface Judgement {
  readonly allowed: boolean;
  /**
   * `rule`: `origin` decided. `isolated`: a policy selects the pod and no rule allows. `open`: no policy selects it. `node`: the node
   * to its own pod. `self`: the pod to itself. `unmatched`: rules of other tiers are there, none matches.
   */
  readonly by: 'rule' | 'isolated' | 'open' | 'node' | 'self' | 'unmatched';
  readonly origin: Origin | null;
  readonly isolatedBy: readonly Origin[];
}

export interface Question {
  readonly pod: PodRef;
  readonly direction: PolicyItem['direction'];
  /** The other end: source address for ingress (before SNAT), destination for egress (after service DNAT). */
  readonly peer: Ip;
  /** null = ICMP and everything else without ports. */
  readonly protocol: Protocol | null;
  /** Destination port after DNAT; ignored without a protocol that has ports. */
  readonly port: number;
}

/** What the ruleset of the pod's node says. Throws if the pod is not wired on that node. */
export function judge(ruleset: Ruleset, question: Question): Judgement {
  const { pod, direction, peer } = question;
  const endpoint = itemOf(ruleset, 'endpoint', `endpoint/${pod.namespace}/${pod.name}`);
  const itself = itemOf(ruleset, 'interface', endpoint.interface);
  if (itself.peerAddresses.includes(peer)) return verdict(true, 'self');
  if (direction === 'ingress' && isNode(ruleset, peer)) return verdict(true, 'node');
  const key = endpoint[direction];
  return key === null
    ? verdict(true, 'open')
    : judgePolicy(ruleset, itemOf(ruleset, 'policy', key), question);
}

function judgePolicy(ruleset: Ruleset, policy: PolicyItem, question: Question): Judgement {
  const { isolatedBy } = policy;
  for (const tier of TIERS) {
    // A pod that a NetworkPolicy selects is done after that tier.
    if (tier === 'baseline' && isolatedBy.length > 0) return { ...verdict(false, 'isolated'), isolatedBy };
    const rule = policy.rules.find(
      (candidate) => candidate.tier === tier && ruleMatches(ruleset, candidate, question),
    );
    if (rule === undefined || rule.action === 'pass') continue;
    return { allowed: rule.action === 'allow', by: 'rule', origin: rule.origin, isolatedBy };
  }
  return verdict(true, 'unmatched');
}

const TIERS: readonly Tier[] = ['admin', 'network', 'baseline'];

function verdict(allowed: boolean, by: Judgement['by']): Judgement {
  return { allowed, by, origin: null, isolatedBy: [] };
}

function ruleMatches(ruleset: Ruleset, rule: PolicyRule, { peer, protocol, port }: Question): boolean {
  const peerFits =
    rule.peers === null || rule.peers.some((key) => setContains(itemOf(ruleset, 'addressset', key), peer));
  return (
    peerFits && (rule.ports === null || rule.ports.some((range) => rangeContains(range, protocol, port)))
  );
}

function rangeContains(range: PortRange, protocol: Protocol | null, port: number): boolean {
  if (range.protocol === null) return true;
  return range.protocol === protocol && range.from <= port && port <= range.to;
}

export function setContains(set: AddressSetItem, address: Ip): boolean {
  if (set.addresses.includes(address)) return true;
  const ip = parseIp(address);
  return set.blocks.some(
    ({ cidr, except }) =>
      cidrContains(parseCidr(cidr), ip) && !except.some((inner) => cidrContains(parseCidr(inner), ip)),
  );
}

/** Whether the address is one of the host's own stack on this node. */
function isNode(ruleset: Ruleset, address: Ip): boolean {
  const host = ruleset.get('interface/host');
  if (host?.kind === 'interface' && host.peerAddresses.includes(address)) return true;
  const node = ruleset.get('node');
  return node?.kind === 'node' && node.addresses.includes(address);
}

/** The Service that takes packets to this address and port, if any. */
export function findService(
  ruleset: Ruleset,
  address: Ip,
  protocol: Protocol,
  port: number,
): ServiceItem | null {
  for (const item of ruleset.values()) {
    if (item.kind !== 'service' || item.protocol !== protocol) continue;
    if (item.frontends.some((frontend) => frontend.address === address && frontend.port === port))
      return item;
  }
  return null;
}

/** The longest route to an address, or null where there is none. */
export function findRoute(ruleset: Ruleset, vrf: Vrf, address: Ip): RouteItem | null {
  const ip = parseIp(address);
  let best: { readonly route: RouteItem; readonly prefix: ParsedCidr } | null = null;
  for (const item of ruleset.values()) {
    if (item.kind !== 'route' || item.vrf !== vrf) continue;
    const prefix = parseCidr(item.prefix);
    if (cidrContains(prefix, ip) && (best === null || prefix.length > best.prefix.length))
      best = { route: item, prefix };
  }
  return best?.route ?? null;
}

/** The item a key refers to. Throws: a ruleset whose references lead nowhere is broken. */
export function itemOf<K extends ItemKind>(ruleset: Ruleset, kind: K, key: Key): Extract<Item, { kind: K }> {
  const item = ruleset.get(key);
  if (item?.kind !== kind) throw new Error(`the ruleset has no ${kind} ${key}`);
  return item as Extract<Item, { kind: K }>;
}
