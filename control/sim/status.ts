/** What runs in a cluster, for people and machines. Pure. */
import type { ClusterState } from './matrix/state.js';

export interface ClusterStatus {
  readonly name: string;
  readonly feed: string;
  readonly nodes: readonly { readonly name: string; readonly address: string; readonly pods: number }[];
  readonly pods: readonly {
    readonly name: string;
    readonly node: string;
    readonly address: string;
    readonly ports: string;
  }[];
  readonly services: readonly {
    readonly name: string;
    readonly type: string;
    readonly address: string;
    readonly ports: string;
    readonly endpoints: number;
  }[];
  readonly policies: readonly string[];
}

export function clusterStatus(name: string, feed: string, state: ClusterState): ClusterStatus {
  return {
    name,
    feed,
    nodes: state.nodes.map((node) => ({
      ...node,
      pods: state.pods.filter(({ pod }) => pod.spec.nodeName === node.name).length,
    })),
    pods: state.pods.map(({ pod }) => ({
      name: `${pod.metadata.namespace}/${pod.metadata.name}`,
      node: pod.spec.nodeName ?? '',
      address: pod.status.podIPs.join(','),
      ports: pod.spec.containers
        .flatMap(({ ports }) =>
          ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol.toLowerCase()}`),
        )
        .join(','),
    })),
    services: state.services.map(({ metadata, spec, status }) => ({
      name: `${metadata.namespace}/${metadata.name}`,
      type: spec.type,
      address: [...spec.clusterIPs, ...status.loadBalancer.map(({ ip }) => ip), spec.externalName ?? []]
        .flat()
        .join(','),
      ports: spec.ports
        .map(
          ({ port, nodePort, protocol }) =>
            `${port}${nodePort === null ? '' : `:${nodePort}`}/${protocol.toLowerCase()}`,
        )
        .join(','),
      endpoints: state.slices
        .filter((slice) => slice.metadata.namespace === metadata.namespace)
        .filter((slice) => slice.metadata.labels['kubernetes.io/service-name'] === metadata.name)
        .reduce((sum, slice) => sum + slice.endpoints.length, 0),
    })),
    policies: state.policies.map(({ metadata: { namespace, name } }) =>
      namespace === null ? name : `${namespace}/${name}`,
    ),
  };
}

export function formatStatus(status: ClusterStatus): string {
  const sections = [
    table(
      ['NODE', 'ADDRESS', 'PODS'],
      status.nodes.map((n) => [n.name, n.address, String(n.pods)]),
    ),
    table(
      ['POD', 'NODE', 'ADDRESS', 'PORTS'],
      status.pods.map((p) => [p.name, p.node, p.address, p.ports]),
    ),
    table(
      ['SERVICE', 'TYPE', 'ADDRESS', 'PORTS', 'ENDPOINTS'],
      status.services.map((s) => [s.name, s.type, s.address, s.ports, String(s.endpoints)]),
    ),
    table(
      ['NETWORKPOLICY'],
      status.policies.map((name) => [name]),
    ),
  ];
  return `cluster ${status.name} on feed ${status.feed}\n\n${sections.filter((s) => s !== '').join('\n\n')}\n`;
}

/** Columns as wide as their longest text; '' for no rows. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => (row[i] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
