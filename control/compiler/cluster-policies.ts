/** ClusterNetworkPolicies: whom they are about, in which order they are asked, and what to do with what is not understood. */
import { type Labels, matches } from '../model/selector.js';
import { NAMESPACE_NAME_LABEL } from '../objects/metadata.js';
import type {
  ClusterNetworkPolicy,
  ClusterNetworkPolicyRule,
  Namespace,
  NetworkPolicy,
  Pod,
} from '../objects/types.js';
import { compareText } from '../ruleset/canonical.js';
import type { Origin, PolicyItem, PolicyRule, Tier } from '../ruleset/types.js';

export type AnyPolicy = NetworkPolicy | ClusterNetworkPolicy;

/** In the order in which tiers are asked. */
const TIERS: readonly Tier[] = ['admin', 'network', 'baseline'];

export const ACTION_OF = { Accept: 'allow', Deny: 'deny', Pass: 'pass' } as const satisfies Record<
  ClusterNetworkPolicyRule['action'],
  PolicyRule['action']
>;

export function tierOf(policy: AnyPolicy): Tier {
  if (policy.kind === 'NetworkPolicy') return 'network';
  return policy.spec.tier === 'Admin' ? 'admin' : 'baseline';
}

/**
 * The order in which policies are asked, for sorting: tier, priority, name. Of NetworkPolicies any may allow, so that their order
 * is of no account; of ClusterNetworkPolicies with equal priorities the API leaves it open, and the name decides, the same on
 * every node.
 */
export function comparePolicies(a: AnyPolicy, b: AnyPolicy): number {
  return (
    TIERS.indexOf(tierOf(a)) - TIERS.indexOf(tierOf(b)) ||
    priorityOf(a) - priorityOf(b) ||
    compareText(a.metadata.name, b.metadata.name)
  );
}

function priorityOf(policy: AnyPolicy): number {
  return policy.kind === 'NetworkPolicy' ? 0 : policy.spec.priority;
}

/** The labels policies see: a namespace known only from its pods has its name as its one label. */
export function namespaceLabels(name: string, namespace: Namespace | undefined): Labels {
  return namespace?.metadata.labels ?? { [NAMESPACE_NAME_LABEL]: name };
}

/** Whether a policy selects a pod; where the pod's object is not known yet, whether it could. */
export function isSubject(
  policy: AnyPolicy,
  namespace: string,
  ofNamespace: Labels,
  pod: Pod | undefined,
): boolean {
  if (policy.kind === 'NetworkPolicy') {
    if (policy.metadata.namespace !== namespace) return false;
    return pod === undefined || matches(policy.spec.podSelector, pod.metadata.labels);
  }
  const { namespaceSelector, podSelector } = policy.spec.subject;
  if (!matches(namespaceSelector, ofNamespace)) return false;
  return pod === undefined || matches(podSelector, pod.metadata.labels);
}

/**
 * What stands for a rule that is not understood: nothing for Accept, a denial of everything for Deny and Pass (the API's "fail
 * closed"). null if the rule is understood.
 */
export function failClosed(
  { unsupported, action }: ClusterNetworkPolicyRule,
  tier: Tier,
  origin: Origin,
): readonly PolicyRule[] | null {
  if (unsupported.length === 0) return null;
  return action === 'Accept' ? [] : [denyEverything(tier, origin)];
}

/**
 * The rules of a pod whose object has not come yet, given the policies that could select it, in order: NetworkPolicies close it, and
 * so does a ClusterNetworkPolicy as soon as it denies or passes anything.
 */
export function untilPodIsKnown(
  policies: readonly AnyPolicy[],
  direction: PolicyItem['direction'],
): readonly PolicyRule[] {
  for (const policy of policies) {
    if (policy.kind === 'NetworkPolicy') continue;
    const i = policy.spec[direction].findIndex(({ action }) => action !== 'Accept');
    if (i >= 0) return [denyEverything('admin', originOf(policy, `spec.${direction}[${i}]`))];
  }
  return [];
}

export function originOf({ kind, metadata: { namespace, name } }: AnyPolicy, field: string | null): Origin {
  return { kind, namespace, name, field };
}

function denyEverything(tier: Tier, origin: Origin): PolicyRule {
  return { tier, action: 'deny', peers: null, ports: null, origin };
}
