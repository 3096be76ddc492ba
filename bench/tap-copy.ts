/**
 * What the copies between two TAPs cost, without any data plane: a program that does nothing else (tap-copy.c), with its buffers used in
 * several ways, in turns; bulk TCP by senders that do not pace themselves. The floor under the feed `tap`; figures in bench/README.md.
 *
 *   node build/js/bench/tap-copy.js [--rounds 3] [--mtu 1500]        (as root, after npm run build)
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { loadNative, type Netns } from '../native/index.js';
import { SERVER } from './afxdp-lab.js';
import { benchOptions } from './options.js';
import { buildProgram } from './peers/build.js';
import { figures } from './statistics.js';
import { tcp, unpaced } from './tap-run.js';

const CLIENT = SERVER.replace(/\d+$/, (last) => String(Number(last) + 1));

/** The program's arguments: packets read before they are written, buffers, bytes of a part (0 = one part), bytes behind a page's begin. */
const WAYS = {
  'one packet, one buffer': [1, 1, 0, 0],
  'one packet, one buffer, 16 bytes behind a page': [1, 1, 0, 16],
  'one packet, one buffer in parts of 4 KiB': [1, 1, 4096, 0],
  'one packet, one buffer in parts of 2 KiB': [1, 1, 2048, 0],
  'one packet, 8 buffers in turn': [1, 8, 0, 0],
  'one packet, 256 buffers in turn': [1, 256, 0, 0],
  'four packets, four buffers': [4, 4, 0, 0],
} as const;

const options = benchOptions(
  'usage: node build/js/bench/tap-copy.js [--rounds N] [--mtu BYTES]      (as root)',
  {
    rounds: { type: 'string', default: '3' },
    mtu: { type: 'string', default: '1500' },
  },
);

const built = buildProgram('tap-copy', ['../tap-copy.c']);
if ('missing' in built) throw new Error(built.missing);
const program = built.path;
const native = loadNative();

function pod(name: string, address: string): Netns {
  const netns = native.createNetns(name);
  netns.createTap('eth0');
  netns.setSysctl('net/ipv6/conf/eth0/disable_ipv6', '1');
  netns.setLink('eth0', { mtu: Number(options.mtu), up: true });
  netns.addAddress('eth0', `${address}/24`);
  return netns;
}

const [client = '', server = ''] = ['a', 'b'].map((part) => `pterN-bench-${process.pid}-copy-${part}`);
const pods = [pod(client, CLIENT), pod(server, SERVER)];
const rates = Object.keys(WAYS).map((): number[] => []);
try {
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const [n, way] of Object.values(WAYS).entries()) {
      const between = spawn(program, [...pods.map(({ path }) => path), ...way.map(String)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(between, 'exit');
      await once(between.stdout, 'data');
      try {
        rates[n]!.push(await unpaced({ client, server }, () => tcp({ client, server })));
      } finally {
        between.kill();
        await ended;
      }
    }
  }
} finally {
  for (const netns of pods) netns.close();
  for (const name of [client, server]) native.deleteNetns(name);
}

process.stdout.write('| | Gbit/s | lowest to highest |\n|---|---|---|\n');
for (const [n, way] of Object.keys(WAYS).entries()) {
  const { median, min, max } = figures(rates[n]!);
  process.stdout.write(`| ${way} | ${median.toFixed(1)} | ${min.toFixed(1)} to ${max.toFixed(1)} |\n`);
}
