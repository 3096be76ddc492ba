/** A dual-stack cluster is measured once in each family: as a cluster that had only that one. Pure. */
import type { Family } from '../../common/ip.js';
import type { Cell } from './cell.js';
import type { Row } from './plan.js';
import type { ClusterState } from './state.js';

/** The families the cluster's nodes speak. */
export function familiesOf({ nodes }: ClusterState): readonly Family[] {
  return nodes.some(({ address6 }) => address6 !== undefined) ? [4, 6] : [4];
}

/** The same cluster without the addresses of the other family. */
export function inFamily(state: ClusterState, family: Family): ClusterState {
  const own = (address: string): boolean => address.includes(':') === (family === 6);
  const { addresses, ports } = state.outside;
  return {
    ...state,
    nodes: state.nodes.map(({ name, address, address6, vpp }) => {
      const own = family === 6 ? (address6 ?? '') : address;
      return { name, address: own, ...(vpp === undefined ? {} : { vpp }) };
    }),
    pods: state.pods.map(({ pod, ...rest }) => {
      const podIPs = pod.status.podIPs.filter(own);
      return { ...rest, pod: { ...pod, status: { ...pod.status, podIPs } } };
    }),
    services: state.services.map((service) => {
      const { spec, status } = service;
      const headless = spec.clusterIPs[0] === 'None';
      const clusterIPs = headless ? spec.clusterIPs : spec.clusterIPs.filter(own);
      // A node port is served in the families that the Service has.
      const ports =
        clusterIPs.length > 0 ? spec.ports : spec.ports.map((port) => ({ ...port, nodePort: null }));
      const loadBalancer = status.loadBalancer.filter(({ ip }) => own(ip));
      return { ...service, spec: { ...spec, clusterIPs, ports }, status: { loadBalancer } };
    }),
    slices: state.slices.filter(({ addressType }) => addressType === `IPv${family}`),
    outside: { addresses: addresses.filter(own), ports },
  };
}

/** Who asks is one row, whichever family it asks in. */
export function withSharedRows(cells: readonly Cell[]): readonly Cell[] {
  const rows = new Map<string, Row>();
  return cells.map((cell) => {
    const row = rows.get(cell.row.id) ?? cell.row;
    rows.set(row.id, row);
    return row === cell.row ? cell : { ...cell, row };
  });
}
