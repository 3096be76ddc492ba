/** The rules of one policy in one direction. Which addresses a peer stands for is asked of `PeerSets`, and is never in a rule. */
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyRule, Pod } from '../objects/types.js';
import { compareText } from '../ruleset/canonical.js';
import type { Key, Origin, PolicyItem, PolicyRule } from '../ruleset/types.js';
import { type NamedPort, resolvePort, singlePort, sortRanges, splitPorts } from './ports.js';

export type Direction = PolicyItem['direction'];

/** Names the address sets that rules refer to, and sees to it that they exist. */
export interface PeerSets {
  /** The set of a peer in a policy of `namespace`. */
  ofPeer(namespace: string, peer: NetworkPolicyPeer): Key;
  /**
   * The pods in `peers` (null = all pods) that have a port of that name, by the number they give it: ascending, none without
   * an address.
   */
  ofPort(peers: readonly Key[] | null, named: NamedPort): readonly (readonly [number, Key])[];
}

/** Whether the policy judges this direction. */
export function judges(policy: NetworkPolicy, direction: Direction): boolean {
  return policy.spec.policyTypes.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
}

/** All rules of the policy in that direction, for one of the pods it selects. */
export function rulesOf(
  policy: NetworkPolicy,
  direction: Direction,
  pod: Pod,
  sets: PeerSets,
): readonly PolicyRule[] {
  return (policy.spec[direction] ?? []).flatMap((rule, i) => {
    const origin = originOf(policy, `spec.${direction}[${i}]`);
    const peers = peersOf(policy, rule, sets);
    return direction === 'ingress'
      ? [ingressRule(rule, peers, origin, pod)]
      : egressRules(rule, peers, origin, sets);
  });
}

/** The port names for which pods that the policy selects get different rules: those that are looked up on the pod itself. */
export function ownPortNames(policy: NetworkPolicy, direction: Direction): readonly NamedPort[] {
  if (direction === 'egress') return [];
  return (policy.spec.ingress ?? []).flatMap((rule) => splitPorts(rule.ports)?.names ?? []);
}

export function originOf(policy: NetworkPolicy, field: string | null): Origin {
  return { kind: policy.kind, namespace: policy.metadata.namespace, name: policy.metadata.name, field };
}

/** Port names of an ingress rule are those of the pod itself; one it does not have matches nothing. */
function ingressRule(
  rule: NetworkPolicyRule,
  peers: readonly Key[] | null,
  origin: Origin,
  pod: Pod,
): PolicyRule {
  const split = splitPorts(rule.ports);
  const resolved = split?.names.flatMap((name) => {
    const port = resolvePort(pod, name);
    return port === null ? [] : [singlePort(name.protocol, port)];
  });
  const ports = split === null ? null : sortRanges([...split.ranges, ...(resolved ?? [])]);
  return allow(peers, ports, origin);
}

/**
 * Port names of an egress rule are those of each destination pod: pods that give a name the same number share a rule.
 * What is no pod (an outside address of an ipBlock) has no port names.
 */
function egressRules(
  rule: NetworkPolicyRule,
  peers: readonly Key[] | null,
  origin: Origin,
  sets: PeerSets,
): readonly PolicyRule[] {
  const split = splitPorts(rule.ports);
  if (split === null) return [allow(peers, null, origin)];
  const rules: PolicyRule[] = [];
  if (split.ranges.length > 0) rules.push(allow(peers, split.ranges, origin));
  for (const named of split.names) {
    for (const [number, set] of sets.ofPort(peers, named)) {
      rules.push(allow([set], [singlePort(named.protocol, number)], origin));
    }
  }
  return rules;
}

/** Absent and empty both mean everyone (null). */
function peersOf(policy: NetworkPolicy, rule: NetworkPolicyRule, sets: PeerSets): readonly Key[] | null {
  if (rule.peers === undefined || rule.peers.length === 0) return null;
  const namespace = policy.metadata.namespace ?? '';
  return [...new Set(rule.peers.map((peer) => sets.ofPeer(namespace, peer)))].sort(compareText);
}

function allow(peers: readonly Key[] | null, ports: PolicyRule['ports'], origin: Origin): PolicyRule {
  return { tier: 'network', action: 'allow', peers, ports, origin };
}
