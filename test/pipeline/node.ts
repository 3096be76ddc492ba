/**
 * One small node that most tests use: two local pods, an uplink, the host's stack, a tunnel to a peer node with one pod, a
 * service, SNAT. Everything is open unless a test says otherwise.
 */
import * as L from '../../dataplane-as/layout/index.js';
import { Harness, type HarnessOptions } from './harness.js';
import type { ImageSpec } from './image.js';
import { arp, ethernet, type Flow, ip4, SYN, TCP, tcp, UDP, udp, vxlan } from './packets.js';

export const POD1 = 0;
export const POD2 = 1;
export const UPLINK = 2;
export const HOST = 3;

export const POD1_IP = '10.1.1.2';
export const POD2_IP = '10.1.1.3';
export const REMOTE_POD_IP = '10.1.2.2';
export const GATEWAY = '10.1.1.1';
export const NODE_IP = '192.168.16.1';
export const PEER_IP = '192.168.16.2';
export const ROUTER_IP = '192.168.16.254';
export const BVI = '192.168.30.1';
export const PEER_BVI = '192.168.30.2';
export const HAIRPIN = '10.1.1.254';
export const VIP = '10.96.0.10';
export const OUTSIDE = '203.0.113.7';
export const HOST_IP = '172.30.1.2';

export const MAC_GW = '02:fe:00:00:00:01';
export const MAC_POD1 = '02:00:00:00:01:02';
export const MAC_POD2 = '02:00:00:00:01:03';
export const MAC_UPLINK = '02:aa:00:00:00:01';
export const MAC_HOST = '02:bb:00:00:00:01';
export const MAC_HOSTPORT = '02:fe:00:00:00:03';
export const MAC_PEER = '02:aa:00:00:00:02';
export const MAC_ROUTER = '02:aa:00:00:00:fe';
export const MAC_BVI = '12:2b:00:00:00:01';
export const MAC_PEER_BVI = '12:2b:00:00:00:02';

export const ADJ_POD1 = 1;
export const ADJ_POD2 = 2;
export const ADJ_TUNNEL = 3;
export const ADJ_LINK = 4;
export const ADJ_ROUTER = 5;
export const ADJ_HOST = 6;
export const ADJ_DROP = 7;
export const ADJ_REJECT = 8;

const ROUTES: readonly [string, number][] = [
  [`${POD1_IP}/32`, ADJ_POD1],
  [`${POD2_IP}/32`, ADJ_POD2],
  ['10.1.1.0/24', ADJ_DROP],
  ['10.1.2.0/24', ADJ_TUNNEL],
  ['10.96.0.0/12', ADJ_REJECT],
  ['192.168.16.0/24', ADJ_LINK],
  [`${NODE_IP}/32`, ADJ_HOST],
  [`${HOST_IP}/32`, ADJ_HOST],
  ['0.0.0.0/0', ADJ_ROUTER],
];

export function nodeImage(change: Partial<ImageSpec> = {}): ImageSpec {
  return {
    generation: 1,
    ports: [
      { role: 'pod', mac: MAC_GW, peerMac: MAC_POD1, ip: POD1_IP, gateway: GATEWAY, mtu: 1450 },
      { role: 'pod', mac: MAC_GW, peerMac: MAC_POD2, ip: POD2_IP, gateway: GATEWAY, mtu: 1450 },
      { role: 'uplink', mac: MAC_UPLINK, ip: NODE_IP, gateway: NODE_IP, onLink: 24 },
      { role: 'host', mac: MAC_HOSTPORT, peerMac: MAC_HOST, ip: HOST_IP, gateway: '172.30.1.1' },
    ],
    adjacencies: [
      { type: 'port', port: POD1, mtu: 1450 },
      { type: 'port', port: POD2, mtu: 1450 },
      {
        type: 'tunnel',
        port: UPLINK,
        local: NODE_IP,
        remote: PEER_IP,
        outerMac: MAC_UPLINK,
        localMac: MAC_BVI,
        remoteMac: MAC_PEER_BVI,
        localBvi: BVI,
        remoteBvi: PEER_BVI,
        nextHop: PEER_IP,
      },
      { type: 'port', port: UPLINK },
      { type: 'port', port: UPLINK, nextHop: ROUTER_IP },
      { type: 'port', port: HOST },
      { type: 'drop' },
      { type: 'reject' },
    ],
    prefixes: [
      ...ROUTES.flatMap(([prefix, value]) => [
        { space: L.SPACE_MAIN, prefix, value },
        { space: L.SPACE_POD, prefix, value },
      ]),
      { space: L.SPACE_SNAT_SOURCE, prefix: '10.1.0.0/16', value: 1 },
      { space: L.SPACE_SNAT_EXCLUDE, prefix: '10.1.0.0/16', value: 1 },
      { space: L.SPACE_SNAT_EXCLUDE, prefix: '192.168.16.0/24', value: 1 },
      { space: L.SPACE_IDENTITY, prefix: `${POD1_IP}/32`, value: 1 },
      { space: L.SPACE_IDENTITY, prefix: `${POD2_IP}/32`, value: 2 },
      { space: L.SPACE_IDENTITY, prefix: `${REMOTE_POD_IP}/32`, value: 3 },
    ],
    snat: { ip: NODE_IP, first: 40000, last: 40999 },
    hairpin: HAIRPIN,
    node: NODE_IP,
    ...change,
  };
}

/** A frame as the pod at `port` sends it. */
export function fromPod(port: number, packet: Uint8Array): Uint8Array {
  return ethernet(MAC_GW, port === POD1 ? MAC_POD1 : MAC_POD2, 0x0800, packet);
}

/** A frame as it arrives on the uplink. */
export function fromUplink(packet: Uint8Array, source = MAC_ROUTER): Uint8Array {
  return ethernet(MAC_UPLINK, source, 0x0800, packet);
}

export function fromHost(packet: Uint8Array): Uint8Array {
  return ethernet(MAC_HOSTPORT, MAC_HOST, 0x0800, packet);
}

/** A frame of the peer node's tunnel as it arrives on the uplink. */
export function fromTunnel(
  packet: Uint8Array,
  options: { vni?: number; type?: number; dst?: string } = {},
): Uint8Array {
  const inner = ethernet(options.dst ?? MAC_BVI, MAC_PEER_BVI, options.type ?? 0x0800, packet);
  const outer: Flow = { src: PEER_IP, dst: NODE_IP, sport: 50000, dport: 4789 };
  const payload = udp(outer, vxlan(options.vni ?? 10, inner), false);
  return ethernet(MAC_UPLINK, MAC_PEER, 0x0800, ip4({ ...outer, protocol: UDP, payload }));
}

export function tcpPacket(flow: Flow, flags = SYN, data?: Uint8Array): Uint8Array {
  return ip4({ ...flow, protocol: TCP, payload: tcp(flow, flags, data) });
}

export function udpPacket(flow: Flow, data = new Uint8Array([1, 2, 3])): Uint8Array {
  return ip4({ ...flow, protocol: UDP, payload: udp(flow, data) });
}

export function flow(src: string, sport: number, dst: string, dport: number): Flow {
  return { src, dst, sport, dport };
}

/** The other direction of a flow. */
export function back({ src, dst, sport, dport }: Flow): Flow {
  return { src: dst, dst: src, sport: dport, dport: sport };
}

/** Publishes the image and makes the peer and the router known by ARP. */
export function start(harness: Harness, change: Partial<ImageSpec> = {}): void {
  harness.publish(nodeImage(change));
  for (const [address, station] of [
    [PEER_IP, MAC_PEER],
    [ROUTER_IP, MAC_ROUTER],
  ] as const) {
    const reply = arp(2, station, address, MAC_UPLINK, NODE_IP);
    harness.one(UPLINK, ethernet(MAC_UPLINK, station, 0x0806, reply));
  }
}

/** A harness that is ready for packets. */
export function startNode(change: Partial<ImageSpec> = {}, options: HarnessOptions = {}): Harness {
  const harness = new Harness(options);
  start(harness, change);
  return harness;
}
