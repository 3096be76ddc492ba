/** Manifests as the cluster they make, on paper. */
import { formatIp, hostAt, parseCidr } from '../common/ip.js';
import { type ClusterConfig, DEFAULT_CONFIG } from '../compiler/input.js';
import { nodeAddresses, planNode, plansOf } from '../ipam/arithmetic.js';
import type { KubeObject, Pod } from '../objects/types.js';
import { type Desired, desiredState } from './desired.js';
import { endpointSlices } from './endpoints.js';
import { ManifestReader, type ManifestSet, readInputs } from './manifest-set.js';
import { nodeRecords } from './node-records.js';
import { nodeNames, nodeObject } from './world.js';

/** A cluster on paper: every object as the API would show it once all pods run. */
export interface LoadedCluster extends Desired {
  readonly config: ClusterConfig;
  readonly nodes: readonly string[];
  /** All of it as objects, pods with addresses, for a model. */
  readonly objects: readonly KubeObject[];
  readonly skipped: ReadonlyMap<string, number>;
}

/**
 * Loads manifests and plays all controllers without running anything: workloads expanded and scheduled on `nodes` nodes,
 * addresses assigned (in order, so that the same input gives the same cluster), EndpointSlices made.
 */
export async function loadCluster(
  files: readonly string[],
  nodes = 3,
  config: ClusterConfig = DEFAULT_CONFIG,
): Promise<LoadedCluster> {
  const set = new ManifestReader().parse(await readInputs(files));
  return clusterOnPaper(set, nodeNames(nodes), config);
}

export function clusterOnPaper(
  set: ManifestSet,
  nodes: readonly string[],
  config: ClusterConfig,
): LoadedCluster {
  const nodeObjects = nodes.map((node) => nodeObject(config, nodes, node));
  const state = desiredState(set, nodeObjects, config);
  const next = new Map(nodes.map((node) => [node, 2]));
  const pods = state.pods.map(({ pod, ...rest }) => {
    const node = pod.spec.nodeName!;
    const offset = next.get(node)!;
    if (!pod.spec.hostNetwork) next.set(node, offset + 1);
    const plan = planNode(config, nodes.indexOf(node) + 1);
    const addresses = pod.spec.hostNetwork
      ? nodeAddresses(plan)
      : plansOf(plan).map(({ podSubnet }) => formatIp(hostAt(parseCidr(podSubnet), offset)));
    return { ...rest, pod: running(pod, addresses) };
  });
  const slices = endpointSlices(
    state.services,
    pods.map(({ pod }) => pod),
    state.slices,
  );
  return {
    ...state,
    pods,
    slices,
    config,
    nodes,
    skipped: set.skipped,
    warnings: [...set.warnings, ...state.warnings],
    objects: [
      ...nodeObjects,
      ...nodeRecords(config, nodes),
      ...state.namespaces,
      ...pods.map(({ pod }) => pod),
      ...state.services,
      ...slices,
      ...state.policies,
    ],
  };
}

/** The pod as it is once wired. */
export function running(pod: Pod, podIPs: readonly string[]): Pod {
  return { ...pod, status: { phase: 'Running', podIPs, ready: true, terminating: false } };
}
