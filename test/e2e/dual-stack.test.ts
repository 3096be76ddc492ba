/**
 * IPv6 with real programs: ping, curl and iperf3 between pods of one node and of two, through Services and node ports, out of the
 * cluster; packets of every size, fragments too. On veth pairs and behind TAPs.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DEFAULT_IPV6 } from '../../control/compiler/input.js';
import { testIf } from '../support/requires.js';
import { startTestCluster, type TestCluster } from './support/cluster.js';
import { Inside, runInside, scriptInside } from './support/inside.js';
import { fromApp, pod, policy, service } from './support/manifests.js';
import { requirements } from './support/needs.js';

const needs = requirements('iperf3', 'ping', 'curl', 'nstat', 'ip');
const OUTSIDE = '2001:db8:113::10';

const MANIFESTS = [
  pod('near', { node: 'node-1' }),
  pod('beside', { node: 'node-1' }),
  pod('far', { node: 'node-2', labels: { serves: 'web' } }),
  service('web', { serves: 'web' }, { type: 'NodePort', ipFamilyPolicy: 'RequireDualStack' }),
];

const six = (addresses: readonly string[]): string => addresses.find((ip) => ip.includes(':')) ?? '';

function ip6(cluster: TestCluster, name: string): string {
  const found = cluster.cluster.state.pods.find(({ pod: { metadata } }) => metadata.name === name);
  return six(found?.pod.status.podIPs ?? []);
}

async function iperf(cluster: TestCluster, from: string, to: string): Promise<number> {
  const server = new Inside(cluster.driver, to, ['iperf3', '-s', '-1', '--forceflush']);
  try {
    await server.printed('listening');
    const argv = ['iperf3', '-6', '-c', ip6(cluster, to), '-t', '1', '-J', '--connect-timeout', '3000'];
    const { out } = await new Inside(cluster.driver, from, argv).finished;
    const { end } = JSON.parse(out) as { end: { sum_received: { bits_per_second: number } } };
    return end.sum_received.bits_per_second / 1e9;
  } finally {
    server.kill();
    await server.finished;
  }
}

/** Length of the echo of a datagram of `size` bytes. */
async function udpEcho(cluster: TestCluster, from: string, address: string, size: number): Promise<number> {
  const script = `
    const socket = require('dgram').createSocket('udp6');
    socket.on('message', (m) => { console.log(m.length); process.exit(0); });
    setTimeout(() => process.exit(1), 2000);
    socket.send(Buffer.alloc(Number(process.argv[2]), 120), 80, process.argv[1]);`;
  return Number((await scriptInside(cluster.driver, from, script, address, String(size)).finished).out);
}

/** What a server of the cluster says of itself; empty when it says nothing within `seconds`. It leaves the connection open. */
async function curl(
  cluster: TestCluster,
  from: string,
  address: string,
  { port = 80, seconds = 5 }: { port?: number; seconds?: number } = {},
): Promise<string> {
  const script = `exec curl -6 -N -s -m ${seconds} telnet://[${address}]:${port} <<E\nhello\nE\n`;
  const client = new Inside(cluster.driver, from, ['sh', '-c', script]);
  await client.printed('/').catch(() => undefined);
  client.kill();
  return (await client.finished).out.trim();
}

async function checksumErrors(cluster: TestCluster, name: string): Promise<number> {
  const counters = ['TcpInCsumErrors', 'Udp6InCsumErrors', 'Icmp6InCsumErrors'];
  const text = await runInside(cluster.driver, name, 'nstat', '-asz', ...counters);
  return [...text.matchAll(/InCsumErrors\s+(\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
}

for (const podFeed of ['afxdp', 'tap'] as const) {
  testIf(test, ...needs)(`${podFeed}: ping, curl and iperf3 over IPv6`, async () => {
    const config = { ipv6: DEFAULT_IPV6 };
    const cluster = await startTestCluster(`six-${podFeed}`, MANIFESTS, { config, podFeed });
    try {
      const { driver } = cluster;
      for (const to of ['beside', 'far']) {
        const address = ip6(cluster, to);
        for (const size of ['0', '56', '1402', '3000', '9000']) {
          await runInside(
            driver,
            'near',
            'ping',
            '-6',
            '-c',
            '2',
            '-i',
            '0.05',
            '-W',
            '2',
            '-s',
            size,
            address,
          );
        }
        for (const size of [1, 1402, 3000, 9000]) {
          const echoed = await udpEcho(cluster, 'near', address, size);
          assert.is(echoed, size + `default/${to} `.length, `${size} bytes of UDP to ${to}`);
        }
        assert.match(await curl(cluster, 'near', address), new RegExp(`default/${to}`));
        const gbits = await iperf(cluster, 'near', to);
        assert.ok(gbits > 0.01, `near to ${to}: ${gbits} Gbit/s`);
        process.stdout.write(`${podFeed}, IPv6, near to ${to}: ${gbits.toFixed(2)} Gbit/s\n`);
      }
      const web = cluster.cluster.state.services.find(({ metadata }) => metadata.name === 'web');
      assert.match(await curl(cluster, 'near', six(web?.spec.clusterIPs ?? [])), /default\/far/);
      const nodePort = web?.spec.ports.find(({ protocol }) => protocol === 'TCP')?.nodePort ?? 0;
      assert.match(await curl(cluster, 'near', 'fd00:192:168:16::1', { port: nodePort }), /default\/far/);
      await runInside(
        driver,
        'near',
        'ping',
        '-6',
        '-c',
        '2',
        '-i',
        '0.05',
        '-W',
        '2',
        '-s',
        '3000',
        OUTSIDE,
      );
      await runInside(driver, 'near', 'ping', '-6', '-c', '1', '-W', '2', 'fd00:10:1:1::1');
      const trace = await runInside(driver, 'near', 'ip', '-6', 'route', 'get', OUTSIDE);
      assert.match(trace, /via fd00:10:1:1::1 dev eth0/);
      for (const name of ['near', 'beside', 'far']) {
        assert.is(await checksumErrors(cluster, name), 0, `checksums in ${name}`);
      }
      await cluster.apply([policy('far', 'far', { ingress: [{ from: fromApp('beside') }] })]);
      assert.is(await curl(cluster, 'near', ip6(cluster, 'far'), { seconds: 0.7 }), '');
      assert.match(await curl(cluster, 'beside', ip6(cluster, 'far')), /default\/far/);
    } finally {
      await cluster.close();
    }
  });
}

test.run();
