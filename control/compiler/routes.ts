/**
 * Both routing tables (rows POD-07, POD-08, NET-04). `pod` is for packets from pods and out of tunnels, `main` for packets
 * from the host's stack and the uplink. They differ in one point: a peer's node address is reached through the tunnel from
 * pods (so that the answer comes back with the pod's address untouched), and over the underlay from everybody else.
 */
import { bitsOf, cidrContains, formatCidr, parseCidr, parseIp } from '../common/ip.js';
import type { Cidr, Ip, Key, RouteItem, RouteTarget, Vrf } from '../ruleset/types.js';
import { type Context, familyOf } from './context.js';
import { HOST, podInterfaceKey, UPLINK } from './interfaces.js';
import { reachablePeers, tunnelKey } from './tunnels.js';

const DROP: RouteTarget = { type: 'drop' };
const REJECT: RouteTarget = { type: 'reject' };

export function compileRoutes(context: Context): readonly RouteItem[] {
  const { self, config, local } = context;
  const table = new RouteTable();
  const host: RouteTarget = local.host === null ? REJECT : via(HOST);

  for (const { pod, addresses } of context.attached.values()) {
    for (const ip of addresses) table.both(hostCidr(ip), via(podInterfaceKey(pod)));
  }
  for (const ip of self.addresses) table.both(hostCidr(ip), host);
  table.both(self.plan.hostSubnet, host);
  // An address of this node's pods that no pod has.
  table.both(self.plan.podSubnet, DROP);

  for (const { peer } of reachablePeers(context)) {
    const tunnel: RouteTarget = { type: 'tunnel', tunnel: tunnelKey(peer) };
    table.both(peer.plan.podSubnet, tunnel);
    table.both(peer.plan.hostSubnet, tunnel);
    table.both(hostCidr(peer.plan.bviAddress), tunnel);
    for (const ip of peer.addresses) {
      table.add('pod', hostCidr(ip), tunnel);
      const target = uplinkTo(context, ip);
      if (target !== null) table.add('main', hostCidr(ip), target);
    }
  }

  // What is left of the cluster's ranges belongs to nobody; without these it would leave by the default route and loop.
  table.both(config.podSubnetCIDR, DROP);
  table.both(config.hostSubnetCIDR, DROP);
  table.both(config.vxlanCIDR, DROP);
  table.both(config.serviceCIDR, REJECT);

  if (config.nodeInterconnectCIDR !== null) table.both(config.nodeInterconnectCIDR, via(UPLINK));
  if (config.defaultGateway !== null) {
    const everything = familyOf(config.defaultGateway) === 4 ? '0.0.0.0/0' : '::/0';
    table.both(everything, via(UPLINK, config.defaultGateway));
  }
  return table.routes();
}

/** The way to a node address over the underlay: straight on its own subnet, else by the gateway; unknown subnets are on the link. */
function uplinkTo({ config }: Context, ip: Ip): RouteTarget | null {
  const { nodeInterconnectCIDR, defaultGateway } = config;
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

/** Of two routes to one prefix the first stays: nearer things are added first. */
class RouteTable {
  private readonly byKey = new Map<Key, RouteItem>();

  add(vrf: Vrf, cidr: Cidr, target: RouteTarget): void {
    const prefix = formatCidr(parseCidr(cidr));
    const key = `route/${vrf}/${prefix}`;
    if (!this.byKey.has(key)) this.byKey.set(key, { kind: 'route', key, vrf, prefix, target });
  }

  both(cidr: Cidr, target: RouteTarget): void {
    this.add('main', cidr, target);
    this.add('pod', cidr, target);
  }

  routes(): readonly RouteItem[] {
    return [...this.byKey.values()];
  }
}
