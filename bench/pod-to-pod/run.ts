/** Runs all sides and cases in turns; method in bench/README.md. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadNative } from '../../native/index.js';
import { type Figures, figures, paired } from '../statistics.js';
import { countAhead, forwardAhead } from './ahead.js';
import { openBareSide } from './bare.js';
import { CASES } from './cases.js';
import { openDataPlaneSide } from './dataplane.js';
import { openKernelSide, openSinkSide } from './kernel.js';
import type { Side } from './lab.js';
import { buildSender, measure, type Rate } from './measure.js';

const RESULTS = fileURLToPath(new URL('../../../../bench/results/pod-to-pod.json', import.meta.url));
const SENDER_CORE = 0;
const NODE_CORE = 1;
const OURS = 'data plane';
const SENDER = 'nothing but the sender';

export interface PodToPodOptions {
  readonly rounds: number;
  readonly flows: number;
  /** Cases whose name contains it; '' = all. */
  readonly only?: string;
  /** Sides by name; absent = all. Ratios need `data plane` among them. */
  readonly sides?: readonly string[];
  /** Told what is measured, line by line. */
  readonly progress?: (line: string) => void;
}

export interface PodToPodRow {
  readonly case: string;
  readonly side: string;
  readonly rounds: readonly Rate[];
  /** Packets per second that arrived, and that were sent. */
  readonly received: Figures;
  readonly sent: Figures;
  /** What arrived through the data plane is so many times it, in the same round. */
  readonly ratio: Figures;
  /** What the sender makes alone is so many times it, in the same round: no data plane on a core of its own can be ahead by more. */
  readonly bound: Figures;
  /** Nanoseconds of the sender, and of the node's own threads, for a packet that arrived. */
  readonly senderNanos: Figures;
  readonly nodeNanos: Figures;
}

/** What `sides` may name: how each is opened. Those of the first list have a thread of their own on the node's core. */
const THREADED: Readonly<Record<string, () => Promise<Side>>> = {
  [OURS]: () => openDataPlaneSide(OURS, 'dp', 'afxdp'),
  'data plane, tap': () => openDataPlaneSide('data plane, tap', 'dpt', 'tap'),
  'AF_XDP alone': () => openBareSide('AF_XDP alone', 'bare'),
};
const KERNEL: Readonly<Record<string, () => Side>> = {
  [SENDER]: () => openSinkSide(SENDER, 'none'),
  conntrack: () => openKernelSide('conntrack', 'ct', false, null),
  'nftables sets': () => openKernelSide('nftables sets', 'nft', true, null),
  'conntrack, steered': () => openKernelSide('conntrack, steered', 'cts', false, NODE_CORE),
};
export const SIDES = [...Object.keys(THREADED), ...Object.keys(KERNEL)];

/** Sides that say nothing of a case: the answers are sent elsewhere, and what passes on unread knows neither tunnels nor Services. */
function fits(side: string, test: (typeof CASES)[number]): boolean {
  if (side === SENDER) return test.counted === 'calls';
  return side !== 'AF_XDP alone' || (test.exit === 'server' && test.counted === 'calls');
}

/**
 * Raw figures go to bench/results/pod-to-pod.json if all was measured. Needs root, two cores, nft, chrt and a C compiler. The calling
 * process is in the real-time class and its thread pinned afterwards: what else is to be measured needs a process of its own.
 */
export async function runPodToPod(options: PodToPodOptions): Promise<PodToPodRow[]> {
  const { rounds, flows, only = '', progress = () => undefined } = options;
  const wanted = options.sides ?? SIDES;
  const sender = buildSender();
  const native = loadNative();
  const sides: Side[] = [];
  let behind = (): void => undefined;
  try {
    countAhead();
    // A thread runs where the one that started it may run.
    native.pinThread(NODE_CORE);
    for (const [name, open] of Object.entries(THREADED)) if (wanted.includes(name)) sides.push(await open());
    native.pinThread(SENDER_CORE);
    behind = forwardAhead(NODE_CORE);
    for (const [name, open] of Object.entries(KERNEL)) if (wanted.includes(name)) sides.push(open());
    const cases = CASES.filter(({ name }) => name.includes(only));
    const measured = cases.flatMap((test) =>
      sides.filter(({ name }) => fits(name, test)).map((side) => ({ test, side, rates: [] as Rate[] })),
    );
    for (let round = 0; round < rounds; round++) {
      for (const { test, side, rates } of measured) {
        rates.push(await measure(side, test, flows, sender, SENDER_CORE));
        progress(
          `${round + 1} ${test.name}, ${side.name}: ${((rates.at(-1)?.received ?? 0) / 1e6).toFixed(2)}`,
        );
      }
    }
    const rows = measured.map(({ test, side, rates }): PodToPodRow => {
      const receivedBy = (name: string): number[] =>
        (measured.find((other) => other.test === test && other.side.name === name)?.rates ?? []).map(
          (rate) => rate.received,
        );
      const received = rates.map((rate) => rate.received);
      const timesIt = (others: readonly number[]): Figures =>
        figures(
          paired(others.length > 0 ? others : received.map(() => Number.NaN), received, (a, b) => a / b),
        );
      return {
        case: test.name,
        side: side.name,
        rounds: rates,
        received: figures(received),
        sent: figures(rates.map(({ sent }) => sent)),
        ratio: timesIt(receivedBy(OURS)),
        bound: timesIt(receivedBy(SENDER)),
        senderNanos: figures(rates.map((rate) => rate.senderNanos)),
        nodeNanos: figures(rates.map((rate) => rate.nodeNanos)),
      };
    });
    if (cases.length === CASES.length && wanted === SIDES) save(rows, flows);
    return rows;
  } finally {
    behind();
    for (const side of sides) await side.close();
  }
}

function save(rows: readonly PodToPodRow[], flows: number): void {
  const machine = { kernel: release(), cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
  mkdirSync(dirname(RESULTS), { recursive: true });
  const raw = { machine, load: loadavg(), date: new Date().toISOString(), flows, rows };
  writeFileSync(RESULTS, `${JSON.stringify(raw, null, 2)}\n`);
}

/** The table of bench/README.md: Mpps that arrived, how many times the data plane and the sender alone are that, and what it took. */
export function podToPodText(rows: readonly PodToPodRow[]): string {
  const mega = (rate: number): string => (rate / 1e6).toFixed(2);
  const times = (ratio: Figures): string =>
    Number.isNaN(ratio.median)
      ? ''
      : `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})`;
  const lines = [
    '| case | side | Mpps | lowest to highest | sent | data plane is so many times it | the sender alone | ns of the sender | of the node |',
    '|---|---|---|---|---|---|---|---|---|',
  ];
  for (const row of rows) {
    const { received, sent, ratio, bound, senderNanos, nodeNanos } = row;
    const cells = [
      row.case,
      row.side,
      mega(received.median),
      `${mega(received.min)} to ${mega(received.max)}`,
      mega(sent.median),
      times(ratio),
      times(bound),
      senderNanos.median.toFixed(0),
      nodeNanos.median.toFixed(0),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}
