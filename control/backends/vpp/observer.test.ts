/**
 * Counters and traces of a real VPP: one packet of each kind is sent, and both say of it what it came to. Needs root and VPP.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../../native/index.js';
import * as items from '../../../test/backends/items.js';
import { type Host, TestNode } from '../../../test/backends/node.js';
import { openVppRig } from '../../../test/backends/vpp-rig.js';
import { onEveryVpp } from '../../../test/vpp/needs.js';
import type { InterfaceItem, PolicyItem } from '../../ruleset/types.js';
import { checksum, ethernet, ipv4 } from '../../sim/memory/packet.js';
import { icmp, udp } from '../../sim/memory/transport.js';
import type { Counters } from '../backend.js';
import { openVppApi } from './api/open.js';
import type { InForce } from './observe.js';
import { NoStatisticsError, openObserver } from './observer.js';

const test = suite('vpp observer');

const IPV4 = 0x0800;
const UDP = 17;
const ICMP = 1;
const TTL_AT = 8;
const CHECKSUM_AT = 10;

/** A packet of pod a, and what becomes of it. */
interface Case {
  readonly name: string;
  readonly outcome: string;
  readonly packet: Uint8Array;
  /** In a step before the outcome. */
  readonly says?: string;
}

function datagram(source: string, destination: string, port = 9, length = 1): Uint8Array {
  const segment = udp(
    { sourcePort: 5000, destinationPort: port, payload: new Uint8Array(length) },
    source,
    destination,
  );
  return ipv4({ source, destination, protocol: UDP, payload: segment });
}

/** With other bytes in the header, whose checksum is made right again, or left as it is. */
function changed(packet: Uint8Array, at: number, value: number, seal = true): Uint8Array {
  const bytes = packet.slice();
  bytes[at] = value;
  if (!seal) return bytes;
  bytes.set([0, 0], CHECKSUM_AT);
  const sum = checksum(bytes.subarray(0, 20));
  bytes.set([sum >> 8, sum & 255], CHECKSUM_AT);
  return bytes;
}

/** Nobody is sent anything at port 7. */
const QUIET: PolicyItem = {
  ...{ kind: 'policy', key: 'policy/quiet', direction: 'egress', isolatedBy: [] },
  rules: [
    {
      ...{ tier: 'network', action: 'deny', peers: null, ports: [items.port('UDP', 7)] },
      origin: items.origin('quiet', 'spec.egress[0]'),
    },
  ],
};

function casesOf(a: Host, b: Host, c: Host): Case[] {
  const { address } = a;
  const ping = icmp({ type: 8, code: 0, rest: 7, payload: new Uint8Array(8) });
  return [
    { name: 'to a pod', outcome: 'forward-pod', packet: datagram(address, b.address) },
    { name: 'out of the cluster', outcome: 'forward-uplink', packet: datagram(address, '203.0.113.9') },
    { name: 'to the host', outcome: 'forward-host', packet: datagram(address, '172.30.1.2') },
    { name: 'to another node', outcome: 'forward-tunnel', packet: datagram(address, '10.1.2.9') },
    {
      name: 'refused by the other end',
      outcome: 'drop-policy-ingress',
      packet: datagram(address, b.address, 10),
      says: 'policy ingress: denied by default deny (ingress isolated by NetworkPolicy shop/closed)',
    },
    { name: 'to a pod that is gone', outcome: 'drop-no-route', packet: datagram(address, '10.1.1.77') },
    { name: 'to no Service', outcome: 'reject-sent', packet: datagram(address, '10.96.7.7') },
    { name: 'forged', outcome: 'drop-spoofed', packet: datagram(c.address, b.address) },
    {
      name: 'too far',
      outcome: 'ttl-exceeded-sent',
      packet: changed(datagram(address, b.address), TTL_AT, 1),
    },
    {
      name: 'too long',
      outcome: 'fragmentation-needed-sent',
      packet: datagram(address, b.address, 9, 1432),
    },
    {
      name: 'from a pod that may not',
      outcome: 'drop-policy-egress',
      packet: datagram(address, c.address, 7),
      says: 'policy egress: denied by NetworkPolicy shop/quiet spec.egress[0]',
    },
    {
      name: 'spoiled',
      outcome: 'drop-ip-checksum',
      packet: changed(datagram(address, b.address), CHECKSUM_AT, 0x12, false),
    },
    {
      name: 'a ping of the gateway',
      outcome: 'echo-reply',
      packet: ipv4({ source: address, destination: items.gateway(1), protocol: ICMP, payload: ping }),
    },
  ];
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function received({ interfaces }: Counters): number {
  return Object.values(interfaces).reduce((sum, { rxPackets }) => sum + rxPackets, 0);
}

test('without a statistics socket there are no counters, and that is said', async () => {
  const observer = openObserver(null);
  await observer.counters({} as InForce).then(
    () => assert.unreachable(),
    (error: unknown) => assert.instance(error, NoStatisticsError),
  );
  await observer.beforeChange?.({} as InForce);
  await observer.close();
});

onEveryVpp(test, 'counters and traces agree on each packet', async (install) => {
  const rig = await openVppRig(loadNative(), { install });
  try {
    const node = await TestNode.open(async () => rig);
    const [a, b, c] = [await node.addPod(1, 'a'), await node.addPod(2, 'b'), await node.addPod(3, 'c')];
    await node.put(
      ...items.peerItems(1, 2),
      items.policy('closed', 'ingress', [items.allow('web', null, [items.port('UDP', 9)])]),
      items.endpoint('b', 'policy/closed', null),
      QUIET,
      items.endpoint('a', null, QUIET.key),
    );
    const send = (payload: Uint8Array): void => {
      const mac = { source: items.podMac(1, 1), destination: items.gatewayMac(1) };
      rig.send(items.podLink(1, 'a'), ethernet({ ...mac, type: IPV4, payload }));
    };
    const wrong: string[] = [];
    for (const { name, outcome, packet, says } of casesOf(a, b, c)) {
      // The other node is not there and never answers: nothing leaves by its tunnel.
      if (outcome === 'forward-tunnel')
        await rig.cli('set ip neighbor host-up1 192.168.16.2 02:00:00:00:99:99');
      // The first one may have to find a neighbor.
      send(packet);
      await rig.settle();
      await rig.settle();
      const before = await rig.backend.counters();
      const trace = await rig.backend.trace({});
      // More than one, as some of what VPP drops is its own: multicast reports of interfaces that came up.
      for (let i = 0; i < 4; i++) send(packet);
      await rig.settle();
      await rig.settle();
      const steps = await trace.stop();
      const after = await rig.backend.counters();
      const mine = steps.filter(({ packet: number }) => number === 1);
      const end = mine.at(-1)?.text ?? '';
      if (!end.startsWith(`outcome: ${outcome}`)) wrong.push(`${name}: traced as ${end}`);
      if (says !== undefined && !mine.some(({ text }) => text === says))
        wrong.push(`${name}: ${JSON.stringify(mine)}`);
      assert.equal(mine[0]?.pod, { namespace: 'shop', name: 'a' }, name);
      const grown = (after.outcomes[outcome] ?? 0) - (before.outcomes[outcome] ?? 0);
      if (grown < 1) wrong.push(`${name}: counted as ${difference(before.outcomes, after.outcomes)}`);
      assert.is(total(after.outcomes), received(after), name);
      assert.is(total(before.outcomes), received(before), name);
    }
    assert.equal(wrong, []);
  } finally {
    await rig.close();
  }
});

onEveryVpp(test, 'what is over a limit is counted as that', async (install) => {
  const rig = await openVppRig(loadNative(), { install });
  try {
    const node = await TestNode.open(async () => rig);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    const pod = node.items.get(items.podKey('a')) as InterfaceItem;
    const limits = { fromPod: { bitsPerSecond: 80_000, burstBits: 80_000 }, toPod: null };
    await node.put({ ...pod, limits });
    const before = await rig.backend.counters();
    for (let i = 0; i < 40; i++) a.sendUdp(b.address, 6000 + i, 9, 'x'.repeat(1000));
    await rig.settle();
    await rig.settle();
    const after = await rig.backend.counters();
    assert.ok((after.outcomes['drop-bandwidth'] ?? 0) >= 10, difference(before.outcomes, after.outcomes));
    assert.ok((after.interfaces[pod.key]?.drops ?? 0) >= 10);
    assert.is(total(after.outcomes), received(after));
  } finally {
    await rig.close();
  }
});

onEveryVpp(
  test,
  'figures are read while VPP moves them, and while packets are on their way',
  async (install) => {
    const rig = await openVppRig(loadNative(), { install });
    try {
      const node = await TestNode.open(async () => rig);
      const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
      const api = await openVppApi({ socket: rig.vpp.paths.apiSocket, apiDir: install.apiDir, name: 'test' });
      let changing = true;
      const change = async (): Promise<void> => {
        for (let i = 0; i < 40; i++) {
          const made = await Promise.all(
            Array.from({ length: 10 }, () => api.request('create_loopback', {})),
          );
          const gone = made.map(({ sw_if_index }) =>
            api.request('delete_loopback', { sw_if_index: sw_if_index as number }),
          );
          await Promise.all(gone);
        }
        changing = false;
      };
      const changes = change();
      let reads = 0;
      let before: Readonly<Record<string, number>> = {};
      for (; changing; reads++) {
        for (let i = 0; i < 20; i++) a.sendUdp(i % 3 === 0 ? '10.1.1.77' : b.address, 7000 + i, 9);
        const counters = await rig.backend.counters();
        assert.is(total(counters.outcomes), received(counters));
        for (const [name, count] of Object.entries(before))
          assert.ok((counters.outcomes[name] ?? 0) >= count, name);
        before = counters.outcomes;
      }
      await changes;
      await api.close();
      assert.ok(reads > 5, `${reads}`);
    } finally {
      await rig.close();
    }
  },
);

function difference(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): string {
  const grown = Object.keys(after).filter((name) => after[name] !== before[name]);
  return grown.map((name) => `${name} +${(after[name] ?? 0) - (before[name] ?? 0)}`).join(', ');
}

test.run();
