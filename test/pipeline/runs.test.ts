/** The fast passes take runs of packets that have something in common: however they are mixed, each ends as it does alone. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../control/oracle/random.js';
import * as L from '../../dataplane-as/layout/index.js';
import type { Fed, Harness } from './harness.js';
import * as N from './node.js';
import { ACK, echo, FIN, ICMP, ip4, SYN } from './packets.js';

const tcp = (port: number, flags: number, dst = N.POD2_IP) =>
  N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, port, dst, 80), flags));
const tunneled = (port: number, flags: number) =>
  N.fromTunnel(N.tcpPacket(N.back(N.flow(N.POD1_IP, port, N.REMOTE_POD_IP, 80)), flags));

const ping = (id: number) => ip4({ src: N.POD1_IP, dst: N.GATEWAY, protocol: ICMP, payload: echo(id, 1) });

/** A copy with one byte changed. */
function spoiled(frame: Uint8Array, at: number): Uint8Array {
  const copy = frame.slice();
  copy[at] = (copy[at] ?? 0) ^ 0x41;
  return copy;
}

/** Packets of every kind: pods, tunnel, uplink, good ones and such that fail each proof. */
const KINDS: readonly ((i: number) => Fed)[] = [
  (i) => ({ port: N.POD1, frame: tcp(i, SYN) }),
  (i) => ({ port: N.POD1, frame: tcp(i, ACK, N.REMOTE_POD_IP) }),
  (i) => ({ port: N.POD1, frame: tcp(i, FIN | ACK) }),
  (i) => ({ port: N.POD1, frame: N.fromPod(N.POD1, N.udpPacket(N.flow(N.POD1_IP, i, N.OUTSIDE, 53))) }),
  (i) => ({ port: N.POD1, frame: spoiled(tcp(i, SYN), 24) }), // header checksum
  (i) => ({ port: N.POD1, frame: spoiled(tcp(i, SYN), 22) }), // TTL
  (i) => ({ port: N.POD1, frame: spoiled(tcp(i, SYN), 0) }), // MAC
  (i) => ({ port: N.POD1, frame: spoiled(tcp(i, SYN), 28) }), // source
  (i) => ({ port: N.POD1, frame: spoiled(tcp(i, SYN), 12) }), // type
  (i) => ({ port: N.POD1, frame: tcp(i, SYN).subarray(0, 50) }), // cut
  (i) => ({ port: N.POD1, frame: N.fromPod(N.POD1, ping(i)) }),
  (i) => ({ port: N.UPLINK, frame: tunneled(i, SYN) }),
  (i) => ({ port: N.UPLINK, frame: tunneled(i, ACK) }),
  (i) => ({ port: N.UPLINK, frame: spoiled(tunneled(i, SYN), 42) }), // VXLAN's flag
  (i) => ({ port: N.UPLINK, frame: spoiled(tunneled(i, SYN), 48) }), // network id
  (i) => ({ port: N.UPLINK, frame: spoiled(tunneled(i, SYN), 50) }), // inner MAC
  (i) => ({ port: N.UPLINK, frame: spoiled(tunneled(i, SYN), 74) }), // inner checksum
  (i) => ({ port: 99, frame: tcp(i, SYN) }),
];

/** Outcomes and bytes of all packets, and the counters afterwards. */
function carry(node: Harness, batches: readonly (readonly Fed[])[]): unknown {
  const sent = batches.flatMap((packets) => node.feed(...packets));
  const counters = Array.from({ length: L.OUTCOME_COUNT }, (_, code) => node.outcomeCount(code));
  const ports = [N.POD1, N.POD2, N.UPLINK].map((port) =>
    [L.PC_RX_PACKETS, L.PC_RX_BYTES, L.PC_TX_PACKETS, L.PC_TX_BYTES, L.PC_DROPS].map((word) =>
      node.u64(L.PORT_COUNTERS_BASE + port * L.PORT_COUNTER_SIZE + word),
    ),
  );
  return { sent: sent.map(({ frame, ...rest }) => ({ ...rest, frame: [...frame] })), counters, ports };
}

test('a batch of any mix is what its packets are one by one', () => {
  const random = new Random(3);
  for (let round = 0; round < 60; round++) {
    const packets: Fed[] = [];
    while (packets.length < 64) {
      const kind = KINDS[random.below(KINDS.length)];
      // Runs of one kind, of a length that varies.
      for (let run = 1 + random.below(round % 2 === 0 ? 2 : 9); run > 0; run--) {
        const packet = kind?.(1 + random.below(30));
        if (packet !== undefined) packets.push(packet);
      }
    }
    const together = carry(N.startNode(), [packets]);
    const alone = carry(
      N.startNode(),
      packets.map((packet) => [packet]),
    );
    assert.equal(together, alone, `round ${round}`);
  }
});

test('the index of tunnels outlives images that change no adjacency, and follows those that do', () => {
  const node = N.startNode({ tunnels: 7 });
  const arrives = () => node.one(N.UPLINK, tunneled(1, ACK)).outcome;
  assert.is(arrives(), L.OUT_FORWARD_POD);
  node.publish(N.nodeImage({ generation: 2, tunnels: 7 }));
  assert.is(arrives(), L.OUT_FORWARD_POD);
  const adjacencies = N.nodeImage().adjacencies.map((adjacency) =>
    adjacency.type === 'tunnel' ? { ...adjacency, remote: N.ROUTER_IP } : adjacency,
  );
  node.publish(N.nodeImage({ generation: 3, tunnels: 8, adjacencies }));
  assert.is(arrives(), L.DROP_VXLAN);
  node.publish(N.nodeImage({ generation: 4, tunnels: 9 }));
  assert.is(arrives(), L.OUT_FORWARD_POD);
});

test.run();
