/** Registers the simulated nodes with the API, as their kubelets would. */
import type { ClusterConfig } from '../../compiler/input.js';
import { nodeObject } from '../world.js';
import type { ApiClient } from './api.js';
import { kindNamed, objectPath } from './kinds.js';

/** Makes or renews the Node object of `node`, ready and without taints. Throws ApiError. */
export async function registerNode(
  api: ApiClient,
  config: ClusterConfig,
  nodes: readonly string[],
  node: string,
): Promise<void> {
  const { metadata, spec, status } = nodeObject(config, nodes, node);
  const path = objectPath(kindNamed('Node'), undefined, node);
  const type = { apiVersion: 'v1', kind: 'Node' };
  const [podCIDR] = spec.podCIDRs;
  await api.apply(
    path,
    {
      ...type,
      metadata: { name: node, labels: metadata.labels },
      spec: podCIDR === undefined ? {} : { podCIDR, podCIDRs: spec.podCIDRs },
    },
    'kubelet',
  );
  const conditions = [
    { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'a namespace of pteropus sim' },
    {
      type: 'NetworkUnavailable',
      status: 'False',
      reason: 'Simulated',
      message: 'a namespace of pteropus sim',
    },
  ];
  await api.patch(`${path}/status`, { status: { addresses: status.addresses, conditions } }, 'strategic');
  // The server marks a node that has not said yet that it is ready.
  await api.patch(path, { spec: { taints: null } });
}
