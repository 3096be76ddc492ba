/**
 * Pods behind TAPs beside pods behind veths with AF_XDP and beside the kernel's bridge with its offloads, in the same run: bulk
 * TCP, request/response latency while the data plane is busy and after it went to sleep, and what a node with 50 idle pods costs.
 * Prints ratios; figures go to bench/results/tap.json. Root, Linux; about a minute.
 *
 *   node build/js/bench/tap.js
 *
 * Method: the sides take turns, so that a neighbor's load falls on all; medians of the rounds. Latency is one byte over TCP
 * between two Node.js processes, whose own time is in every figure: what counts is the difference to the bridge.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Lab, openBridgeLab, openDataPlaneLab, SERVER } from './afxdp-lab.js';
import { benchOptions } from './options.js';
import { idleCpu } from './tap-idle.js';

const RESULTS = fileURLToPath(new URL('../../../bench/results/tap.json', import.meta.url));
const RR = fileURLToPath(new URL('./tap-rr.js', import.meta.url));
const ROUNDS = 3;
const TCP_SECONDS = 2;
const BUSY = 5000;
const SLEEPING = 150;
/** Longer than the worker spins. */
const PAUSE_MS = 5;
const IDLE_PODS = 50;
/** One buffer a packet, two, and five. */
const MTUS = [1500, 3400, 9000] as const;

benchOptions('usage: npm run bench:tap      (as root; no options)', {});

const run = promisify(execFile);
const sides = ['bridge', 'tap', 'afxdp'] as const;
type Side = (typeof sides)[number];
type Figures = Record<Side, number[]>;

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const none = (): Figures => ({ bridge: [], tap: [], afxdp: [] });

/** Runs a server in one pod and a client in the other; what the client printed. */
async function pair(lab: Lab, server: readonly string[], client: readonly string[]): Promise<string> {
  const process = spawn('ip', ['netns', 'exec', lab.server, ...server], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(process, 'exit');
  await once(process.stdout, 'data');
  process.stdout.resume();
  try {
    const { stdout } = await run('ip', ['netns', 'exec', lab.client, ...client], { maxBuffer: 1 << 24 });
    return stdout;
  } finally {
    process.kill();
    await ended;
  }
}

/** Gbit/s that arrived. */
async function tcp(lab: Lab): Promise<number> {
  const client = ['iperf3', '-c', SERVER, '-t', String(TCP_SECONDS), '-J'];
  const out = await pair(lab, ['iperf3', '-s', '-1', '--forceflush'], client);
  const { end } = JSON.parse(out) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second / 1e9;
}

/** Microseconds of a round trip: the median. */
async function roundTrip(lab: Lab, count: number, pauseMs: number): Promise<number> {
  const client = [process.execPath, RR, 'client', SERVER, String(count), String(pauseMs)];
  return median(JSON.parse(await pair(lab, [process.execPath, RR, 'server'], client)) as number[]);
}

/** Microseconds: the median of so many pings, one after the other or with pauses. */
async function ping(lab: Lab, count: number, pauseMs: number): Promise<number> {
  const pace = pauseMs === 0 ? ['-A'] : ['-i', String(pauseMs / 1000)];
  const { stdout } = await run('ip', [
    'netns',
    'exec',
    lab.client,
    'ping',
    '-c',
    String(count),
    ...pace,
    SERVER,
  ]);
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]) * 1000);
  if (times.length < count) throw new Error(`only ${times.length} of ${count} pings came back`);
  return median(times);
}

async function measure(mtu: number, latency: boolean) {
  const labs: Record<Side, Lab> = {
    bridge: openBridgeLab(mtu),
    tap: await openDataPlaneLab('tap', mtu),
    afxdp: await openDataPlaneLab('afxdp', mtu),
  };
  const figures = {
    gbits: none(),
    busyMicros: none(),
    sleepingMicros: none(),
    pingBusyMicros: none(),
    pingSleepingMicros: none(),
  };
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const side of sides) {
        figures.gbits[side].push(await tcp(labs[side]));
        if (!latency) continue;
        figures.busyMicros[side].push(await roundTrip(labs[side], BUSY, 0));
        figures.sleepingMicros[side].push(await roundTrip(labs[side], SLEEPING, PAUSE_MS));
        figures.pingBusyMicros[side].push(await ping(labs[side], BUSY / 5, 0));
        figures.pingSleepingMicros[side].push(await ping(labs[side], SLEEPING, PAUSE_MS));
      }
    }
    return figures;
  } finally {
    for (const side of sides) await labs[side].close();
  }
}

function line(name: string, values: Figures, compare: (value: number, peer: number) => string): string {
  const peer = median(values.bridge);
  const cells = sides.map(
    (side) => `${median(values[side]).toFixed(1)} (${compare(median(values[side]), peer)})`,
  );
  return `${name.padEnd(34)}${cells.map((cell) => cell.padStart(18)).join('')}\n`;
}

const ratio = (value: number, peer: number): string => (value / peer).toFixed(2);
const added = (value: number, peer: number): string => `+${(value - peer).toFixed(1)}`;

async function main(): Promise<void> {
  const usual = await measure(MTUS[0], true);
  const larger = [await measure(MTUS[1], false), await measure(MTUS[2], false)];
  const idle = { tap: await idleCpu('tap', IDLE_PODS), afxdp: await idleCpu('afxdp', IDLE_PODS) };
  const machine = { kernel: release(), cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
  const figures = {
    machine,
    load: loadavg(),
    date: new Date().toISOString(),
    mtus: MTUS,
    usual,
    larger,
    idle,
  };
  mkdirSync(dirname(RESULTS), { recursive: true });
  writeFileSync(RESULTS, `${JSON.stringify(figures, null, 2)}\n`);
  process.stdout.write(`${''.padEnd(34)}${sides.map((side) => side.padStart(18)).join('')}\n`);
  for (const [n, { gbits }] of [usual, ...larger].entries())
    process.stdout.write(line(`TCP at MTU ${MTUS[n]}, Gbit/s (ratio)`, gbits, ratio));
  process.stdout.write(line('round trip, busy, us (added)', usual.busyMicros, added));
  process.stdout.write(line('round trip, sleeping, us (added)', usual.sleepingMicros, added));
  process.stdout.write(line('ping, busy, us (added)', usual.pingBusyMicros, added));
  process.stdout.write(line('ping, sleeping, us (added)', usual.pingSleepingMicros, added));
  const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;
  process.stdout.write(
    `idle, ${IDLE_PODS} pods, of a core`.padEnd(52) +
      [percent(idle.tap), percent(idle.afxdp)].map((cell) => cell.padStart(18)).join('') +
      '\n',
  );
}

await main();
