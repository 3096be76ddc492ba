/** NetworkPolicies: what is judged for the pods wired here. */
import { getOrMake } from '../model/label-index.js';
import { matches } from '../model/selector.js';
import type { NetworkPolicy, Pod } from '../objects/types.js';
import { compareText, contentHash } from '../ruleset/canonical.js';
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
import type { Context } from './context.js';
import { podInterfaceKey } from './interfaces.js';
import { type Direction, judges, originOf, ownPortNames, rulesOf } from './rules.js';

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
export function policyItem(
  direction: Direction,
  rules: readonly PolicyRule[],
  isolatedBy: readonly Origin[],
): PolicyItem {
  const contents = { direction, rules, isolatedBy };
  return { kind: 'policy', key: `policy/${contentHash(contents)}`, ...contents };
}

class PolicyCompiler {
  readonly policies = new Map<Key, PolicyItem>();
  readonly sets: AddressSets;
  /** Rules that are the same for every pod a policy selects, made once. */
  private readonly shared = new Map<Direction, Map<NetworkPolicy, readonly PolicyRule[]>>();

  constructor(private readonly context: Context) {
    this.sets = new AddressSets(context);
  }

  endpoint(ref: PodRef): EndpointItem {
    return endpointItem(ref, this.policy(ref, 'ingress'), this.policy(ref, 'egress'));
  }

  /** The item that judges one direction of a pod, or null if no policy selects it there. */
  private policy(ref: PodRef, direction: Direction): Key | null {
    const pod = this.context.model.get('Pod', ref.namespace, ref.name);
    const selecting = [...this.context.model.policiesOf(ref.namespace)]
      .filter((policy) => judges(policy, direction))
      // A pod whose object has not come yet could be any pod of its namespace: it stays closed rather than open.
      .filter(({ spec }) => pod === undefined || matches(spec.podSelector, pod.metadata.labels))
      .sort((a, b) => compareText(a.metadata.name, b.metadata.name));
    if (selecting.length === 0) return null;
    const item = policyItem(
      direction,
      pod === undefined ? [] : selecting.flatMap((policy) => this.rules(policy, direction, pod)),
      selecting.map((policy) => originOf(policy, null)),
    );
    this.policies.set(item.key, item);
    return item.key;
  }

  private rules(policy: NetworkPolicy, direction: Direction, pod: Pod): readonly PolicyRule[] {
    const make = (): readonly PolicyRule[] => rulesOf(policy, direction, pod, this.sets);
    if (ownPortNames(policy, direction).length > 0) return make();
    return getOrMake(
      getOrMake(this.shared, direction, () => new Map()),
      policy,
      make,
    );
  }
}
