/** The world around a simulated cluster: node names, the outside host's addresses and routes, load balancer addresses. */
import type { ClusterConfig } from '../compiler/input.js';
import { planNode } from '../ipam/arithmetic.js';
import type { EndpointSlice, Node } from '../objects/types.js';
import type { DriverSpec } from './driver.js';

/** Public addresses of the outside host (RFC 5737), beside its address as the underlay's default gateway. */
export const OUTSIDE_ADDRESSES: readonly string[] = ['203.0.113.10', '198.51.100.20'];

/** LoadBalancer Services get their ingress addresses from here (RFC 5737). */
export const LOAD_BALANCER_CIDR = '192.0.2.0/24';

export type OutsidePort = DriverSpec['outsidePorts'][number];

/** Ports the outside host always answers on: web and DNS. */
export const OUTSIDE_PORTS: readonly OutsidePort[] = [
  { protocol: 'TCP', port: 80 },
  { protocol: 'TCP', port: 443 },
  { protocol: 'UDP', port: 53 },
];

/** `node-1` … `node-N`, in order of their ids. */
export function nodeNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `node-${i + 1}`);
}

/** All addresses of the outside host; the underlay's default gateway first. */
export function outsideAddresses(config: ClusterConfig): readonly string[] {
  return config.defaultGateway === null ? OUTSIDE_ADDRESSES : [config.defaultGateway, ...OUTSIDE_ADDRESSES];
}

/** The node's address on the underlay. The simulator always configures a node interconnect, so every node has one. */
export function nodeAddress(config: ClusterConfig, nodes: readonly string[], node: string): string {
  const address = planNode(config, nodes.indexOf(node) + 1).nodeAddress;
  if (address === null) throw new Error('the simulator needs nodeInterconnectCIDR');
  return address;
}

/** Every node's pod subnet by way of that node, and the load balancers' range by way of the first one. */
export function outsideRoutes(config: ClusterConfig, nodes: readonly string[]): DriverSpec['outsideRoutes'] {
  const pods = nodes.map((node, i) => ({
    destination: planNode(config, i + 1).podSubnet,
    via: nodeAddress(config, nodes, node),
  }));
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
  return { ...bareNode(node, nodeAddress(config, nodes, node)), spec: { podCIDRs: [plan.podSubnet] } };
}

/** Node objects that tell no more than the addresses. */
export function nodeObjects(
  nodes: readonly { readonly name: string; readonly address: string }[],
): readonly Node[] {
  return nodes.map(({ name, address }) => bareNode(name, address));
}

function bareNode(name: string, address: string): Node {
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
        { type: 'InternalIP', address },
        { type: 'Hostname', address: name },
      ],
    },
  };
}
