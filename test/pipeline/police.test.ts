import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import type { Harness } from './harness.js';
import type { PortSpec } from './image.js';
import * as N from './node.js';

/** 1000 bytes a second, 2000 at once. */
const LIMIT = [1000, 2000] as const;
const DATA = new Uint8Array(500);
/** What such a packet is on the wire: Ethernet, IPv4, UDP. */
const BYTES = 14 + 20 + 8 + DATA.length;

function limited(pod: number, change: Partial<PortSpec>): Harness {
  const { ports } = N.nodeImage();
  return N.startNode({
    ports: ports.map((port, i) => (port !== null && i === pod ? { ...port, ...change } : port)),
  });
}

function send(node: Harness, from: number): number {
  const there = N.flow(N.POD1_IP, 4000, N.POD2_IP, 4001);
  const flow = from === N.POD1 ? there : N.back(there);
  return node.one(from, N.fromPod(from, N.udpPacket(flow, DATA))).outcome;
}

/** Packets that pass until the first one is dropped, of at most 1000. */
function passing(node: Harness, from: number): number {
  for (let passed = 0; passed < 1000; passed++) if (send(node, from) === L.DROP_BANDWIDTH) return passed;
  return 1000;
}

test('a burst passes, then as much as the rate gives, then never more than a burst', () => {
  const node = limited(N.POD2, { toPod: LIMIT });
  const burst = Math.ceil(2000 / BYTES);
  assert.is(passing(node, N.POD1), burst);
  node.now += 10_000;
  assert.is(passing(node, N.POD1), burst, 'the bucket holds no more than its burst');
  let passed = 0;
  for (let i = 0; i < 1000; i++) {
    node.now += 100;
    if (send(node, N.POD1) === L.OUT_FORWARD_POD) passed++;
  }
  // 100 s at 1000 bytes each.
  assert.ok(Math.abs(passed * BYTES - 100_000) < 3000, `${passed * BYTES} bytes in 100 s`);
});

test('each direction of each pod by itself', () => {
  const node = limited(N.POD1, { fromPod: LIMIT });
  assert.ok(passing(node, N.POD1) < 10);
  assert.is(passing(node, N.POD2), 1000, 'what it receives is not limited');
  const other = limited(N.POD1, { toPod: LIMIT });
  assert.is(passing(other, N.POD1), 1000);
  assert.ok(passing(other, N.POD2) < 10);
});

test('what is dropped leaves by no port, is counted, and answers of the node itself are not limited', () => {
  const node = limited(N.POD1, { fromPod: LIMIT, toPod: LIMIT });
  passing(node, N.POD1);
  const flow = N.flow(N.POD1_IP, 4000, N.POD2_IP, 4001);
  const dropped = node.one(N.POD1, N.fromPod(N.POD1, N.udpPacket(flow, DATA)));
  assert.equal([dropped.outcome, dropped.port], [L.DROP_BANDWIDTH, null]);
  const refused = node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 1, '10.96.9.9', 80))));
  assert.is(refused.outcome, L.OUT_REJECT_SENT);
});

test('a packet larger than the burst passes, and what follows pays for it', () => {
  const node = limited(N.POD1, { fromPod: [1000, 100] });
  assert.is(send(node, N.POD1), L.OUT_FORWARD_POD);
  node.now += 400;
  assert.is(send(node, N.POD1), L.DROP_BANDWIDTH);
  node.now += 100;
  assert.is(send(node, N.POD1), L.OUT_FORWARD_POD);
});

test('another limit starts full; the clock may wrap', () => {
  const node = limited(N.POD1, { fromPod: LIMIT });
  node.now = 0xffffff00;
  passing(node, N.POD1);
  node.now = 0x100;
  assert.is(send(node, N.POD1), L.OUT_FORWARD_POD);
  passing(node, N.POD1);
  const { ports } = N.nodeImage();
  node.publish(
    N.nodeImage({
      generation: 2,
      ports: ports.map((port, i) =>
        port !== null && i === N.POD1 ? { ...port, fromPod: [5000, 5000] as const } : port,
      ),
    }),
  );
  assert.ok(passing(node, N.POD1) > 5);
});

test.run();
