/** A cluster on paper, compiled for each of its nodes. */
import { InvalidInputError } from '../common/errors.js';
import { compile } from '../compiler/compile.js';
import type { ClusterConfig, NodeLocal } from '../compiler/input.js';
import { planNode } from '../ipam/arithmetic.js';
import { getOrMake } from '../model/label-index.js';
import { Model } from '../model/model.js';
import type { KubeObject, Pod } from '../objects/types.js';
import type { Ruleset } from '../ruleset/types.js';
import type { Desired } from '../sim/desired.js';

export interface PaperCluster {
  readonly config: ClusterConfig;
  readonly model: Model;
  readonly rulesets: ReadonlyMap<string, Ruleset>;
  /** `NAMESPACE/WORKLOAD` -> its pods, where they were made from workloads. */
  readonly workloads: ReadonlyMap<string, readonly Pod[]>;
}

/** Compiles every node's ruleset as if all pods with an address were wired. */
export function paperCluster(
  objects: readonly KubeObject[],
  config: ClusterConfig,
  workloads: ReadonlyMap<string, readonly Pod[]>,
): PaperCluster {
  const model = Model.of(objects);
  const pods = [...model.all('Pod')].filter(
    ({ spec, status }) => !spec.hostNetwork && status.podIPs.length > 0,
  );
  const rulesets = [...model.all('NodeRecord')].map(({ metadata, id }) => {
    const mine = pods.filter(({ spec }) => spec.nodeName === metadata.name);
    return [metadata.name, compile(model, localOf(config, metadata.name, id, mine), config)] as const;
  });
  return { config, model, rulesets: new Map(rulesets), workloads };
}

/** What is in force on one node. Throws InvalidInputError if the cluster has no such node. */
export function rulesetOf({ rulesets }: PaperCluster, node: string | null): Ruleset {
  const ruleset = node === null ? undefined : rulesets.get(node);
  if (ruleset === undefined) throw new InvalidInputError('is not a node of the cluster', { value: node });
  return ruleset;
}

/** `NAMESPACE/WORKLOAD` -> its pods. */
export function workloadsOf({ pods }: Pick<Desired, 'pods'>): ReadonlyMap<string, readonly Pod[]> {
  const workloads = new Map<string, Pod[]>();
  for (const { pod, workload } of pods) getOrMake(workloads, workload, () => []).push(pod);
  return workloads;
}

/** Links that exist on paper only: no verdict depends on their names and MACs. */
function localOf(config: ClusterConfig, node: string, id: number, pods: readonly Pod[]): NodeLocal {
  const mac = '02:00:00:00:00:01';
  return {
    node,
    uplink: { link: 'uplink', mac },
    host: { link: 'host', mac: planNode(config, id).hostMac, peerMac: mac },
    attachments: pods.map(({ metadata, status }) => ({
      pod: { namespace: metadata.namespace ?? '', name: metadata.name },
      link: metadata.name,
      mac,
      peerMac: mac,
      addresses: status.podIPs,
    })),
  };
}
