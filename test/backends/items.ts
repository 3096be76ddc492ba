/** Items of a small dual-stack cluster's rulesets, shaped as the compiler makes them. */
import type {
  AddressSetItem,
  EndpointItem,
  Frontend,
  InterfaceItem,
  Item,
  Key,
  NodeItem,
  Origin,
  PolicyItem,
  PolicyRule,
  PortRange,
  Protocol,
  RouteItem,
  RouteTarget,
  ServiceBackend,
  ServiceItem,
  SnatItem,
  TunnelItem,
  Vrf,
} from '../../control/ruleset/types.js';

export const UPLINK: Key = 'interface/uplink';
export const HOST: Key = 'interface/host';
export const OUTSIDE = '192.168.16.254';
export const ROUTED = '192.168.16.253';
export const ROUTED6 = 'fd00:16::fd';

export const nodeAddress = (node: number): string => `192.168.16.${node}`;
export const podAddress = (node: number, pod: number): string => `10.1.${node}.${pod + 1}`;
export const gateway = (node: number): string => `10.1.${node}.1`;
export const bvi = (node: number): string => `192.168.30.${node}`;
export const OUTSIDE6 = 'fd00:16::fe';
export const nodeAddress6 = (node: number): string => `fd00:16::${node}`;
export const podAddress6 = (node: number, pod: number): string => `fd00:1:0:${node}::${pod + 1}`;
export const gateway6 = (node: number): string => `fd00:1:0:${node}::1`;
export const hostAddress6 = (node: number, end: number): string => `fd00:172:0:${node}::${end}`;
export const bvi6 = (node: number): string => `fd00:30::${node}`;
export const uplinkMac = (node: number): string => `02:00:00:00:01:0${node}`;
export const hostMac = (node: number): string => `02:00:00:00:02:0${node}`;
export const bviMac = (node: number): string => `12:2b:00:00:00:0${node}`;
export const gatewayMac = (node: number): string => `02:00:00:00:03:0${node}`;
export const podMac = (node: number, pod: number): string => `02:00:00:00:1${node}:0${pod}`;
export const podKey = (name: string): Key => `interface/pod/shop/${name}`;
/** Link names carry the node, so that several nodes can share one namespace. */
export const uplinkLink = (node: number): string => `up${node}`;
export const hostLink = (node: number): string => `host${node}`;
export const podLink = (node: number, name: string): string => `p${node}-${name}`;

export function route(vrf: Vrf, prefix: string, target: RouteTarget): RouteItem {
  return { kind: 'route', key: `route/${vrf}/${prefix}`, vrf, prefix, target };
}

function both(prefix: string, target: RouteTarget): RouteItem[] {
  return [route('main', prefix, target), route('pod', prefix, target)];
}

export const via = (key: Key, nextHop: string | null = null): RouteTarget => ({
  type: 'interface',
  interface: key,
  nextHop,
});

/** A node without pods and peers. */
export function nodeItems(node: number): Item[] {
  const self: NodeItem = {
    kind: 'node',
    key: 'node',
    name: `node-${node}`,
    id: node,
    addresses: [nodeAddress(node), nodeAddress6(node)],
    podSubnets: [`10.1.${node}.0/24`, `fd00:1:0:${node}::/64`],
    podCidrs: ['10.1.0.0/16', 'fd00:1::/48'],
  };
  const uplink: InterfaceItem = {
    ...{ kind: 'interface', key: UPLINK, role: 'uplink', pod: null, link: uplinkLink(node) },
    ...{
      mac: uplinkMac(node),
      peerMac: null,
      peerAddresses: [],
      ownAddresses: [nodeAddress(node), nodeAddress6(node)],
      mtu: 1500,
    },
  };
  const host: InterfaceItem = {
    ...{ kind: 'interface', key: HOST, role: 'host', pod: null, link: hostLink(node) },
    ...{ mac: gatewayMac(node), peerMac: hostMac(node) },
    peerAddresses: [`172.30.${node}.2`, hostAddress6(node, 2), nodeAddress(node), nodeAddress6(node)],
    ...{ ownAddresses: [`172.30.${node}.1`, hostAddress6(node, 1)], mtu: 1500 },
  };
  const snat: SnatItem = {
    ...{ kind: 'snat', key: 'snat', addresses: [nodeAddress(node), nodeAddress6(node)] },
    ...{ sources: ['10.1.0.0/16', 'fd00:1::/48'] },
    exclude: ['10.1.0.0/16', '192.168.16.0/28', 'fd00:1::/48', 'fd00:16::/124'],
    hairpin: [`172.30.${node}.1`, hostAddress6(node, 1)],
  };
  return [
    self,
    uplink,
    host,
    snat,
    ...both(`${nodeAddress(node)}/32`, via(HOST)),
    ...both(`172.30.${node}.0/24`, via(HOST)),
    ...both(`10.1.${node}.0/24`, { type: 'drop' }),
    ...both('10.1.0.0/16', { type: 'drop' }),
    ...both('10.96.0.0/12', { type: 'reject' }),
    ...both('192.168.16.0/24', via(UPLINK)),
    ...both('0.0.0.0/0', via(UPLINK, OUTSIDE)),
    ...both(`${nodeAddress6(node)}/128`, via(HOST)),
    ...both(`fd00:172:0:${node}::/64`, via(HOST)),
    ...both(`fd00:1:0:${node}::/64`, { type: 'drop' }),
    ...both('fd00:1::/48', { type: 'drop' }),
    ...both('fd00:96::/112', { type: 'reject' }),
    ...both('fd00:16::/64', via(UPLINK)),
    ...both('::/0', via(UPLINK, OUTSIDE6)),
  ];
}

/** What `node` needs to reach the pods of `peer`. */
export function peerItems(node: number, peer: number): Item[] {
  const tunnel: TunnelItem = {
    ...{ kind: 'tunnel', key: `tunnel/${peer}`, peer: `node-${peer}`, vni: 10 },
    ...{
      local: nodeAddress(node),
      remote: nodeAddress(peer),
      localMac: bviMac(node),
      remoteMac: bviMac(peer),
    },
    ...{ localBvi: bvi(node), remoteBvi: bvi(peer), mtu: 1450 },
    ...{ localBvi6: bvi6(node), remoteBvi6: bvi6(peer) },
  };
  const target: RouteTarget = { type: 'tunnel', tunnel: tunnel.key };
  return [
    tunnel,
    ...both(`10.1.${peer}.0/24`, target),
    ...both(`172.30.${peer}.0/24`, target),
    route('pod', `${nodeAddress(peer)}/32`, target),
    route('main', `${nodeAddress(peer)}/32`, via(UPLINK)),
    ...both(`fd00:1:0:${peer}::/64`, target),
    ...both(`fd00:172:0:${peer}::/64`, target),
    route('pod', `${nodeAddress6(peer)}/128`, target),
    route('main', `${nodeAddress6(peer)}/128`, via(UPLINK)),
  ];
}

export function podItems(node: number, pod: number, name: string): Item[] {
  const key = podKey(name);
  const item: InterfaceItem = {
    ...{ kind: 'interface', key, role: 'pod', pod: { namespace: 'shop', name }, link: podLink(node, name) },
    ...{ mac: gatewayMac(node), peerMac: podMac(node, pod) },
    peerAddresses: [podAddress(node, pod), podAddress6(node, pod)],
    ...{ ownAddresses: [gateway(node), gateway6(node)], mtu: 1450 },
  };
  return [
    item,
    ...both(`${podAddress(node, pod)}/32`, via(key)),
    ...both(`${podAddress6(node, pod)}/128`, via(key)),
    endpoint(name, null, null),
  ];
}

export function endpoint(name: string, ingress: Key | null, egress: Key | null): EndpointItem {
  const pod = { namespace: 'shop', name };
  return { kind: 'endpoint', key: `endpoint/shop/${name}`, pod, interface: podKey(name), ingress, egress };
}

export function addressSet(name: string, addresses: readonly string[]): AddressSetItem {
  return { kind: 'addressset', key: `addressset/${name}`, addresses: [...addresses].sort(), blocks: [] };
}

export const origin = (name: string, field: string | null = null): Origin => ({
  kind: 'NetworkPolicy',
  namespace: 'shop',
  name,
  field,
});

export function allow(
  name: string,
  peers: readonly Key[] | null,
  ports: readonly PortRange[] | null,
): PolicyRule {
  const field = 'spec.ingress[0]';
  return { tier: 'network', action: 'allow', peers, ports, origin: origin(name, field) };
}

/** A policy that isolates, named after the NetworkPolicy that does. */
export function policy(
  name: string,
  direction: PolicyItem['direction'],
  rules: readonly PolicyRule[],
): PolicyItem {
  return { kind: 'policy', key: `policy/${name}`, direction, rules, isolatedBy: [origin(name)] };
}

export function port(protocol: Protocol, from: number, to = from): PortRange {
  return { protocol, from, to };
}

export interface ServiceOptions {
  readonly protocol?: Protocol;
  readonly scope?: ServiceItem['scope'];
  readonly frontends: readonly Frontend[];
  /** `address:port`, IPv6 in brackets */
  readonly backends: readonly string[];
  readonly affinitySeconds?: number;
  readonly algorithm?: ServiceItem['algorithm'];
  readonly sourceRanges?: readonly string[];
  /** As `backends`; for who comes by the uplink. */
  readonly outsideBackends?: readonly string[];
}

export function service(name: string, options: ServiceOptions): ServiceItem {
  const { protocol = 'TCP', scope = 'internal', frontends } = options;
  const six = frontends.some(({ address }) => address.includes(':'));
  return {
    kind: 'service',
    key: `service/shop/${name}/${protocol}/${frontends[0]?.port ?? 0}/${scope}${six ? '/ipv6' : ''}`,
    namespace: 'shop',
    name,
    portName: null,
    protocol,
    scope,
    frontends,
    backends: options.backends.map(backend),
    affinitySeconds: options.affinitySeconds ?? null,
    algorithm: options.algorithm ?? 'random',
    sourceRanges: options.sourceRanges ?? null,
    outsideBackends: options.outsideBackends?.map(backend) ?? null,
  };
}

function backend(text: string): ServiceBackend {
  const colon = text.lastIndexOf(':');
  const address = text.slice(0, colon).replace(/^\[|\]$/g, '');
  return { address, port: Number(text.slice(colon + 1)), weight: 1, pod: null, node: null };
}
