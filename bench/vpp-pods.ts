/**
 * Pod to pod on one node through VPP, by kind of interface, beside the kernel's own way (two veths, routed), in the same run: bulk TCP
 * (iperf3, one stream and four), ping, and frames between programs that have no stack (memif in one case, AF_XDP in all others). The kernel without offloads does for each packet what VPP has to: it is the fairer peer of packet
 * sockets; the kernel as it is, is what users compare with. Prints ratios; figures go to bench/results/vpp-pods.json. Root, Linux, VPP; about three minutes.
 *
 *   PTEROPUS_VPP_PREFIX=/usr node build/js/bench/vpp-pods.js
 *
 * Method: all labs stand from the start and take turns, round by round, so that a neighbor's load falls on each; a VPP whose turn it is not
 * is stopped. VPP has the node's whole
 * ruleset as the backend renders it (routes, source checks, translation, open policies), no worker, and is not made to sleep between its
 * looks (no poll-sleep-usec); its interfaces wake it, as they do by default.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { VHOST_NET } from '../control/agent/agent-config.js';
import { findVpp } from '../control/sim/vpp/install.js';
import { readVpp } from '../control/vswitch/preflight/vpp-facts.js';
import { loadNative } from '../native/index.js';
import { benchOptions } from './options.js';
import { figures, paired } from './statistics.js';
import { FrameMeter, SIZES } from './vpp-pods-frames.js';
import { type Lab, openKernelLab, openVppLab, SERVER, type VppKind } from './vpp-pods-lab.js';

const RESULTS = fileURLToPath(new URL('../../../bench/results/vpp-pods.json', import.meta.url));
const PINGS = 200;
const KINDS: readonly VppKind[] = [
  { name: 'af_packet', pods: 'af_packet', offloads: false },
  { name: 'af_packet v3, GSO', pods: 'af_packet', offloads: true, segments: true },
  { name: 'af_xdp', pods: 'af_xdp', offloads: false },
  { name: 'tap', pods: 'tap', offloads: true },
  { name: 'memif', pods: 'memif', offloads: false },
];

const USAGE = 'usage: npm run bench:vpp-pods [-- --rounds N --seconds N --only KIND]      (as root)';
const given = benchOptions(USAGE, {
  rounds: { type: 'string', default: '3' },
  seconds: { type: 'string', default: '3' },
  only: { type: 'string' },
});
const ROUNDS = Number(given.rounds);
const SECONDS = Number(given.seconds);

const run = promisify(execFile);

interface Measured {
  /** Gbit/s of TCP, and microseconds; a pod's program with a memif has neither TCP nor ping. */
  readonly one: number[];
  readonly four: number[];
  readonly rtt: number[];
  /** Frames a second, 64 bytes on a wire, and 1,448 bytes of IP. */
  readonly small: number[];
  readonly large: number[];
}

function inNetns(name: string, ...argv: string[]): Promise<{ stdout: string }> {
  return run('ip', ['netns', 'exec', name, ...argv]);
}

/** Gbit/s that arrived. */
async function tcp(lab: Lab, streams: number): Promise<number> {
  const server = inNetns(lab.server, 'iperf3', '-s', '-1');
  const args = ['-c', SERVER, '-t', String(SECONDS), '-P', String(streams), '-J'];
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        const { stdout } = await inNetns(lab.client, 'iperf3', ...args);
        const { end } = JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } };
        return end.sum_received.bits_per_second / 1e9;
      } catch (error) {
        // The server may not listen yet.
        if (attempt === 20) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  } finally {
    await server;
  }
}

/** Median round trip, microseconds. */
async function ping(lab: Lab): Promise<number> {
  const { stdout } = await inNetns(lab.client, 'ping', '-c', String(PINGS), '-i', '0.005', SERVER);
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]) * 1000);
  return figures(times).median;
}

/** Why a kind is not measured; null = it is. */
function reason(kind: VppKind): string | null {
  if (kind.pods !== 'tap') return null;
  return existsSync(VHOST_NET) ? null : `this kernel has no ${VHOST_NET}, which VPP makes TAPs with`;
}

async function main(): Promise<void> {
  const install = findVpp();
  if (typeof install === 'string') throw new Error(install);
  const native = loadNative();
  const labs: Lab[] = [];
  const skipped: Record<string, string> = {};
  const measured = new Map<string, Measured>();
  const frames = FrameMeter.open();
  if (typeof frames === 'string') skipped['frames'] = frames;
  try {
    labs.push(await openKernelLab(native, `Wk${process.pid}`, true));
    labs.push(await openKernelLab(native, `Wn${process.pid}`, false));
    for (const [i, kind] of KINDS.entries()) {
      if (given.only !== undefined && kind.name !== given.only) continue;
      const why = reason(kind);
      if (why !== null) skipped[kind.name] = why;
      else labs.push(await openVppLab(native, install.prefix, kind, `Wv${process.pid}-${i}`));
    }
    for (const lab of labs) lab.rest();
    for (const { name } of labs) measured.set(name, { one: [], four: [], rtt: [], small: [], large: [] });
    for (let round = 0; round < ROUNDS; round++) {
      for (const lab of labs) {
        const to = measured.get(lab.name);
        lab.wake();
        if (lab.stack) {
          to?.rtt.push(await ping(lab));
          to?.one.push(await tcp(lab, 1));
          to?.four.push(await tcp(lab, 4));
        }
        for (const size of ['small', 'large'] as const) {
          if (lab.ends === null || typeof frames === 'string') continue;
          to?.[size].push(await frames.measure(lab, size));
        }
        lab.rest();
      }
    }
  } finally {
    for (const lab of labs) await lab.close();
    if (typeof frames !== 'string') frames.close();
  }
  report(readVpp(install).version, measured, skipped);
}

function report(
  version: string | null,
  measured: ReadonlyMap<string, Measured>,
  skipped: Readonly<Record<string, string>>,
): void {
  const machine = { kernel: release(), cpu: cpus()[0]?.model, cores: cpus().length, vpp: version };
  const date = new Date().toISOString();
  mkdirSync(dirname(RESULTS), { recursive: true });
  const all = { machine, date, measured: Object.fromEntries(measured), skipped };
  if (given.only === undefined) writeFileSync(RESULTS, `${JSON.stringify(all, null, 2)}\n`);
  const median = (values: readonly number[] = []): number => figures(values).median;
  const kernel = measured.get('kernel');
  const line = (cells: readonly string[]): void => {
    const [name = '', ...rest] = cells;
    process.stdout.write(`${name.padEnd(22)}${rest.map((cell) => cell.padStart(16)).join('')}\n`);
  };
  process.stdout.write(
    `VPP ${version}, ${machine.cores} cores, medians of ${ROUNDS} rounds (ratio to the kernel in the same round)\n`,
  );
  line(['', '1 stream Gbit/s', '4 streams', 'ping µs', '64 B, Mpps', '1448 B, Gbit/s']);
  const columns = [
    { of: 'one', digits: 2, scale: 1 },
    { of: 'four', digits: 2, scale: 1 },
    { of: 'rtt', digits: 0, scale: 1 },
    { of: 'small', digits: 2, scale: 1e-6 },
    { of: 'large', digits: 2, scale: 8e-9 * SIZES.large },
  ] as const;
  for (const [name, of] of measured) {
    const cells = columns.map(({ of: what, digits, scale }): string => {
      const values = of[what];
      if (values.length === 0) return '-';
      const ratios = paired(values, kernel?.[what] ?? [], (mine, theirs) => mine / theirs);
      return `${(median(values) * scale).toFixed(digits)} (${median(ratios).toFixed(2)})`;
    });
    line([name, ...cells]);
  }
  for (const [name, why] of Object.entries(skipped)) line([name, `not measured: ${why}`]);
}

await main();
