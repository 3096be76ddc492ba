/** How long CNI ADD and DEL take, as a container runtime sees it, beside Debian's bridge + host-local (bench/README.md). */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXECUTABLE } from '../control/cni/install.js';
import { CniNode, type CniSandbox } from '../test/cni/node.js';
import { benchOptions } from './options.js';

const USAGE = `usage: npm run bench:cni -- [--pods N] [--parallel N] [--rounds N]

Wires and unwires N pods (default 500), so many at a time (default 8), so many times (default 3), each by one run of the CNI
executable inside the node's namespace; Debian's bridge with host-local in the same rounds. Needs root, and the package
containernetworking-plugins. Prints p50, p99 and the longest in milliseconds.`;

const SETTLE_MS = 5000;
const PEER = '/usr/lib/cni/bridge';
const options = benchOptions(USAGE, {
  pods: { type: 'string', default: '500' },
  parallel: { type: 'string', default: '8' },
  rounds: { type: 'string', default: '3' },
});
const [pods, parallel, rounds] = [options.pods, options.parallel, options.rounds].map(Number) as [
  number,
  number,
  number,
];

interface Plugin {
  readonly name: string;
  readonly executable: string;
  readonly conf: object;
}

/** One run of a plugin inside the node, in milliseconds. */
async function once(plugin: Plugin, node: CniNode, command: string, sandbox: CniSandbox): Promise<number> {
  const start = performance.now();
  const args = [`--net=/run/netns/${node.namespace}`, '--', plugin.executable];
  const child = spawn('nsenter', args, {
    env: { ...node.environment(command, sandbox), PATH: process.env['PATH'] ?? '' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(plugin.conf));
  const status = await new Promise((resolve) => child.once('close', resolve));
  if (status !== 0) throw new Error(`${plugin.name} ${command} of ${sandbox.pod}: ${out}`);
  return performance.now() - start;
}

async function all(
  plugin: Plugin,
  node: CniNode,
  command: string,
  list: readonly CniSandbox[],
): Promise<readonly number[]> {
  const times: number[] = [];
  const queue = [...list];
  const lane = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      times.push(await once(plugin, node, command, next));
    }
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  return times;
}

function quantile(times: readonly number[], part: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN;
}

function report(label: string, times: readonly number[]): void {
  const columns = [quantile(times, 0.5), quantile(times, 0.99), Math.max(...times)].map((ms) =>
    ms.toFixed(1).padStart(8),
  );
  process.stdout.write(`${label.padEnd(28)}${columns.join('')}\n`);
}

const directory = mkdtempSync(join(tmpdir(), 'pteropus-bench-cni-'));
const node = await CniNode.start({
  // Room for the pods of all rounds that may be there at a time.
  cluster: { podSubnetOneNodePrefixLen: 21 },
});
const plugins: readonly Plugin[] = [
  { name: 'pteropus', executable: EXECUTABLE, conf: node.conf() },
  {
    name: 'bridge + host-local',
    executable: PEER,
    conf: {
      cniVersion: '1.0.0',
      name: 'peer',
      type: 'bridge',
      bridge: 'peer0',
      isGateway: true,
      ipam: { type: 'host-local', dataDir: directory, ranges: [[{ subnet: '10.77.0.0/16' }]] },
    },
  },
];

try {
  const samples = new Map<string, number[]>();
  process.stdout.write(`${pods} pods, ${parallel} at a time, ${rounds} rounds\n`);
  process.stdout.write(`${''.padEnd(28)}     p50     p99     max   (milliseconds)\n`);
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? plugins : [...plugins].reverse();
    for (const plugin of order) {
      const sandboxes: CniSandbox[] = [];
      for (let i = 0; i < pods; i++) sandboxes.push(await node.sandbox());
      for (const command of ['ADD', 'DEL']) {
        const times = await all(plugin, node, command, sandboxes);
        const label = `${plugin.name} ${command}`;
        report(`${round + 1}  ${label}`, times);
        samples.set(label, [...(samples.get(label) ?? []), ...times]);
      }
      for (const sandbox of sandboxes) node.forget(sandbox);
      // The kernel takes namespaces down behind our back; the next plugin shall not pay for it.
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    }
  }
  process.stdout.write('all rounds\n');
  for (const [label, times] of samples) report(`   ${label}`, times);
  const ratio = (command: string, part: number): string => {
    const [ours = [], peer = []] = plugins.map(({ name }) => samples.get(`${name} ${command}`));
    return (quantile(ours, part) / quantile(peer, part)).toFixed(2);
  };
  process.stdout.write(
    `ours / peer: ADD p50 ${ratio('ADD', 0.5)}, p99 ${ratio('ADD', 0.99)}; DEL p50 ${ratio('DEL', 0.5)}, p99 ${ratio('DEL', 0.99)}\n`,
  );
} finally {
  await node.close();
  rmSync(directory, { recursive: true, force: true });
}
