import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import type { ServiceSpec } from './image.js';
import * as N from './node.js';
import { echo, type Flow, ICMP, internetChecksum, ip4, read, SYN, TCP, tcp, UDP, udp } from './packets.js';

/** A UDP datagram in pieces of `size` bytes. */
function pieces(flow: Flow, length: number, size: number, id = 77): Uint8Array[] {
  const whole = udp(
    flow,
    Uint8Array.from({ length }, (_, i) => i * 3),
  );
  const out: Uint8Array[] = [];
  for (let offset = 0; offset < whole.length; offset += size) {
    const payload = whole.slice(offset, offset + size);
    const moreFragments = offset + size < whole.length;
    out.push(ip4({ src: flow.src, dst: flow.dst, protocol: UDP, payload, id, offset, moreFragments }));
  }
  return out;
}

const flow = N.flow(N.POD1_IP, 4000, N.POD2_IP, 53);

test('pieces follow their first one, through NAT too, and make the same datagram', () => {
  const services: ServiceSpec[] = [
    {
      frontends: [{ ip: N.VIP, port: 53, protocol: UDP }],
      backends: [{ ip: N.POD2_IP, port: 5353, id: 1 }],
    },
  ];
  const node = N.startNode({ services });
  const sent = pieces({ ...flow, dst: N.VIP }, 3000, 1000).map((packet) =>
    node.one(N.POD1, N.fromPod(N.POD1, packet)),
  );
  const parts = sent.map(({ frame, outcome }) => {
    assert.is(outcome, L.OUT_FORWARD_POD);
    const seen = read(frame);
    assert.ok(seen.ip.headerGood);
    assert.is(seen.ip.dst, N.POD2_IP);
    return seen.l4;
  });
  const whole = Buffer.concat(parts);
  assert.is(whole.readUInt16BE(2), 5353);
  const pseudo = new Uint8Array(12);
  pseudo.set(sent[0]!.frame.subarray(26, 34));
  pseudo[9] = UDP;
  new DataView(pseudo.buffer).setUint16(10, whole.length);
  assert.is(internetChecksum(whole, ~internetChecksum(pseudo) & 0xffff), 0);
});

test('a later piece without its first one, or after too long', () => {
  const node = N.startNode();
  const [first, second, third] = pieces(flow, 3000, 1000);
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, second!)).outcome, L.DROP_FRAGMENT_UNKNOWN);
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, first!)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, second!)).outcome, L.OUT_FORWARD_POD);
  node.now += 5_001;
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, third!)).outcome, L.DROP_FRAGMENT_UNKNOWN);
});

test('a pod that forges another one’s first piece does not change what its later ones are taken for', () => {
  const node = N.startNode();
  const [first, second] = pieces(flow, 2000, 1000);
  const [forged] = pieces({ ...flow, dport: 54 }, 2000, 1000);
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, first!)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.POD2, N.fromPod(N.POD2, forged!)).outcome, L.DROP_SPOOFED);
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, second!)).outcome, L.OUT_FORWARD_POD);
});

test('nor does somebody on the underlay, or behind another link of the host', () => {
  const node = N.startNode();
  const [first, second] = pieces(flow, 2000, 1000);
  const [forged] = pieces({ ...flow, dport: 54 }, 2000, 1000);
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, first!)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.UPLINK, N.fromUplink(forged!)).outcome, L.DROP_SPOOFED);
  assert.is(node.one(N.HOST, N.fromHost(forged!)).outcome, L.DROP_SPOOFED);
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, second!)).outcome, L.OUT_FORWARD_POD);
});

test('pieces of what policy forbids are dropped, first and later', () => {
  const base = N.nodeImage();
  const node = N.startNode({
    ports: base.ports.map((port, i) => (port !== null && i === N.POD2 ? { ...port, ingress: 1 } : port)),
    portSets: [
      {
        intervals: [{ protocol: UDP, from: 80, to: 80, allow: true, rule: 17 }],
        allow: false,
        rule: 16,
      },
    ],
    policies: [0],
  });
  const [first, second] = pieces(flow, 2000, 1000);
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, first!)).outcome, L.DROP_POLICY_INGRESS);
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, second!)).outcome, L.DROP_FRAGMENT_UNKNOWN);
  const allowed = pieces({ ...flow, dport: 80 }, 2000, 1000, 78);
  for (const packet of allowed) {
    assert.is(node.one(N.POD1, N.fromPod(N.POD1, packet)).outcome, L.OUT_FORWARD_POD);
  }
});

test('a first piece without the whole header, and a later one that overwrites it', () => {
  const node = N.startNode();
  const header = tcp(N.flow(N.POD1_IP, 1, N.POD2_IP, 80), SYN, new Uint8Array(100));
  const piece = (offset: number, payload: Uint8Array, more = true) =>
    N.fromPod(
      N.POD1,
      ip4({ src: N.POD1_IP, dst: N.POD2_IP, protocol: TCP, payload, offset, moreFragments: more, id: 5 }),
    );
  assert.is(node.one(N.POD1, piece(0, header.slice(0, 16))).outcome, L.DROP_FRAGMENT_TINY);
  assert.is(node.one(N.POD1, piece(0, header.slice(0, 64))).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.POD1, piece(8, header.slice(8, 64))).outcome, L.DROP_FRAGMENT_TINY);
  assert.is(node.one(N.POD1, piece(16, header.slice(16, 64))).outcome, L.DROP_FRAGMENT_TINY);
  assert.is(node.one(N.POD1, piece(64, header.slice(64), false)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.POD1, piece(65528, new Uint8Array(64), false)).outcome, L.DROP_FRAGMENT_TINY);
});

test('large pings in pieces, both ways', () => {
  const node = N.startNode();
  for (const reply of [false, true]) {
    const whole = echo(0x0800, 1, reply, new Uint8Array(1500));
    const [pod, src, dst] = reply ? [N.POD2, N.POD2_IP, N.POD1_IP] : [N.POD1, N.POD1_IP, N.POD2_IP];
    for (const offset of [0, 1000]) {
      const payload = whole.slice(offset, offset + 1000);
      const packet = ip4({ src, dst, protocol: ICMP, payload, id: 9, offset, moreFragments: offset === 0 });
      assert.is(node.one(pod, N.fromPod(pod, packet)).outcome, L.OUT_FORWARD_POD);
    }
  }
});

test('a tunnel packet in pieces is refused', () => {
  const node = N.startNode();
  const outer = N.flow(N.PEER_IP, 50000, N.NODE_IP, 4789);
  const packet = ip4({
    ...outer,
    protocol: UDP,
    payload: udp(outer, new Uint8Array(200)),
    moreFragments: true,
  });
  assert.is(node.one(N.UPLINK, N.fromUplink(packet)).outcome, L.DROP_VXLAN);
});

test.run();
