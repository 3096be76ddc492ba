/** The world around a simulated cluster: node names, the outside host's addresses and routes, load balancer addresses. */
import type { Family } from '../common/ip.js';
import { type ClusterConfig, DEFAULT_CONFIG, DEFAULT_IPV6, rangesOf } from '../compiler/input.js';
import { nodeAddresses, planNode, plansOf } from '../ipam/arithmetic.js';
import type { EndpointSlice, Node } from '../objects/types.js';
import type { DriverSpec, OutsidePort } from './driver.js';
import type { ClusterState } from './matrix/state.js';

/** Public addresses of the outside host (RFC 5737, RFC 3849), beside its addresses as the underlay's default gateway. */
export const PUBLIC_ADDRESSES: Readonly<Record<Family, readonly string[]>> = {
  4: ['203.0.113.10', '198.51.100.20'],
  6: ['2001:db8:113::10', '2001:db8:51::20'],
};

/** LoadBalancer Services get their ingress addresses from here (RFC 5737). */
export const LOAD_BALANCER_CIDR = '192.0.2.0/24';

/** Ports the outside host always answers on: web and DNS. */
const OUTSIDE_PORTS: readonly OutsidePort[] = [
  { protocol: 'TCP', port: 80 },
  { protocol: 'TCP', port: 443 },
  { protocol: 'UDP', port: 53 },
];

/** What a simulated cluster is configured as, and one on paper. */
export function configOf({ dualStack }: { readonly dualStack?: boolean }): ClusterConfig {
  return dualStack === true ? { ...DEFAULT_CONFIG, ipv6: DEFAULT_IPV6 } : DEFAULT_CONFIG;
}

/** `node-1` … `node-N`, in order of their ids. */
export function nodeNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `node-${i + 1}`);
}

/** All addresses of the outside host; of each family the underlay's default gateway comes first. */
export function outsideAddresses(config: ClusterConfig): readonly string[] {
  return rangesOf(config).flatMap(({ defaultGateway }, i) => [
    ...(defaultGateway === null ? [] : [defaultGateway]),
    ...PUBLIC_ADDRESSES[i === 0 ? 4 : 6],
  ]);
}

/** The node's address on the underlay. The simulator always configures a node interconnect, so every node has one. */
function nodeAddress(config: ClusterConfig, nodes: readonly string[], node: string): string {
  const address = planNode(config, nodes.indexOf(node) + 1).nodeAddress;
  if (address === null) throw new Error('the simulator needs nodeInterconnectCIDR');
  return address;
}

/** Its IPv6 address there, in a dual-stack cluster. */
function nodeAddress6(config: ClusterConfig, nodes: readonly string[], node: string): string | undefined {
  return planNode(config, nodes.indexOf(node) + 1).ipv6?.nodeAddress ?? undefined;
}

/** A node as the matrix knows it. */
export function nodeState(
  config: ClusterConfig,
  nodes: readonly string[],
  name: string,
  vpp: readonly string[] = [],
): ClusterState['nodes'][number] {
  const address6 = nodeAddress6(config, nodes, name);
  const address = nodeAddress(config, nodes, name);
  const data = vpp.includes(name) ? { vpp: true as const } : {};
  return { name, address, ...(address6 === undefined ? {} : { address6 }), ...data };
}

/** Every node's pod subnet by way of that node, and the load balancers' range by way of the first one. */
export function outsideRoutes(config: ClusterConfig, nodes: readonly string[]): DriverSpec['outsideRoutes'] {
  const pods = nodes.flatMap((_, i) =>
    plansOf(planNode(config, i + 1)).flatMap(({ podSubnet, nodeAddress: via }) =>
      via === null ? [] : [{ destination: podSubnet, via }],
    ),
  );
  const first = nodes[0];
  if (first === undefined) return pods;
  return [...pods, { destination: LOAD_BALANCER_CIDR, via: nodeAddress(config, nodes, first) }];
}

/** The usual ports, and those that EndpointSlices name at the outside host's addresses. */
export function outsidePorts(
  config: ClusterConfig,
  slices: readonly EndpointSlice[],
): readonly OutsidePort[] {
  const outside = new Set(outsideAddresses(config));
  const ports = new Map(OUTSIDE_PORTS.map((p) => [`${p.protocol}/${p.port}`, p]));
  for (const slice of slices) {
    if (!slice.endpoints.some((endpoint) => endpoint.addresses.some((address) => outside.has(address))))
      continue;
    for (const { protocol, port } of slice.ports) {
      if (port === null || protocol === 'SCTP') continue;
      ports.set(`${protocol}/${port}`, { protocol, port });
    }
  }
  return [...ports.values()];
}

/** The Node object of one simulated node, as the API would show it. */
export function nodeObject(config: ClusterConfig, nodes: readonly string[], node: string): Node {
  const plan = planNode(config, nodes.indexOf(node) + 1);
  const podCIDRs = plansOf(plan).map(({ podSubnet }) => podSubnet);
  return { ...bareNode(node, nodeAddresses(plan)), spec: { podCIDRs } };
}

/** Node objects that tell no more than the addresses. */
export function nodeObjects(
  nodes: readonly { readonly name: string; readonly address: string }[],
): readonly Node[] {
  return nodes.map(({ name, address }) => bareNode(name, [address]));
}

function bareNode(name: string, addresses: readonly string[]): Node {
  const labels = {
    'kubernetes.io/arch': 'amd64',
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
  };
  return {
    kind: 'Node',
    metadata: { name, namespace: null, uid: null, labels, annotations: {} },
    spec: { podCIDRs: [] },
    status: {
      addresses: [
        ...addresses.map((address) => ({ type: 'InternalIP' as const, address })),
        { type: 'Hostname', address: name },
      ],
    },
  };
}
