/**
 * Bulk TCP between pods of two nodes runs without a stall, and packets of every size get through, at small, usual and jumbo
 * MTU. A minute at the usual MTU between nodes, 10 s elsewhere; a minute everywhere with PTEROPUS_LONG=1.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { testIf } from '../support/requires.js';
import { startTestCluster, type TestCluster } from './support/cluster.js';
import { Inside, runInside, scriptInside } from './support/inside.js';
import { pod } from './support/manifests.js';
import { requirements } from './support/needs.js';

const LONG = process.env['PTEROPUS_LONG'] === '1';
/** Bytes VXLAN adds over IPv4: outer IP, UDP, VXLAN, inner Ethernet. */
const OVERHEAD = 50;
const needs = requirements('iperf3', 'ping', 'ethtool');

interface IperfReport {
  readonly intervals?: readonly { readonly sum: { readonly bits_per_second: number } }[];
  readonly end?: { readonly sum_received?: { readonly bits_per_second: number } };
  readonly error?: string;
}

async function iperf(cluster: TestCluster, from: string, to: string, seconds: number): Promise<IperfReport> {
  const server = new Inside(cluster.driver, to, ['iperf3', '-s', '-1', '--forceflush']);
  try {
    await server.printed('listening');
    const argv = [
      'iperf3',
      '-c',
      cluster.ip(to),
      '-t',
      String(seconds),
      '-i',
      '1',
      '-J',
      '--connect-timeout',
      '3000',
    ];
    const { out } = await new Inside(cluster.driver, from, argv).finished;
    return JSON.parse(out) as IperfReport;
  } finally {
    server.kill();
    await server.finished;
  }
}

/** Echoes one datagram of `size` bytes with a Service-less pod address; resolves with the answer's length. */
async function udpEcho(cluster: TestCluster, from: string, to: string, size: number): Promise<number> {
  const script = `
    const socket = require('dgram').createSocket('udp4');
    socket.on('message', (m) => { console.log(m.length); process.exit(0); });
    setTimeout(() => process.exit(1), 2000);
    socket.send(Buffer.alloc(Number(process.argv[2]), 120), 80, process.argv[1]);`;
  const { out } = await scriptInside(cluster.driver, from, script, cluster.ip(to), String(size)).finished;
  return Number(out);
}

async function pings(
  cluster: TestCluster,
  to: string,
  size: number,
  ...flags: readonly string[]
): Promise<void> {
  const often = ['-c', '2', '-i', '0.05', '-W', '2'];
  await runInside(cluster.driver, 'near', 'ping', ...often, ...flags, '-s', String(size), cluster.ip(to));
}

for (const mtu of [1400, 1500, 9000]) {
  testIf(test, ...needs)(`underlay MTU ${mtu}: bulk TCP and packets of every size`, async () => {
    const manifests = [
      pod('near', { node: 'node-1' }),
      pod('beside', { node: 'node-1' }),
      pod('far', { node: 'node-2' }),
    ];
    const cluster = await startTestCluster(`mtu${mtu}`, manifests, { config: { underlayMtu: mtu } });
    try {
      const largest = mtu - OVERHEAD;
      const features = await runInside(cluster.driver, 'near', 'ethtool', '-k', 'eth0');
      assert.match(features, /tx-checksumming: off/, 'pods make their checksums themselves');
      for (const to of ['beside', 'far']) {
        for (const size of [56, 1000, largest - 28]) await pings(cluster, to, size, '-M', 'do');
        for (const size of [3000, 20_000]) await pings(cluster, to, size);
        for (const size of [1, largest - 28, 3000, 12_000]) {
          const prefix = `default/${to} `.length;
          assert.is(await udpEcho(cluster, 'near', to, size), size + prefix, `${size} bytes of UDP to ${to}`);
        }
        const seconds = LONG || (mtu === 1500 && to === 'far') ? 60 : 10;
        const report = await iperf(cluster, 'near', to, seconds);
        assert.is(report.error, undefined);
        const rates = (report.intervals ?? []).map(({ sum }) => sum.bits_per_second);
        assert.ok(rates.length >= seconds, `${rates.length} intervals`);
        const megabits = rates.map((rate) => Math.round(rate / 1e6));
        assert.ok(
          rates.every((rate) => rate > 0),
          `a stall to ${to}: ${megabits.join(' ')} Mbit/s`,
        );
        const total = (report.end?.sum_received?.bits_per_second ?? 0) / 1e9;
        process.stdout.write(
          `underlay MTU ${mtu}, near to ${to}: ${total.toFixed(2)} Gbit/s (least second ${Math.min(...megabits)} Mbit/s)\n`,
        );
      }
    } finally {
      await cluster.close();
    }
  });
}

test.run();
