/**
 * Clients outside the cluster whose address is not seen where they end. VPP cannot answer through the tunnel that a connection came by:
 * whom a node leads to a pod of another node comes there in the first node's name if one of the two is on VPP. Pure.
 */
import type { End } from '../../oracle/question.js';
import type { ClusterState } from './state.js';

/** Who a client outside is to a backend, entering at this node; null: itself. */
export type HiddenBy = (entry: string | null, backend: string) => End | null;

export function hiddenBy({ nodes, pods }: Pick<ClusterState, 'nodes' | 'pods'>): HiddenBy {
  const onVpp = new Set(nodes.flatMap(({ name, vpp }) => (vpp === true ? [name] : [])));
  if (onVpp.size === 0) return () => null;
  const homes = new Map<string, string>();
  for (const { pod } of pods) {
    if (pod.spec.hostNetwork || pod.spec.nodeName === null) continue;
    for (const address of pod.status.podIPs) homes.set(address, pod.spec.nodeName);
  }
  return (entry, backend) => {
    const [home, node] = [homes.get(backend), nodes.find(({ name }) => name === entry)];
    if (home === undefined || node === undefined || home === node.name) return null;
    return onVpp.has(home) || onVpp.has(node.name) ? { node: node.name, ip: node.address } : null;
  };
}
