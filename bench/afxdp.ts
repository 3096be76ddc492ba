/**
 * Pod to pod through the data plane over AF_XDP, beside the kernel's veth and bridge, in the same run: packets per second,
 * bulk TCP (iperf3) and ping. Prints ratios; figures go to bench/results/afxdp.json. Root, Linux; about 40 s.
 *
 *   node build/js/bench/afxdp.js
 *
 * Method: the two sides take turns, so that a neighbor's load falls on both. The packet source is an AF_XDP socket in the
 * sending pod, so every packet is a buffer made by the kernel for it, as a pod's own are; it is alone on its thread and can
 * make about a million a second, which bounds both sides. The data plane runs routing, sessions and (open) policy; the
 * bridge just forwards.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { CLIENT, type Lab, openBridgeLab, openDataPlaneLab, SERVER } from './afxdp-lab.js';
import type { StationSpec } from './afxdp-station.js';
import { benchOptions } from './options.js';

const RESULTS = fileURLToPath(new URL('../../../bench/results/afxdp.json', import.meta.url));
const ROUNDS = 3;
const FLOWS = 64;
const TCP_SECONDS = 3;
const PINGS = 200;

benchOptions('usage: npm run bench:afxdp      (as root; no options)', {});

const run = promisify(execFile);

function inNetns(name: string, ...argv: string[]): Promise<{ stdout: string }> {
  return run('ip', ['netns', 'exec', name, ...argv]);
}

function macBytes(mac: string): number[] {
  return mac.split(':').map((byte) => Number.parseInt(byte, 16));
}

/** A 64-byte (60 without its check sequence) UDP packet; UDP without checksum, as IPv4 allows. */
function packet(lab: Lab, sourcePort: number): Uint8Array {
  const bytes = new Uint8Array(60);
  const view = new DataView(bytes.buffer);
  bytes.set([...macBytes(lab.nextHopMac), ...macBytes(lab.clientMac), 0x08, 0x00]);
  bytes.set([0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17], 14);
  bytes.set(CLIENT.split('.').map(Number), 26);
  bytes.set(SERVER.split('.').map(Number), 30);
  let sum = 0;
  for (let i = 14; i < 34; i += 2) sum += view.getUint16(i);
  view.setUint16(24, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
  view.setUint16(34, sourcePort);
  view.setUint16(36, 9);
  view.setUint16(38, 26);
  return bytes;
}

/** Packets per second in each of three windows. */
async function packetRates(lab: Lab): Promise<number[]> {
  const spec: StationSpec = {
    from: `/run/netns/${lab.client}`,
    to: `/run/netns/${lab.server}`,
    frames: Array.from({ length: FLOWS }, (_, flow) => packet(lab, 10_000 + flow)),
    windows: 3,
    windowMillis: 400,
  };
  const worker = new Worker(new URL('./afxdp-station.js', import.meta.url), { workerData: spec });
  const rates = await new Promise<number[]>((resolve, reject) => {
    worker.once('message', resolve).once('error', reject);
  });
  await worker.terminate();
  return rates;
}

/** Gbit/s that arrived. */
async function tcp(lab: Lab): Promise<number> {
  const server = inNetns(lab.server, 'iperf3', '-s', '-1');
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        const { stdout } = await inNetns(lab.client, 'iperf3', '-c', SERVER, '-t', String(TCP_SECONDS), '-J');
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

/** Microseconds: the median and the highest of 200 round trips. */
async function ping(lab: Lab): Promise<{ median: number; max: number }> {
  const { stdout } = await inNetns(lab.client, 'ping', '-c', String(PINGS), '-i', '0.005', SERVER);
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]) * 1000);
  times.sort((a, b) => a - b);
  if (times.length < PINGS) throw new Error(`only ${times.length} of ${PINGS} pings came back`);
  return { median: times[times.length >> 1]!, max: times[times.length - 1]! };
}

const best = (values: readonly number[]): number => Math.max(...values);

async function main(): Promise<void> {
  const dataplane = await openDataPlaneLab();
  const bridge = openBridgeLab();
  try {
    const rtt = { dataplane: await ping(dataplane), bridge: await ping(bridge) };
    const packets = { dataplane: [] as number[], bridge: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      packets.dataplane.push(...(await packetRates(dataplane)));
      packets.bridge.push(...(await packetRates(bridge)));
    }
    const gbits = { dataplane: await tcp(dataplane), bridge: await tcp(bridge), bridgeWithoutOffloads: 0 };
    bridge.setChecksumOffload(false);
    gbits.bridgeWithoutOffloads = await tcp(bridge);
    const machine = { kernel: release(), cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
    const figures = {
      machine,
      date: new Date().toISOString(),
      packetsPerSecond: packets,
      gbits,
      rttMicros: rtt,
    };
    mkdirSync(dirname(RESULTS), { recursive: true });
    writeFileSync(RESULTS, `${JSON.stringify(figures, null, 2)}\n`);
    const mpps = (values: readonly number[]): string => (best(values) / 1e6).toFixed(3);
    const lines = [
      ['', 'data plane', 'kernel bridge', 'ratio'],
      [
        '64-byte packets, Mpps',
        mpps(packets.dataplane),
        mpps(packets.bridge),
        best(packets.dataplane) / best(packets.bridge),
      ],
      ['TCP, Gbit/s', gbits.dataplane, gbits.bridge, gbits.dataplane / gbits.bridge],
      [
        'TCP, no offloads, Gbit/s',
        gbits.dataplane,
        gbits.bridgeWithoutOffloads,
        gbits.dataplane / gbits.bridgeWithoutOffloads,
      ],
      [
        'ping, microseconds',
        rtt.dataplane.median,
        rtt.bridge.median,
        rtt.dataplane.median / rtt.bridge.median,
      ],
    ];
    for (const [first, ...rest] of lines) {
      const cells = rest.map((cell) =>
        (typeof cell === 'number' ? cell.toFixed(2) : String(cell)).padStart(15),
      );
      process.stdout.write(`${String(first).padEnd(26)}${cells.join('')}\n`);
    }
  } finally {
    await dataplane.close();
    await bridge.close();
  }
}

await main();
