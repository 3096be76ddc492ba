/**
 * Both routing tables. `pod` is for packets from pods and out of tunnels, `main` for packets
 * from the host's stack and the uplink. They differ in one point: a peer's node address is reached through the tunnel from
 * pods (so that the answer comes back with the pod's address untouched), and over the underlay from everybody else.
 */
import { bitsOf, cidrContains, formatCidr, parseCidr, parseIp } from '../common/ip.js';
import { plansOf } from '../ipam/arithmetic.js';
import type { Cidr, Ip, Key, RouteItem, RouteTarget, Vrf } from '../ruleset/types.js';
import { allAddresses, type Context, familyOf } from './context.js';
import { type Attachment, type FamilyRanges, rangesOf } from './input.js';
import { HOST, podInterfaceKey, UPLINK } from './interfaces.js';
import type { NodeView } from './node-view.js';
import { reachablePeers, tunnelKey } from './tunnels.js';

const DROP: RouteTarget = { type: 'drop' };
const REJECT: RouteTarget = { type: 'reject' };

/** Of two routes to one prefix the first stays: nearer things come first. */
export function compileRoutes(context: Context): readonly RouteItem[] {
  const routes = new Map<Key, RouteItem>();
  for (const route of [
    ...[...context.attached.values()].flatMap(podRoutes),
    ...nodeRoutes(context),
    ...reachablePeers(context).flatMap(({ peer }) => peerRoutes(context, peer)),
    ...rangeRoutes(context),
  ]) {
    if (!routes.has(route.key)) routes.set(route.key, route);
  }
  return [...routes.values()];
}

/** To a pod wired here. */
export function podRoutes({ pod, addresses }: Attachment): readonly RouteItem[] {
  return addresses.flatMap((ip) => both(hostCidr(ip), via(podInterfaceKey(pod))));
}

/** To this node itself, and to what is left of its pod subnet. */
export function nodeRoutes({ self, local, config }: Context): readonly RouteItem[] {
  const host: RouteTarget = local.host === null ? REJECT : via(HOST);
  return [
    ...[...allAddresses(self), ...config.hostAddresses].flatMap((ip) => both(hostCidr(ip), host)),
    ...plansOf(self.plan).flatMap(({ hostSubnet, podSubnet }) => [
      ...both(hostSubnet, host),
      // An address of this node's pods that no pod has.
      ...both(podSubnet, DROP),
    ]),
  ];
}

/** To another node and its pods. */
export function peerRoutes(context: Context, peer: NodeView): readonly RouteItem[] {
  const tunnel: RouteTarget = { type: 'tunnel', tunnel: tunnelKey(peer) };
  return [
    ...plansOf(peer.plan).flatMap(({ podSubnet, hostSubnet, bviAddress }) => [
      ...both(podSubnet, tunnel),
      ...both(hostSubnet, tunnel),
      ...both(hostCidr(bviAddress), tunnel),
    ]),
    ...peer.addresses.flatMap((ip) => {
      const target = uplinkTo(context, ip);
      const fromPods = routeItem('pod', hostCidr(ip), tunnel);
      return target === null ? [fromPods] : [fromPods, routeItem('main', hostCidr(ip), target)];
    }),
    // From everybody else they are reached by whatever network they are in: so do the answers come.
    ...peer.hostAddresses.map((ip) => routeItem('pod', hostCidr(ip), tunnel)),
  ];
}

/** To the rest of the cluster's ranges, and out. */
export function rangeRoutes({ config }: Context): readonly RouteItem[] {
  return rangesOf(config).flatMap(routesOfRanges);
}

function routesOfRanges(ranges: FamilyRanges): readonly RouteItem[] {
  const { nodeInterconnectCIDR, defaultGateway } = ranges;
  const routes = [
    // What is left of these belongs to nobody; without these it would leave by the default route and loop.
    ...both(ranges.podSubnetCIDR, DROP),
    ...both(ranges.hostSubnetCIDR, DROP),
    ...both(ranges.vxlanCIDR, DROP),
    ...both(ranges.serviceCIDR, REJECT),
  ];
  if (nodeInterconnectCIDR !== null) routes.push(...both(nodeInterconnectCIDR, via(UPLINK)));
  if (defaultGateway !== null) {
    const everything = familyOf(defaultGateway) === 4 ? '0.0.0.0/0' : '::/0';
    routes.push(...both(everything, via(UPLINK, defaultGateway)));
  }
  return routes;
}

/** The way to a node address over the underlay: straight on its own subnet, else by the gateway; unknown subnets are on the link. */
function uplinkTo({ config }: Context, ip: Ip): RouteTarget | null {
  // A family that the cluster has no ranges of is not routed.
  const ranges =
    rangesOf(config).find(({ podSubnetCIDR }) => familyOf(podSubnetCIDR) === familyOf(ip)) ?? config;
  const { nodeInterconnectCIDR, defaultGateway } = ranges;
  const onLink = nodeInterconnectCIDR !== null && cidrContains(parseCidr(nodeInterconnectCIDR), parseIp(ip));
  if (onLink || defaultGateway === null) return via(UPLINK);
  return familyOf(defaultGateway) === familyOf(ip) ? via(UPLINK, defaultGateway) : null;
}

function via(key: Key, nextHop: Ip | null = null): RouteTarget {
  return { type: 'interface', interface: key, nextHop };
}

function hostCidr(ip: Ip): Cidr {
  return `${ip}/${bitsOf(familyOf(ip))}`;
}

function routeItem(vrf: Vrf, cidr: Cidr, target: RouteTarget): RouteItem {
  const prefix = formatCidr(parseCidr(cidr));
  return { kind: 'route', key: `route/${vrf}/${prefix}`, vrf, prefix, target };
}

function both(cidr: Cidr, target: RouteTarget): readonly RouteItem[] {
  return [routeItem('main', cidr, target), routeItem('pod', cidr, target)];
}
