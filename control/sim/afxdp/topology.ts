/**
 * The wires of a simulated cluster: one namespace with the underlay's bridge, one for each node and one for the outside
 * world, each joined to the bridge by a veth pair. Made through netlink; nothing is made in the caller's own namespace.
 */
import { existsSync } from 'node:fs';
import type { Native, Netns } from '../../../native/index.js';
import { bitsOf, parseCidr, parseIp } from '../../common/ip.js';
import { rangesOf } from '../../compiler/input.js';
import type { DriverSpec } from '../driver.js';
import { nodeNamespace, outsideNamespace, underlayNamespace } from './names.js';

export const BRIDGE = 'underlay';
/** The node's end of its wire: the data plane's port. The kernel gives it no address. */
export const UPLINK = 'uplink';
/** The outside host's end of its wire. */
export const OUTSIDE_LINK = 'eth0';

/** Stations on the underlay have MACs of the locally administered range 02:70:74 (`pt`), so that captures read well. */
const OUTSIDE_STATION = 0xfffffe;

/** Handles of the namespaces that stay open while the cluster runs. */
export interface Topology {
  readonly underlay: Netns;
  readonly outside: Netns;
  close(): void;
}

/** Makes namespaces, bridge and wires. On failure what was made stays, for `removeNamespaces`. Throws NativeError. */
export function buildTopology(native: Native, spec: DriverSpec): Topology {
  const underlay = native.createNetns(underlayNamespace(spec.cluster));
  quiet(underlay);
  underlay.createBridge(BRIDGE, { mtu: spec.config.underlayMtu });
  underlay.setLink(BRIDGE, { up: true });
  spec.nodes.forEach((node, index) => {
    const netns = native.createNetns(nodeNamespace(spec.cluster, node));
    const onVpp = spec.vpp?.includes(node) === true;
    quiet(netns);
    // What the host sends to its own addresses goes by lo.
    if (spec.config.ipv6 !== null) netns.setSysctl('net/ipv6/conf/lo/disable_ipv6', '0');
    wire(underlay, netns, {
      port: `node${index + 1}`,
      link: UPLINK,
      station: index + 1,
      mtu: spec.config.underlayMtu,
      packetSocket: onVpp,
      ...(onVpp || spec.workers === undefined ? {} : { queues: spec.workers }),
    });
    netns.close();
  });
  const outside = native.createNetns(outsideNamespace(spec.cluster));
  quiet(outside);
  wire(underlay, outside, {
    port: 'outside',
    link: OUTSIDE_LINK,
    station: OUTSIDE_STATION,
    mtu: spec.config.underlayMtu,
  });
  addressOutside(outside, spec);
  return {
    underlay,
    outside,
    close() {
      outside.close();
      underlay.close();
    },
  };
}

function addressOutside(outside: Netns, spec: DriverSpec): void {
  if (spec.config.ipv6 !== null) {
    for (const link of [OUTSIDE_LINK, 'lo']) outside.setSysctl(`net/ipv6/conf/${link}/disable_ipv6`, '0');
    outside.setSysctl('net/ipv6/icmp/ratelimit', '0');
  }
  for (const address of spec.outside) {
    const { family } = parseIp(address);
    const ranges = rangesOf(spec.config).find(({ defaultGateway }) => defaultGateway === address);
    // The default gateway is a neighbor on the wire; the others are hosts behind it.
    if (ranges === undefined) {
      outside.addAddress('lo', `${address}/${bitsOf(family)}`);
      continue;
    }
    const { nodeInterconnectCIDR } = ranges;
    const length = nodeInterconnectCIDR === null ? bitsOf(family) : parseCidr(nodeInterconnectCIDR).length;
    outside.addAddress(OUTSIDE_LINK, `${address}/${length}`);
  }
  for (const { destination, via } of spec.outsideRoutes) {
    outside.addRoute({ destination, link: OUTSIDE_LINK, gateway: via });
  }
}

export interface Wire {
  /** Link in the underlay's namespace, a port of the bridge. */
  readonly port: string;
  /** Link in the station's namespace. */
  readonly link: string;
  /** Number on the underlay, 1 to 0xffffff; makes the MAC. */
  readonly station: number;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  /**
   * The station's end is a packet socket of VPP's, which wants a link with one of the offloads it can hand work to: on one without any
   * VPP 26.06 sends frames short of their last bytes. The kernel does that work then.
   */
  readonly packetSocket?: boolean;
  /** One for each worker that serves the station's end (default 1). */
  readonly queues?: number;
}

/** Joins a namespace to the bridge. Checksums are made by software on both ends: an AF_XDP socket sees frames as they are. */
export function wire(underlay: Netns, station: Netns, spec: Wire): void {
  const { port, link, mtu, packetSocket = false, queues = 1 } = spec;
  underlay.createVeth(
    { name: port, mtu, queues },
    { name: link, mtu, queues, mac: stationMac(spec.station), netns: station },
  );
  underlay.setLink(port, { master: BRIDGE, up: true });
  station.setOffloads(link, {
    txChecksum: false,
    tso: false,
    gro: false,
    ...(packetSocket ? {} : { gso: false }),
  });
  station.setLink(link, { up: true });
}

function stationMac(station: number): string {
  const hex = station.toString(16).padStart(6, '0');
  return `02:70:74:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`;
}

/** Settings of every namespace we make: no IPv6 chatter on the wires, no reverse path guess, no limit on ICMP errors. */
export function quiet(netns: Netns): void {
  if (existsSync('/proc/sys/net/ipv6')) {
    netns.setSysctl('net/ipv6/conf/default/disable_ipv6', '1');
    netns.setSysctl('net/ipv6/conf/all/disable_ipv6', '1');
  }
  netns.setSysctl('net/ipv4/conf/all/rp_filter', '0');
  netns.setSysctl('net/ipv4/conf/default/rp_filter', '0');
  // Probes of closed UDP ports read the ICMP errors; the kernel's limit of one a second would hide them.
  netns.setSysctl('net/ipv4/icmp_ratemask', '0');
}
