/** NetworkPolicies and ClusterNetworkPolicies: what is judged for the pods wired here. */
import { getOrMake } from '../model/label-index.js';
import type { Model } from '../model/model.js';
import type { Pod } from '../objects/types.js';
import { contentHash } from '../ruleset/canonical.js';
import type {
  AddressSetItem,
  EndpointItem,
  Key,
  Origin,
  PodRef,
  PolicyItem,
  PolicyRule,
} from '../ruleset/types.js';
import { AddressSets } from './address-sets.js';
import {
  type AnyPolicy,
  comparePolicies,
  isSubject,
  namespaceLabels,
  originOf,
  untilPodIsKnown,
} from './cluster-policies.js';
import type { Context } from './context.js';
import { podInterfaceKey } from './interfaces.js';
import { type Direction, judges, ownPortNames, rulesOf } from './rules.js';

/** Endpoints of all pods wired here, the policies that judge them, and the sets those refer to. */
export function compilePolicies(context: Context): readonly (EndpointItem | PolicyItem | AddressSetItem)[] {
  const compiler = new PolicyCompiler(context);
  const endpoints = [...context.attached.values()].map(({ pod }) => compiler.endpoint(pod));
  return [...endpoints, ...compiler.policies.values(), ...compiler.sets.all()];
}

export function endpointItem(ref: PodRef, ingress: Key | null, egress: Key | null): EndpointItem {
  const { namespace, name } = ref;
  return {
    kind: 'endpoint',
    key: `endpoint/${namespace}/${name}`,
    pod: ref,
    interface: podInterfaceKey(ref),
    ingress,
    egress,
  };
}

/** Named by its contents: pods that are judged alike share one. */
function policyItem(
  direction: Direction,
  rules: readonly PolicyRule[],
  isolatedBy: readonly Origin[],
): PolicyItem {
  const contents = { direction, rules, isolatedBy };
  return { kind: 'policy', key: `policy/${contentHash(contents)}`, ...contents };
}

/**
 * The policies that judge a pod in one direction, in the order in which they are asked. A pod whose object has not come yet could be
 * any pod of its namespace: then those that could select it.
 */
function policiesFor(model: Model, ref: PodRef, direction: Direction): readonly AnyPolicy[] {
  const pod = model.get('Pod', ref.namespace, ref.name);
  const labels = namespaceLabels(ref.namespace, model.get('Namespace', null, ref.namespace));
  return [...model.policiesOf(ref.namespace), ...model.all('ClusterNetworkPolicy')]
    .filter((policy) => judges(policy, direction) && isSubject(policy, ref.namespace, labels, pod))
    .sort(comparePolicies);
}

/** The item of a pod that `policies` (all that judge it, in order) make, or null if they say nothing about it. */
export function judgedBy(
  policies: readonly AnyPolicy[],
  direction: Direction,
  rules: readonly PolicyRule[],
): PolicyItem | null {
  const isolating = policies.filter(({ kind }) => kind === 'NetworkPolicy');
  if (isolating.length === 0 && rules.length === 0) return null;
  return policyItem(
    direction,
    rules,
    isolating.map((policy) => originOf(policy, null)),
  );
}

class PolicyCompiler {
  readonly policies = new Map<Key, PolicyItem>();
  readonly sets: AddressSets;
  /** Rules that are the same for every pod a policy selects, made once. */
  private readonly shared = new Map<Direction, Map<AnyPolicy, readonly PolicyRule[]>>();

  constructor(private readonly context: Context) {
    this.sets = new AddressSets(context);
  }

  endpoint(ref: PodRef): EndpointItem {
    return endpointItem(ref, this.policy(ref, 'ingress'), this.policy(ref, 'egress'));
  }

  private policy(ref: PodRef, direction: Direction): Key | null {
    const { model } = this.context;
    const pod = model.get('Pod', ref.namespace, ref.name);
    const selecting = policiesFor(model, ref, direction);
    const rules =
      pod === undefined
        ? untilPodIsKnown(selecting, direction)
        : selecting.flatMap((policy) => this.rules(policy, direction, pod));
    const item = judgedBy(selecting, direction, rules);
    if (item === null) return null;
    this.policies.set(item.key, item);
    return item.key;
  }

  private rules(policy: AnyPolicy, direction: Direction, pod: Pod): readonly PolicyRule[] {
    const make = (): readonly PolicyRule[] => rulesOf(policy, direction, pod, this.sets);
    if (ownPortNames(policy, direction).length > 0) return make();
    return getOrMake(
      getOrMake(this.shared, direction, () => new Map()),
      policy,
      make,
    );
  }
}
