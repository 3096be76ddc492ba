/** NetworkPolicies: what is judged for the pods wired here. */
import { getOrMake } from '../model/label-index.js';
import { matches } from '../model/selector.js';
import type { NetworkPolicy, NetworkPolicyRule, Pod } from '../objects/types.js';
import { compareText, contentHash } from '../ruleset/canonical.js';
import type {
  AddressSetItem,
  EndpointItem,
  Ip,
  Key,
  Origin,
  PodRef,
  PolicyItem,
  PolicyRule,
} from '../ruleset/types.js';
import { AddressSets } from './address-sets.js';
import { type Context, podAddresses } from './context.js';
import { podInterfaceKey } from './interfaces.js';
import { resolvePort, singlePort, sortRanges, splitPorts } from './ports.js';

type Direction = PolicyItem['direction'];

/** Endpoints of all pods wired here, the policies that judge them, and the sets those refer to. */
export function compilePolicies(context: Context): readonly (EndpointItem | PolicyItem | AddressSetItem)[] {
  const compiler = new PolicyCompiler(context);
  const endpoints = [...context.attached.values()].map(({ pod }) => compiler.endpoint(pod));
  return [...endpoints, ...compiler.policies.values(), ...compiler.sets.all()];
}

class PolicyCompiler {
  readonly policies = new Map<Key, PolicyItem>();
  readonly sets: AddressSets;
  /** Rules that are the same for every pod a policy selects, made once. */
  private readonly shared = new Map<NetworkPolicyRule, readonly PolicyRule[]>();

  constructor(private readonly context: Context) {
    this.sets = new AddressSets(context);
  }

  endpoint(ref: PodRef): EndpointItem {
    return {
      kind: 'endpoint',
      key: `endpoint/${ref.namespace}/${ref.name}`,
      pod: ref,
      interface: podInterfaceKey(ref),
      ingress: this.policy(ref, 'ingress'),
      egress: this.policy(ref, 'egress'),
    };
  }

  /** The item that judges one direction of a pod, or null if no policy selects it there. */
  private policy(ref: PodRef, direction: Direction): Key | null {
    const type = direction === 'ingress' ? 'Ingress' : 'Egress';
    const pod = this.context.model.get('Pod', ref.namespace, ref.name);
    const selecting = [...this.context.model.policiesOf(ref.namespace)]
      .filter(({ spec }) => spec.policyTypes.includes(type))
      // A pod whose object has not come yet could be any pod of its namespace: it stays closed rather than open.
      .filter(({ spec }) => pod === undefined || matches(spec.podSelector, pod.metadata.labels))
      .sort((a, b) => compareText(a.metadata.name, b.metadata.name));
    if (selecting.length === 0) return null;
    const contents = {
      direction,
      rules: pod === undefined ? [] : selecting.flatMap((policy) => this.rules(policy, direction, pod)),
      isolatedBy: selecting.map((policy) => originOf(policy, null)),
    };
    const key = `policy/${contentHash(contents)}`;
    this.policies.set(key, { kind: 'policy', key, ...contents });
    return key;
  }

  private rules(policy: NetworkPolicy, direction: Direction, pod: Pod): readonly PolicyRule[] {
    return (policy.spec[direction] ?? []).flatMap((rule, i) => {
      const origin = originOf(policy, `spec.${direction}[${i}]`);
      if (direction === 'ingress' && splitPorts(rule.ports)?.names.length)
        return [this.ingress(policy, rule, origin, pod)];
      let rules = this.shared.get(rule);
      if (rules === undefined) {
        rules =
          direction === 'ingress'
            ? [this.ingress(policy, rule, origin, pod)]
            : this.egress(policy, rule, origin);
        this.shared.set(rule, rules);
      }
      return rules;
    });
  }

  /** Port names of an ingress rule are those of the pod itself; one it does not have matches nothing. */
  private ingress(policy: NetworkPolicy, rule: NetworkPolicyRule, origin: Origin, pod: Pod): PolicyRule {
    const split = splitPorts(rule.ports);
    const resolved = split?.names.flatMap((name) => {
      const port = resolvePort(pod, name);
      return port === null ? [] : [singlePort(name.protocol, port)];
    });
    const ports = split === null ? null : sortRanges([...split.ranges, ...(resolved ?? [])]);
    return allow(this.peers(policy, rule), ports, origin);
  }

  /**
   * Port names of an egress rule are those of each destination pod: pods that give a name the same number share a rule.
   * What is no pod (an outside address of an ipBlock) has no port names.
   */
  private egress(policy: NetworkPolicy, rule: NetworkPolicyRule, origin: Origin): readonly PolicyRule[] {
    const split = splitPorts(rule.ports);
    const peers = this.peers(policy, rule);
    if (split === null) return [allow(peers, null, origin)];
    const rules: PolicyRule[] = [];
    if (split.ranges.length > 0) rules.push(allow(peers, split.ranges, origin));
    for (const named of split.names) {
      const byNumber = new Map<number, Ip[]>();
      for (const pod of this.context.model.podsNamingPort(named.name, named.protocol)) {
        const number = resolvePort(pod, named);
        const addresses =
          peers === null
            ? podAddresses(this.context, pod)
            : peers.flatMap((set) => this.sets.addressesIn(set, pod));
        if (number !== null && addresses.length > 0) getOrMake(byNumber, number, () => []).push(...addresses);
      }
      for (const [number, addresses] of [...byNumber].sort(([a], [b]) => a - b)) {
        const set = this.sets.ofAddresses({ peers, named, number }, addresses);
        rules.push(allow([set], [singlePort(named.protocol, number)], origin));
      }
    }
    return rules;
  }

  /** Absent and empty both mean everyone (null). */
  private peers(policy: NetworkPolicy, rule: NetworkPolicyRule): readonly Key[] | null {
    if (rule.peers === undefined || rule.peers.length === 0) return null;
    const namespace = policy.metadata.namespace ?? '';
    return [...new Set(rule.peers.map((peer) => this.sets.ofPeer(namespace, peer)))].sort(compareText);
  }
}

function allow(peers: readonly Key[] | null, ports: PolicyRule['ports'], origin: Origin): PolicyRule {
  return { tier: 'network', action: 'allow', peers, ports, origin };
}

function originOf(policy: NetworkPolicy, field: string | null): Origin {
  return { kind: policy.kind, namespace: policy.metadata.namespace, name: policy.metadata.name, field };
}
