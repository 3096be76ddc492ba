/**
 * Pods behind TAPs in a whole cluster: packets of every size and bulk TCP to a TAP and a veth on the same node and to another
 * node, each checksum right; and killed programs take nothing with them.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { testIf } from '../support/requires.js';
import { startTestCluster, type TestCluster } from './support/cluster.js';
import { Inside, runInside, scriptInside } from './support/inside.js';
import { until } from './support/kernel.js';
import { type Manifest, pod } from './support/manifests.js';
import { requirements } from './support/needs.js';

const SECONDS = 1;
/** Bytes VXLAN adds over IPv4: outer IP, UDP, VXLAN, inner Ethernet. */
const OVERHEAD = 50;
const PODS = ['near', 'beside', 'veth', 'far'];
const needs = requirements('iperf3', 'ping', 'ethtool', 'nstat');

function onVeth(manifest: Manifest): Manifest {
  const metadata = manifest['metadata'] as object;
  return { ...manifest, metadata: { ...metadata, annotations: { 'pteropus.io/feed': 'afxdp' } } };
}

const MANIFESTS = [
  pod('near', { node: 'node-1' }),
  pod('beside', { node: 'node-1' }),
  onVeth(pod('veth', { node: 'node-1' })),
  pod('far', { node: 'node-2' }),
];

/** Gbit/s that arrived. */
async function iperf(cluster: TestCluster, from: string, to: string): Promise<number> {
  const server = new Inside(cluster.driver, to, ['iperf3', '-s', '-1', '--forceflush']);
  try {
    await server.printed('listening');
    const argv = ['iperf3', '-c', cluster.ip(to), '-t', String(SECONDS), '-J', '--connect-timeout', '3000'];
    const { out } = await new Inside(cluster.driver, from, argv).finished;
    const { end } = JSON.parse(out) as { end: { sum_received: { bits_per_second: number } } };
    return end.sum_received.bits_per_second / 1e9;
  } finally {
    server.kill();
    await server.finished;
  }
}

/** Length of the echo of a datagram of `size` bytes. */
async function udpEcho(cluster: TestCluster, from: string, to: string, size: number): Promise<number> {
  const script = `
    const socket = require('dgram').createSocket('udp4');
    socket.on('message', (m) => { console.log(m.length); process.exit(0); });
    setTimeout(() => process.exit(1), 2000);
    socket.send(Buffer.alloc(Number(process.argv[2]), 120), 80, process.argv[1]);`;
  return Number(
    (await scriptInside(cluster.driver, from, script, cluster.ip(to), String(size)).finished).out,
  );
}

async function checksumErrors(cluster: TestCluster, name: string): Promise<number> {
  const text = await runInside(cluster.driver, name, 'nstat', '-asz', 'TcpInCsumErrors', 'UdpInCsumErrors');
  return [...text.matchAll(/InCsumErrors\s+(\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
}

for (const mtu of [1500, 9000]) {
  testIf(test, ...needs)(`underlay MTU ${mtu}: bulk TCP and packets of every size`, async () => {
    const options = { config: { underlayMtu: mtu }, podFeed: 'tap' } as const;
    const cluster = await startTestCluster(`tap${mtu}`, MANIFESTS, options);
    try {
      const features = (name: string) => runInside(cluster.driver, name, 'ethtool', '-k', 'eth0');
      assert.match(await features('near'), /tcp-segmentation-offload: on/);
      assert.match(await features('veth'), /tx-checksumming: off/, 'the annotation chose a veth');
      const largest = mtu - OVERHEAD;
      const pairs = [
        ['near', 'beside'],
        ['near', 'veth'],
        ['veth', 'near'],
        ['near', 'far'],
      ] as const;
      for (const [from, to] of pairs) {
        for (const size of [0, 56, largest - 28, 3000, 20_000]) {
          const argv = ['ping', '-c', '2', '-i', '0.05', '-W', '2', '-s', String(size), cluster.ip(to)];
          await runInside(cluster.driver, from, ...argv);
        }
        for (const size of [1, largest - 28, 3000, 12_000]) {
          const echoed = await udpEcho(cluster, from, to, size);
          assert.is(echoed, size + `default/${to} `.length, `${size} bytes of UDP from ${from} to ${to}`);
        }
        const gbits = await iperf(cluster, from, to);
        assert.ok(gbits > 0.2, `${from} to ${to}: ${gbits} Gbit/s`);
        process.stdout.write(`underlay MTU ${mtu}, ${from} to ${to}: ${gbits.toFixed(2)} Gbit/s\n`);
      }
      for (const name of PODS) assert.is(await checksumErrors(cluster, name), 0, name);
    } finally {
      await cluster.close();
    }
  });
}

testIf(test, ...needs)(
  'killed agents interrupt nothing, killed data planes come back to their TAPs',
  async () => {
    const cluster = await startTestCluster('tapkill', MANIFESTS, { podFeed: 'tap' });
    try {
      const { nodes } = cluster.driver;
      const reached = (to: string) => cluster.workload('near').probe('tcp', cluster.ip(to), 80, 2000);
      const connection = await cluster.workload('near').open('tcp', cluster.ip('far'), 80);
      const running = connection.send(200, 5);
      for (const node of nodes) process.kill(node.agent.pid!, 'SIGKILL');
      assert.equal(await running, { sent: 200, answered: 200 });
      await until('the agents are back', 10_000, () =>
        nodes.every((node) => node.agent.deaths === 1) ? true : null,
      );
      await Promise.all(nodes.map((node) => node.agent.ready()));
      for (const to of ['beside', 'far', 'veth']) assert.is((await reached(to)).outcome, 'connected', to);
      for (const node of nodes) process.kill(node.dataplane.pid!, 'SIGKILL');
      await until('the data planes are back', 10_000, async () =>
        (await Promise.all(['beside', 'far', 'veth'].map(reached))).every((r) => r.outcome === 'connected')
          ? true
          : null,
      );
      await cluster.delete([pod('beside')]);
      await cluster.apply([pod('anew', { node: 'node-1' })]);
      assert.is((await reached('anew')).outcome, 'connected', 'a TAP made after all that');
    } finally {
      await cluster.close();
    }
  },
);

test.run();
