/**
 * Replicas that no rule tells apart: two of each are asked, one for how the others see it and one for how it sees another, and stand
 * for all. So the picture of a cluster costs as much as it has kinds of pods. Pure.
 */
import { familyOf } from '../compiler/context.js';
import type { PaperCluster } from '../explain/cluster.js';
import { placeOf } from '../explain/ends.js';
import { getOrMake } from '../model/label-index.js';
import type { Pod } from '../objects/types.js';
import { contentHash } from '../ruleset/canonical.js';
import { setContains } from '../ruleset/evaluate.js';
import type { AddressSetItem, Ip, Key, Ruleset } from '../ruleset/types.js';
import type { ClusterState } from '../sim/matrix/state.js';
import { Kinds } from './kinds.js';

export interface Sample {
  readonly state: ClusterState;
  /** `NAMESPACE/NAME` -> how many it stands for, where that is more than itself. */
  readonly stands: ReadonlyMap<string, number>;
}

/** The cluster with at most two pods of each kind of each workload. */
export function sampled(state: ClusterState, cluster: PaperCluster): Sample {
  const sign = signer(cluster);
  const groups = new Map<string, ClusterState['pods'][number][]>();
  for (const planned of state.pods) {
    getOrMake(groups, `${planned.workload} ${sign(planned.pod)}`, () => []).push(planned);
  }
  const kept = new Set<ClusterState['pods'][number]>();
  const stands = new Map<string, number>();
  for (const group of groups.values()) {
    const [first] = group;
    for (const planned of group.slice(0, 2)) kept.add(planned);
    if (first !== undefined && group.length > 2) stands.set(nameOf(first.pod), group.length - 1);
  }
  return { state: { ...state, pods: state.pods.filter((planned) => kept.has(planned)) }, stands };
}

/** Pods with the same text get the same verdicts, and so do those who ask them. */
function signer(cluster: PaperCluster): (pod: Pod) => string {
  const kinds = new Kinds(cluster);
  const sets = new Sets(cluster);
  const services = new Map<string, string>();
  return (pod) => {
    const { spec, status, metadata } = pod;
    const [address] = status.podIPs;
    if (spec.hostNetwork || address === undefined) return `alone ${metadata.name}`;
    const place = placeOf(pod, familyOf(address));
    const ruleset = place.node === null ? undefined : cluster.rulesets.get(place.node);
    const policies = (['egress', 'ingress'] as const).map((way) => kinds.policyOf(place, way)?.key ?? '');
    const nearby =
      ruleset === undefined ? '' : getOrMake(services, place.node ?? '', () => servicesOf(ruleset));
    const ports = spec.containers.flatMap((container) => container.ports);
    return contentHash([policies, nearby, ports, status.podIPs.map((ip) => sets.holding(ip))]);
  };
}

/** What this node makes of Services: another node may have other endpoints near. */
function servicesOf(ruleset: Ruleset): string {
  return contentHash([...ruleset.values()].filter(({ kind }) => kind === 'service'));
}

/** Address sets of all nodes, asked by address. */
class Sets {
  private readonly byAddress = new Map<Ip, Key[]>();
  private readonly withBlocks: AddressSetItem[] = [];

  constructor({ rulesets }: PaperCluster) {
    const all = new Map<Key, AddressSetItem>();
    for (const ruleset of rulesets.values()) {
      for (const item of ruleset.values()) if (item.kind === 'addressset') all.set(item.key, item);
    }
    for (const [key, item] of [...all].sort(([a], [b]) => (a < b ? -1 : 1))) {
      for (const ip of item.addresses) getOrMake(this.byAddress, ip, () => []).push(key);
      if (item.blocks.length > 0) this.withBlocks.push({ ...item, addresses: [] });
    }
  }

  holding(ip: Ip): readonly Key[] {
    const blocks = this.withBlocks.filter((set) => setContains(set, ip)).map(({ key }) => key);
    return [...(this.byAddress.get(ip) ?? []), ...blocks];
  }
}

function nameOf({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}
