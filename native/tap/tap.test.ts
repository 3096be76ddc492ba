/** TAPs at the engine: real pods' stacks on both ends, who check every checksum themselves. Needs root. */
import * as assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import { file, program, root, testIf } from '../../test/support/requires.js';
import { type Kind, TapBed, withTapBed } from './tap-bed.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const needs = [root(), file(addon)];
const SECONDS = 1;

/** iperf3 from pod 0 to pod 1 over the wire; Gbit/s that arrived. */
async function iperf(bed: TapBed, each: (entry: number) => void) {
  const argv = ['netns', 'exec', bed.name('p1'), 'iperf3', '-s', '-1', '--forceflush'];
  const server = spawn('ip', argv, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(server, 'exit');
  // It says so when it listens.
  await once(server.stdout, 'data');
  const client = ['iperf3', '-c', '10.9.0.2', '-t', String(SECONDS), '-J', '--connect-timeout', '2000'];
  try {
    const { result, longest } = await bed.wireUntil(bed.inside(0, ...client), each);
    const { end } = JSON.parse(result) as { end: { sum_received: { bits_per_second: number } } };
    return { gbits: end.sum_received.bits_per_second / 1e9, longest };
  } finally {
    server.kill();
    await ended;
  }
}

async function noChecksumErrors(bed: TapBed): Promise<void> {
  for (const n of [0, 1]) {
    for (const name of ['TcpInCsumErrors', 'UdpInCsumErrors', 'IpInHdrErrors', 'IcmpInCsumErrors']) {
      assert.equal(await bed.counter(n, name), 0, `${name} of pod ${n}`);
    }
  }
}

const PAIRS: readonly (readonly [Kind, Kind])[] = [
  ['tap', 'tap'],
  ['tap', 'veth'],
  ['veth', 'tap'],
];

for (const pair of PAIRS) {
  for (const mtu of [1500, 9000]) {
    testIf(
      test,
      ...needs,
      program('iperf3'),
      program('nstat'),
    )(`${pair.join(' to ')}, MTU ${mtu}: bulk TCP arrives, every checksum right`, async () => {
      await withTapBed(new TapBed(pair, mtu), async (bed) => {
        let cut = 0;
        const { gbits, longest } = await iperf(bed, (i) => {
          cut = Math.max(cut, bed.segment(i));
        });
        process.stdout.write(
          `${pair.join(' to ')}, MTU ${mtu}: ${gbits.toFixed(2)} Gbit/s, longest ${longest.join(' and ')}\n`,
        );
        assert.ok(gbits > 0.1, `${gbits} Gbit/s`);
        if (pair[0] === 'tap') {
          assert.ok(longest[0]! > 2 * mtu, `segments stay together: ${longest[0]}`);
          assert.equal(cut, mtu, 'the longest segment fills the MTU');
        }
        await noChecksumErrors(bed);
        for (const port of [0, 1]) assert.equal(bed.xdp.counters(port).invalid, 0);
        assert.ok(bed.allFree());
      });
    });
  }

  testIf(
    test,
    ...needs,
    program('ping'),
    program('nstat'),
  )(`${pair.join(' to ')}: ping and fragments of every size`, async () => {
    await withTapBed(new TapBed(pair), async (bed) => {
      for (const size of [0, 1, 56, 1472, 1473, 3000, 20_000]) {
        const { result } = await bed.wireUntil(
          bed.inside(0, 'ping', '-c', '3', '-i', '0.02', '-W', '1', '-s', String(size), '10.9.0.2'),
        );
        assert.match(result, /3 received/, `${size} bytes`);
      }
      await noChecksumErrors(bed);
      assert.ok(bed.allFree());
    });
  });
}

test.run();
