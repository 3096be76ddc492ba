/** The node of node.ts with IPv6 addresses, routes and translation beside its IPv4 ones. */
import * as L from '../../dataplane-as/layout/index.js';
import { Harness, type HarnessOptions } from './harness.js';
import type { ImageSpec } from './image.js';
import * as N from './node.js';
import { ethernet, type Flow, ip4, UDP, udp, vxlan } from './packets.js';
import { nd6 } from './packets6.js';

export const POD1_IP = 'fd00:1:0:1::2';
export const POD2_IP = 'fd00:1:0:1::3';
export const REMOTE_POD_IP = 'fd00:1:0:2::2';
export const GATEWAY = 'fd00:1:0:1::1';
export const NODE_IP = 'fd00:16::1';
export const PEER_IP = 'fd00:16::2';
export const ROUTER_IP = 'fd00:16::fe';
export const BVI = 'fd00:30::1';
export const PEER_BVI = 'fd00:30::2';
export const HAIRPIN = 'fd00:1:0:1::fffe';
export const VIP = 'fd00:96::a';
export const OUTSIDE = '2001:db8::7';
export const HOST_IP = 'fd00:172::2';
const ADJ_ROUTER6 = 9;

const ROUTES: readonly [string, number][] = [
  [`${POD1_IP}/128`, N.ADJ_POD1],
  [`${POD2_IP}/128`, N.ADJ_POD2],
  ['fd00:1:0:1::/64', N.ADJ_DROP],
  ['fd00:1:0:2::/64', N.ADJ_TUNNEL],
  ['fd00:96::/112', N.ADJ_REJECT],
  ['fd00:16::/64', N.ADJ_LINK],
  [`${NODE_IP}/128`, N.ADJ_HOST],
  [`${HOST_IP}/128`, N.ADJ_HOST],
  ['::/0', ADJ_ROUTER6],
];

const PORTS6: readonly Partial<NonNullable<ImageSpec['ports'][number]>>[] = [
  { ip6: POD1_IP, gateway6: GATEWAY },
  { ip6: POD2_IP, gateway6: GATEWAY },
  { ip6: NODE_IP, gateway6: NODE_IP, onLink6: 64 },
  { ip6: HOST_IP, gateway6: 'fd00:172::1' },
];

export function nodeImage6(change: Partial<ImageSpec> = {}): ImageSpec {
  const base = N.nodeImage();
  return {
    ...base,
    ports: base.ports.map((port, i) => (port === null ? null : { ...port, ...PORTS6[i] })),
    adjacencies: [
      ...base.adjacencies.map((way) => (way.type === 'tunnel' ? { ...way, localBvi6: BVI } : way)),
      { type: 'port', port: N.UPLINK, nextHop: ROUTER_IP },
    ],
    prefixes: [
      ...base.prefixes,
      ...ROUTES.flatMap(([prefix, value]) => [
        { space: L.SPACE_MAIN, prefix, value },
        { space: L.SPACE_POD, prefix, value },
      ]),
      { space: L.SPACE_SNAT_SOURCE, prefix: 'fd00:1::/32', value: 1 },
      { space: L.SPACE_SNAT_EXCLUDE, prefix: 'fd00:1::/32', value: 1 },
      { space: L.SPACE_SNAT_EXCLUDE, prefix: 'fd00:16::/64', value: 1 },
      { space: L.SPACE_IDENTITY, prefix: `${POD1_IP}/128`, value: 1 },
      { space: L.SPACE_IDENTITY, prefix: `${POD2_IP}/128`, value: 2 },
      { space: L.SPACE_IDENTITY, prefix: `${REMOTE_POD_IP}/128`, value: 3 },
    ],
    snat6: NODE_IP,
    hairpin6: HAIRPIN,
    node6: NODE_IP,
    ...change,
  };
}

export function fromPod(port: number, packet: Uint8Array): Uint8Array {
  return ethernet(N.MAC_GW, port === N.POD1 ? N.MAC_POD1 : N.MAC_POD2, 0x86dd, packet);
}

export function fromUplink(packet: Uint8Array, source = N.MAC_ROUTER): Uint8Array {
  return ethernet(N.MAC_UPLINK, source, 0x86dd, packet);
}

export function fromHost(packet: Uint8Array): Uint8Array {
  return ethernet(N.MAC_HOSTPORT, N.MAC_HOST, 0x86dd, packet);
}

/** A frame of the peer node's tunnel as it arrives on the uplink. */
export function fromTunnel(packet: Uint8Array, dst = N.MAC_BVI): Uint8Array {
  const inner = ethernet(dst, N.MAC_PEER_BVI, 0x86dd, packet);
  const outer: Flow = { src: N.PEER_IP, dst: N.NODE_IP, sport: 50000, dport: 4789 };
  const payload = udp(outer, vxlan(10, inner), false);
  return ethernet(N.MAC_UPLINK, N.MAC_PEER, 0x0800, ip4({ ...outer, protocol: UDP, payload }));
}

/** Publishes the image and makes the peer and the router known, by ARP and by neighbor discovery. */
export function start6(harness: Harness, change: Partial<ImageSpec> = {}): void {
  N.start(harness);
  harness.publish(nodeImage6({ generation: 2, ...change }));
  const asked = nd6(135, ROUTER_IP, NODE_IP, NODE_IP, N.MAC_ROUTER);
  harness.one(N.UPLINK, fromUplink(asked));
}

export function startNode6(change: Partial<ImageSpec> = {}, options: HarnessOptions = {}): Harness {
  const harness = new Harness(options);
  start6(harness, change);
  return harness;
}
