/** The rules of one policy in one direction. Which addresses a peer stands for is asked of `PeerSets`, and is never in a rule. */
import type {
  ClusterNetworkPolicyRule,
  NetworkPolicyPeer,
  NetworkPolicyRule,
  Pod,
} from '../objects/types.js';
import type { Key, Origin, PolicyItem, PolicyRule } from '../ruleset/types.js';
import { ACTION_OF, type AnyPolicy, failClosed, originOf, tierOf } from './cluster-policies.js';
import { type NamedPort, resolvePort, singlePort, sortRanges, splitPorts } from './ports.js';

export type Direction = PolicyItem['direction'];

/** Names the address sets that rules refer to, and sees to it that they exist. */
export interface PeerSets {
  /** The sets of the peers in a rule of a policy, sorted, each once. `origin` is that rule. */
  ofPeers(peers: readonly NetworkPolicyPeer[], origin: Origin): readonly Key[];
  /**
   * The pods in `peers` (null = all pods) that have a port of that name, by the number they give it: ascending, none without
   * an address.
   */
  ofPort(peers: readonly Key[] | null, named: NamedPort): readonly (readonly [number, Key])[];
}

/** Whether the policy judges this direction. */
export function judges(policy: AnyPolicy, direction: Direction): boolean {
  if (policy.kind === 'ClusterNetworkPolicy') return policy.spec[direction].length > 0;
  return policy.spec.policyTypes.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
}

/** All rules of the policy in that direction, for one of the pods it selects. */
export function rulesOf(
  policy: AnyPolicy,
  direction: Direction,
  pod: Pod,
  sets: PeerSets,
): readonly PolicyRule[] {
  const tier = tierOf(policy);
  const rules: readonly (NetworkPolicyRule | ClusterNetworkPolicyRule)[] = policy.spec[direction] ?? [];
  return rules.flatMap((rule, i): readonly PolicyRule[] => {
    const origin = originOf(policy, `spec.${direction}[${i}]`);
    const closed = 'action' in rule ? failClosed(rule, tier, origin) : null;
    if (closed !== null) return closed;
    const verdict = { tier, action: 'action' in rule ? ACTION_OF[rule.action] : 'allow', origin } as const;
    const peers = peersOf(rule, origin, sets);
    return direction === 'ingress'
      ? [ingressRule(rule, peers, verdict, pod)]
      : egressRules(rule, peers, verdict, sets);
  });
}

/** Asks for the sets that `rulesOf` would, but for those of port names; for rules that are there already. */
export function askForPeers(policy: AnyPolicy, direction: Direction, sets: PeerSets): readonly PolicyRule[] {
  const rules: readonly (NetworkPolicyRule | ClusterNetworkPolicyRule)[] = policy.spec[direction] ?? [];
  for (const [i, rule] of rules.entries()) {
    const origin = originOf(policy, `spec.${direction}[${i}]`);
    if ('action' in rule && failClosed(rule, tierOf(policy), origin) !== null) continue;
    peersOf(rule, origin, sets);
  }
  return [];
}

/** Everyone whom a rule of the policy names, in both directions. */
export function* peersOfPolicy(policy: AnyPolicy): Iterable<NetworkPolicyPeer> {
  for (const { peers } of [...(policy.spec.ingress ?? []), ...(policy.spec.egress ?? [])]) yield* peers ?? [];
}

/** What the rules made of one written rule have in common. */
type Verdict = Pick<PolicyRule, 'tier' | 'action' | 'origin'>;

/** The port names for which pods that the policy selects get different rules: those that are looked up on the pod itself. */
export function ownPortNames(policy: AnyPolicy, direction: Direction): readonly NamedPort[] {
  if (direction === 'egress') return [];
  const rules: readonly NetworkPolicyRule[] = policy.spec.ingress ?? [];
  return rules.flatMap((rule) => splitPorts(rule.ports)?.names ?? []);
}

/** Port names of an ingress rule are those of the pod itself; one it does not have matches nothing. */
function ingressRule(
  rule: NetworkPolicyRule,
  peers: readonly Key[] | null,
  verdict: Verdict,
  pod: Pod,
): PolicyRule {
  const split = splitPorts(rule.ports);
  const resolved = split?.names.flatMap((name) => {
    const port = resolvePort(pod, name);
    return port === null ? [] : [singlePort(name.protocol, port)];
  });
  const ports = split === null ? null : sortRanges([...split.ranges, ...(resolved ?? [])]);
  return { ...verdict, peers, ports };
}

/**
 * Port names of an egress rule are those of each destination pod: pods that give a name the same number share a rule.
 * What is no pod (an outside address of an ipBlock) has no port names.
 */
function egressRules(
  rule: NetworkPolicyRule,
  peers: readonly Key[] | null,
  verdict: Verdict,
  sets: PeerSets,
): readonly PolicyRule[] {
  const split = splitPorts(rule.ports);
  if (split === null) return [{ ...verdict, peers, ports: null }];
  const rules: PolicyRule[] = [];
  if (split.ranges.length > 0) rules.push({ ...verdict, peers, ports: split.ranges });
  for (const named of split.names) {
    for (const [number, set] of sets.ofPort(peers, named)) {
      rules.push({ ...verdict, peers: [set], ports: [singlePort(named.protocol, number)] });
    }
  }
  return rules;
}

/** Absent and empty both mean everyone (null). */
function peersOf(rule: NetworkPolicyRule, origin: Origin, sets: PeerSets): readonly Key[] | null {
  return rule.peers === undefined || rule.peers.length === 0 ? null : sets.ofPeers(rule.peers, origin);
}
