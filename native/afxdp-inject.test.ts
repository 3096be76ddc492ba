/** Sending many packets at a time (ptsend0). What all ways of sending have in common is in afxdp.test.ts. */
import * as assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as L from '../dataplane-as/layout/index.js';
import { kernel, program, root, testIf } from '../test/support/requires.js';
import { Bed, FRAME_COUNT, name, portOfAnotherProcess, withBed } from './afxdp-bed.js';
import type { Netns } from './index.js';

const test = suite('afxdp-inject');
const it = testIf(test, root(), kernel(6, 6), program('ip'), program('ping'));

/** Ports 0 to `pods` - 1 inject, and as many from `pods` on are the pods' own ends. */
function injectBed(bed: Bed, mtu = 1500): void {
  for (const netns of [bed.node, ...bed.pods])
    for (const of of ['all', 'default']) netns.setSysctl(`net/ipv6/conf/${of}/disable_ipv6`, '1');
  const able = bed.pods.map((_, n) => {
    bed.addPort(n, { mtu });
    return bed.xdp.injects(n);
  });
  bed.pods.forEach((netns, n) => {
    bed.addPort(bed.pods.length + n, { netns, link: 'eth0', mode: 'native', mtu, sending: 'xdp' });
  });
  assert.ok(able.every(Boolean));
}

/** Sends by the ports given, and what arrives at the pods' ends, in order. */
function send(
  bed: Bed,
  packets: readonly { port: number; bytes: Uint8Array }[],
  look: (entry: number) => void = () => {},
): Map<number, Uint8Array[]> {
  for (const [entry, { port, bytes }] of packets.entries()) {
    assert.ok(bed.xdp.inject(entry, bytes, L.PORT_NONE));
    bed.setWord(entry, L.V_TX_PORT, port);
  }
  const arrived = new Map<number, Uint8Array[]>();
  let from = packets.length;
  for (let tries = 0; tries < 5; ) {
    const received = bed.xdp.step(from, 0);
    from = received;
    for (let i = 0; i < received; i++) {
      const pod = bed.word(i, L.V_RX_PORT) - bed.pods.length;
      arrived.set(pod, [...(arrived.get(pod) ?? []), bed.bytesOf(i)]);
      look(i);
      bed.setWord(i, L.V_TX_PORT, L.PORT_NONE);
    }
    if (received === 0) tries++;
  }
  return arrived;
}

const links = (netns: Netns): string[] => netns.links().map((link) => link.name);

let seed = 20_261_122;
const random = (below: number): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
};

/** A frame of this length: random bytes, but no group address, since the kernel would count it otherwise. */
function frame(length: number, type: readonly number[] = [0x88, 0xb5]): Uint8Array {
  const bytes = Uint8Array.from({ length }, () => random(256));
  bytes[0] = 2;
  bytes.set(type, 12);
  return bytes;
}

it('brings every packet to its pod and no other, as it was and in order', () =>
  withBed(new Bed(3), (bed) => {
    injectBed(bed);
    const types = [
      [0x08, 0x00],
      [0x86, 0xdd],
      [0x08, 0x06],
      [0x81, 0x00, 0x20, 0x07, 0x08, 0x00],
      [0x88, 0xa8, 0, 1, 0x81, 0x00, 0, 2, 0x86, 0xdd],
    ];
    for (let round = 0; round < 60; round++) {
      const packets = Array.from({ length: 1 + random(60) }, () => {
        const longest = [60, 128, 1514][random(3)]!;
        return { port: random(3), bytes: frame(60 + random(longest - 59), types[random(types.length)]) };
      });
      const arrived = send(bed, packets);
      for (let pod = 0; pod < 3; pod++) {
        const sent = packets.filter(({ port }) => port === pod).map(({ bytes }) => bytes);
        assert.deepEqual(arrived.get(pod) ?? [], sent, `round ${round}, pod ${pod}`);
      }
    }
    for (let port = 0; port < 3; port++)
      assert.deepEqual(bed.xdp.counters(port), { rxDropped: 0, txFull: 0, fillEmpty: 0, invalid: 0 });
    assert.ok(bed.allFree(0, 1, 2, 3, 4, 5));
  }));

it('sends packets of several buffers as one, up to its longest, and counts what is longer', () =>
  withBed(new Bed(1, 3500, 2048), (bed) => {
    injectBed(bed, 3500);
    const lengths = [1919, 1920, 1921, 3514];
    const sent = lengths.map((length) => frame(length));
    const packets = [...sent, frame(3585)].map((bytes) => ({ port: 0, bytes }));
    const totals: number[] = [];
    const arrived = send(bed, packets, (entry) => totals.push(bed.word(entry, L.V_TOTAL))).get(0) ?? [];
    assert.deepEqual(totals, lengths);
    // In buffers again, of which these are the first ones.
    assert.deepEqual(
      arrived,
      sent.map((bytes, n) => bytes.slice(0, arrived[n]?.length)),
    );
    assert.equal(bed.xdp.counters(0).invalid, 1);
  }));

it('leaves links with a larger MTU to AF_XDP', () =>
  withBed(new Bed(1, 9000, 2048), (bed) => {
    bed.addPort(0, { mtu: 9000 });
    assert.equal(bed.xdp.injects(0), false);
    assert.ok(!links(bed.node).includes('ptsend0'));
  }));

it('sends more than a batch holds', () =>
  withBed(new Bed(1), (bed) => {
    injectBed(bed);
    const before = bed.arrived(0);
    bed.xdp.removePort(1);
    for (const [count, length] of [
      [256, 60],
      [200, 1514],
    ] as const) {
      for (let i = 0; i < count; i++) {
        assert.ok(bed.xdp.inject(i, frame(length), L.PORT_NONE));
        bed.setWord(i, L.V_TX_PORT, 0);
      }
      bed.xdp.step(count, 0);
    }
    assert.equal(bed.arrived(0) - before, 456);
    assert.equal(bed.xdp.counters(0).txFull, 0);
  }));

it('counts what a link that is down or gone did not take, and serves the others', () =>
  withBed(new Bed(3), (bed) => {
    injectBed(bed);
    bed.node.setLink('port0', { up: false });
    bed.node.deleteLink('port1');
    const packets = Array.from({ length: 30 }, (_, n) => ({ port: n % 3, bytes: frame(60 + n) }));
    const arrived = send(bed, packets);
    assert.deepEqual(
      arrived.get(2),
      packets.filter(({ port }) => port === 2).map(({ bytes }) => bytes),
    );
    assert.deepEqual(
      [0, 1, 2].map((port) => bed.xdp.counters(port).txFull),
      [10, 10, 0],
    );
  }));

for (const [what, harm] of [
  ['taken away', (node: Netns): void => node.deleteLink('ptsend0')],
  ['taken down', (node: Netns): void => node.setLink('ptsend0', { up: false })],
] as const) {
  it(`goes on by AF_XDP when its own link is ${what}`, () =>
    withBed(new Bed(2), (bed) => {
      injectBed(bed);
      harm(bed.node);
      const bytes = frame(100);
      assert.ok(bed.xdp.injects(0));
      send(bed, [{ port: 0, bytes }]);
      assert.equal(bed.xdp.counters(0).txFull, 1);
      assert.equal(bed.xdp.injects(0), false);
      assert.deepEqual(send(bed, [{ port: 0, bytes }]).get(0), [bytes]);
      assert.deepEqual(send(bed, [{ port: 1, bytes }]).get(1), [bytes]);
      // Nor do new ports need it.
      bed.xdp.removePort(1);
      bed.drain();
      bed.addPort(1);
      assert.equal(bed.xdp.injects(1), false);
    }));
}

it('has a link that says nothing and hears nothing, and is gone with its engine or process', () =>
  withBed(new Bed(2), async (bed) => {
    // Nothing of IPv6 on the other links.
    for (const pod of bed.pods) pod.setSysctl('net/ipv6/conf/all/disable_ipv6', '1');
    for (const link of ['port0', 'port1']) bed.node.setSysctl(`net/ipv6/conf/${link}/disable_ipv6`, '1');
    bed.addPort(0);
    assert.ok(bed.xdp.injects(0));
    bed.addPort(1);
    assert.equal(links(bed.node).filter((link) => link.startsWith('ptsend')).length, 1);
    const run = (...argv: string[]): string =>
      execFileSync('ip', ['netns', 'exec', name('node'), ...argv], { encoding: 'utf8' });
    assert.equal(run('ip', '-o', 'address', 'show', 'dev', 'ptsend0'), '');
    assert.doesNotMatch(run('ip', '-6', 'route', 'show', 'dev', 'ptsend0'), /fe80/);
    const before = bed.arrived(0) + bed.arrived(1);
    bed.node.addAddress('ptsend0', '10.99.0.1/24');
    bed.node.addNeighbor('ptsend0', '10.99.0.2', '02:00:00:00:00:02');
    try {
      run('ping', '-c', '3', '-i', '0.01', '-W', '1', '10.99.0.2');
    } catch {
      // Nobody answers.
    }
    assert.equal(bed.arrived(0) + bed.arrived(1), before);

    // A second engine has one of its own.
    bed.xdp.removePort(0);
    bed.drain();
    const child = portOfAnotherProcess(bed, 'copy');
    await new Promise((resolve) => child.stdout.once('data', resolve));
    assert.ok(links(bed.node).includes('ptsend1'));
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    for (let i = 0; i < 1000 && links(bed.node).includes('ptsend1'); i++) await turn();
    assert.ok(!links(bed.node).includes('ptsend1'));
    assert.equal(bed.conserved().total, FRAME_COUNT);
    bed.xdp.close();
    assert.ok(!links(bed.node).includes('ptsend0'));
  }));

test.run();
