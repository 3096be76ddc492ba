/** A table of 16 million connections: filled to its limit and beyond, packet by packet. WebAssembly only; needs 2.2 GiB. */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import * as L from '../dataplane-as/layout/index.js';
import { Harness } from '../test/pipeline/harness.js';
import * as N from '../test/pipeline/node.js';
import { SYN } from '../test/pipeline/packets.js';
import { FRAME_SPACING } from './dataplane-sides.js';
import { preferHugePages } from './huge-pages.js';
import { buildAssembly } from './peers/build.js';

export interface LargeFigures {
  readonly connections: number;
  /** Connections that stay of those opened, and those given up because their window was full. */
  readonly active: number;
  readonly evicted: number;
  /** Nanoseconds: for each new connection, the first half and the last tenth; for a packet of any of them afterwards. */
  readonly opening: number;
  readonly openingFull: number;
  readonly packet: number;
}

interface Series {
  feedSeries(source: number, first: number, n: number, frames: number, size: number, port: number): void;
}

const LINES_LOG2 = 25;
const CONNECTIONS = 2 ** (LINES_LOG2 - 1);
const NEEDED = 3 * 2 ** 30;

/** Null where memory does not allow it. */
export async function large(): Promise<LargeFigures | null> {
  if (freemem() < NEEDED) return null;
  const node = new Harness({
    sessionsLog2: LINES_LOG2,
    sessions6Log2: 4,
    extraBytes: 4096,
    prepare: preferHugePages,
  });
  N.start(node);
  const module = await WebAssembly.compile(readFileSync(buildAssembly('stages')));
  const instance = new WebAssembly.Instance(module, { env: { memory: node.memory } });
  const series = instance.exports as unknown as Series;
  const template = N.fromPod(
    N.POD1,
    N.tcpPacket(N.flow(N.POD1_IP, 1, N.POD2_IP, 1), SYN, new Uint8Array(10)),
  );
  node.bytes.set(template, node.extraBase);
  /** Nanoseconds a packet for those of the flows `from` to `to`, every `step`th batch of them. */
  const run = (from: number, to: number, step = 1): number => {
    const start = process.hrtime.bigint();
    let packets = 0;
    for (let i = from; i < to; i += L.BATCH * step) {
      series.feedSeries(node.extraBase, i, L.BATCH, node.frameAt(0), FRAME_SPACING, N.POD1);
      node.exports.process(L.BATCH, node.now);
      packets += L.BATCH;
    }
    return Number(process.hrtime.bigint() - start) / packets;
  };
  const opening = run(0, CONNECTIONS / 2);
  run(CONNECTIONS / 2, CONNECTIONS * 0.9);
  const openingFull = run(CONNECTIONS * 0.9, CONNECTIONS);
  const [active, evicted] = [node.sessionStat(L.SS_ACTIVE), node.sessionStat(L.SS_EVICTED)];
  // A connection whose line is taken by another one of its batch is opened twice.
  const lost = node.sessionStat(L.SS_CREATED) - active - evicted;
  if (lost !== 0) throw new Error(`${lost} connections are lost`);
  // Every sixteenth batch: those that were given up are opened again, as any sender's next packet does.
  const packet = run(0, CONNECTIONS, 16);
  return { connections: CONNECTIONS, active, evicted, opening, openingFull, packet };
}

/** A line for people. */
export function largeText(figures: LargeFigures): string {
  const million = (n: number): string => (n / 1e6).toFixed(2);
  return (
    `${million(figures.connections)} million connections in ${2 ** LINES_LOG2} lines: ${million(figures.active)} stay, ` +
    `${million(figures.evicted)} were given up; new ${figures.opening.toFixed(0)} ns (full table ` +
    `${figures.openingFull.toFixed(0)} ns), next packets ${figures.packet.toFixed(0)} ns\n`
  );
}
