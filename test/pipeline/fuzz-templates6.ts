/** Good IPv6 packets of every kind the pipeline knows, for the fuzz to spoil. */
import type { Template } from './fuzz-templates.js';
import * as N from './node.js';
import * as S from './node6.js';
import { ACK, ethernet, FIN, RST, SCTP, SYN, sctp } from './packets.js';
import * as P from './packets6.js';

function packetsOf(src: string, dst: string): Uint8Array[] {
  const flow = N.flow(src, 4000, dst, 80);
  const dns = N.flow(src, 4000, dst, 53);
  const data = Uint8Array.from({ length: 48 }, (_, i) => i);
  const parts = P.pieces(P.udp6(dns, new Uint8Array(200)), 104, 7);
  const turned = N.back({ ...flow, src: dst, dst: src });
  return [
    P.tcp6(flow, SYN),
    P.tcp6(flow, ACK, data),
    P.tcp6(flow, FIN | ACK),
    P.tcp6(flow, RST),
    P.tcp6(turned, SYN | ACK),
    P.udp6(dns, data),
    P.udp6(N.flow(src, 80, dst, 4000), data),
    P.echo6(src, dst, 5),
    P.echo6(src, dst, 5, true),
    P.ip6({ src, dst, protocol: SCTP, payload: sctp(flow, data) }),
    P.ip6({ src, dst, protocol: 47, payload: data, hops: 1 }),
    P.extended(P.tcp6(flow, ACK), P.DESTINATION),
    P.extended(P.extended(P.udp6(dns), P.ROUTING, Uint8Array.of(4, 0, 0, 0, 0, 0)), P.DESTINATION),
    P.extended(P.udp6(dns), P.HOP_BY_HOP),
    P.udp6(dns, new Uint8Array(1440)),
    ...parts,
    P.error6(src, dst, 2, 0, 1400, P.tcp6(N.flow(dst, 80, src, 4000), ACK, data)),
    P.error6(src, dst, 1, 4, 0, P.udp6(N.flow(dst, 4000, src, 53), data)),
    P.error6(src, dst, 3, 0, 0, P.echo6(dst, src, 5)),
    P.nd6(135, src, dst, dst, N.MAC_POD1),
    P.nd6(136, src, dst, src, N.MAC_PEER, { flags: 0x60 }),
  ];
}

export function templates6(): Template[] {
  const all: Template[] = [];
  const add = (port: number, frame: Uint8Array): void => void all.push({ port, frame, inner: 0 });
  const pods = [S.POD1_IP, S.POD2_IP] as const;
  for (const port of [N.POD1, N.POD2] as const) {
    const others = [S.REMOTE_POD_IP, S.VIP, S.GATEWAY, S.NODE_IP, S.OUTSIDE, S.HAIRPIN, 'fd00:96::99'];
    for (const dst of [...pods, ...others]) {
      for (const packet of packetsOf(pods[port], dst)) add(port, S.fromPod(port, packet));
    }
    const asked = P.nd6(135, pods[port], 'ff02::1:ff00:1', S.GATEWAY, N.MAC_POD1);
    add(port, ethernet('33:33:ff:00:00:01', N.MAC_POD1, 0x86dd, asked));
  }
  for (const dst of [S.NODE_IP, S.POD1_IP, '2001:db8:1::1']) {
    for (const src of [S.OUTSIDE, S.PEER_IP]) {
      for (const packet of packetsOf(src, dst)) add(N.UPLINK, S.fromUplink(packet));
    }
  }
  for (const dst of [S.POD1_IP, S.OUTSIDE, S.VIP, 'fd00:16::77']) {
    for (const packet of packetsOf(S.NODE_IP, dst)) add(N.HOST, S.fromHost(packet));
  }
  for (const dst of [...pods, S.BVI, S.REMOTE_POD_IP, S.OUTSIDE]) {
    for (const src of [S.REMOTE_POD_IP, S.OUTSIDE]) {
      for (const packet of packetsOf(src, dst)) add(N.UPLINK, S.fromTunnel(packet));
    }
  }
  add(N.UPLINK, S.fromUplink(P.tcp6(N.flow(S.OUTSIDE, 999, S.NODE_IP, 30080), SYN)));
  add(N.UPLINK, S.fromUplink(P.nd6(135, S.PEER_IP, S.NODE_IP, S.NODE_IP, N.MAC_PEER), N.MAC_PEER));
  return all;
}
