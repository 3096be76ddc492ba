/** Good packets of every kind the pipeline knows, for the fuzz to spoil. */
import * as N from './node.js';
import {
  ACK,
  arp,
  echo,
  ethernet,
  FIN,
  ICMP,
  icmp,
  ip4,
  RST,
  SCTP,
  SYN,
  sctp,
  TCP,
  tcp,
  UDP,
  udp,
} from './packets.js';

export interface Template {
  readonly port: number;
  readonly frame: Uint8Array;
  /** Offset of the inner IP header of a tunnel packet, 0 = none. */
  readonly inner: number;
}

function packetsOf(src: string, dst: string): Uint8Array[] {
  const flow = N.flow(src, 4000, dst, 80);
  const dns = N.flow(src, 4000, dst, 53);
  const data = Uint8Array.from({ length: 48 }, (_, i) => i);
  const fragment = { src, dst, id: 7, protocol: UDP };
  const whole = udp(dns, new Uint8Array(200));
  return [
    N.tcpPacket(flow, SYN),
    N.tcpPacket(flow, ACK, data),
    N.tcpPacket(flow, FIN | ACK),
    N.tcpPacket(flow, RST),
    N.tcpPacket(N.back({ ...flow, src: dst, dst: src }), SYN | ACK),
    N.udpPacket(dns, data),
    N.udpPacket(N.flow(src, 80, dst, 4000), data),
    ip4({ src, dst, protocol: UDP, payload: udp(dns, data, false) }),
    ip4({ src, dst, protocol: ICMP, payload: echo(5, 1) }),
    ip4({ src, dst, protocol: ICMP, payload: echo(5, 1, true) }),
    ip4({ src, dst, protocol: SCTP, payload: sctp(flow, data) }),
    ip4({ src, dst, protocol: 47, payload: data }),
    ip4({ src, dst, protocol: TCP, payload: tcp(flow, SYN), ttl: 1 }),
    ip4({
      src,
      dst,
      protocol: TCP,
      payload: tcp(flow, ACK),
      options: Uint8Array.of(148, 4, 0, 0, 1, 1, 1, 1),
    }),
    ip4({ src, dst, protocol: UDP, payload: udp(dns, new Uint8Array(1460)) }),
    ip4({ ...fragment, payload: whole.slice(0, 104), moreFragments: true }),
    ip4({ ...fragment, payload: whole.slice(104), offset: 104 }),
    ip4({
      src,
      dst,
      protocol: ICMP,
      payload: icmp(3, 4, 1400, N.tcpPacket(N.flow(dst, 80, src, 4000), ACK, data)),
    }),
    ip4({ src, dst, protocol: ICMP, payload: icmp(3, 3, 0, N.udpPacket(N.flow(dst, 4000, src, 53), data)) }),
    ip4({
      src,
      dst,
      protocol: ICMP,
      payload: icmp(11, 0, 0, ip4({ src: dst, dst: src, protocol: ICMP, payload: echo(5, 1) })),
    }),
  ];
}

export function templates(): Template[] {
  const all: Template[] = [];
  const pods = [N.POD1_IP, N.POD2_IP] as const;
  for (const port of [N.POD1, N.POD2] as const) {
    const own = pods[port];
    const station = port === N.POD1 ? N.MAC_POD1 : N.MAC_POD2;
    for (const dst of [
      ...pods,
      N.REMOTE_POD_IP,
      N.VIP,
      N.GATEWAY,
      N.NODE_IP,
      N.OUTSIDE,
      N.HAIRPIN,
      '10.96.9.9',
    ]) {
      for (const packet of packetsOf(own, dst)) all.push({ port, frame: N.fromPod(port, packet), inner: 0 });
    }
    const request = arp(1, station, own, '00:00:00:00:00:00', N.GATEWAY);
    all.push({ port, frame: ethernet('ff:ff:ff:ff:ff:ff', station, 0x0806, request), inner: 0 });
  }
  for (const dst of [N.NODE_IP, N.POD1_IP, '198.51.100.1']) {
    for (const src of [N.OUTSIDE, N.PEER_IP]) {
      for (const packet of packetsOf(src, dst))
        all.push({ port: N.UPLINK, frame: N.fromUplink(packet), inner: 0 });
    }
  }
  for (const dst of [N.POD1_IP, N.OUTSIDE, N.VIP, '192.168.16.77']) {
    for (const packet of packetsOf(N.NODE_IP, dst))
      all.push({ port: N.HOST, frame: N.fromHost(packet), inner: 0 });
  }
  for (const dst of [...pods, N.BVI, N.REMOTE_POD_IP, N.OUTSIDE]) {
    for (const src of [N.REMOTE_POD_IP, N.OUTSIDE]) {
      for (const packet of packetsOf(src, dst))
        all.push({ port: N.UPLINK, frame: N.fromTunnel(packet), inner: 64 });
    }
  }
  const nodePort = N.tcpPacket(N.flow(N.OUTSIDE, 999, N.NODE_IP, 30080));
  all.push({ port: N.UPLINK, frame: N.fromUplink(nodePort), inner: 0 });
  const asks = arp(1, N.MAC_PEER, N.PEER_IP, '00:00:00:00:00:00', N.NODE_IP);
  const tells = arp(2, N.MAC_PEER, N.PEER_IP, N.MAC_UPLINK, N.NODE_IP);
  const inner = arp(1, N.MAC_PEER_BVI, N.PEER_BVI, '00:00:00:00:00:00', N.BVI);
  all.push({ port: N.UPLINK, frame: ethernet('ff:ff:ff:ff:ff:ff', N.MAC_PEER, 0x0806, asks), inner: 0 });
  all.push({ port: N.UPLINK, frame: ethernet(N.MAC_UPLINK, N.MAC_PEER, 0x0806, tells), inner: 0 });
  all.push({ port: N.UPLINK, frame: N.fromTunnel(inner, { type: 0x0806 }), inner: 0 });
  all.push({ port: N.POD1, frame: ethernet(N.MAC_GW, N.MAC_POD1, 0x86dd, new Uint8Array(60)), inner: 0 });
  return all;
}
