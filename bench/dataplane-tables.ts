/** What changes of the tables cost: the worker's pause at a swap, one rule or one member through the backend. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as L from '../dataplane-as/layout/index.js';
import type { Harness } from '../test/pipeline/harness.js';
import * as N from '../test/pipeline/node.js';
import { full } from './pipeline-scenarios.js';
import { type Figures, figures } from './statistics.js';

const RULES = 10_000;

export interface NodeFigures {
  readonly pods: number;
  readonly services: number;
  readonly policies: number;
  /** Milliseconds for the whole ruleset, and for a change of one rule or one member of a set. */
  readonly all: number;
  readonly rule: Figures;
  readonly member: Figures;
}

export interface TableFigures {
  readonly rules: number;
  /** Microseconds by which the first pass after a swap takes longer: without packets, and with 64 whose rules are asked again. */
  readonly swap: Figures;
  readonly rejudge: Figures;
  readonly node: NodeFigures;
}

/** Microseconds for one pass over the `n` packets that lie in the vector. */
function pass(node: Harness, n: number): number {
  const start = process.hrtime.bigint();
  node.exports.process(n, node.now);
  return Number(process.hrtime.bigint() - start) / 1000;
}

function swaps(make: () => Harness, rounds: number): Pick<TableFigures, 'swap' | 'rejudge'> {
  const node = make();
  const scenario = full(RULES);
  scenario.prepare(node);
  const batch = Array.from({ length: L.BATCH }, (_, i) => scenario.packet(i, true));
  const place = (): void => {
    for (const [i, packet] of batch.entries()) node.place(i, packet);
  };
  const [swap, rejudge]: [number[], number[]] = [[], []];
  for (let i = 0; i < rounds + 20; i++) {
    const image = N.nodeImage({ ...scenario.spec, generation: 2 + i, tunnels: 1 });
    place();
    pass(node, L.BATCH);
    place();
    const steady = pass(node, L.BATCH);
    const empty = pass(node, 0);
    node.publish(image);
    place();
    // The first ones let the compiler finish. Half of the rounds swap under packets.
    if (i % 2 === 0) {
      const time = pass(node, 0) - empty;
      if (i >= 20) swap.push(time);
    } else {
      const time = pass(node, L.BATCH) - steady;
      if (i >= 20) rejudge.push(time);
    }
  }
  if (node.sessionStat(L.SS_REJUDGED) === 0) throw new Error('nothing was judged again');
  return { swap: figures(swap), rejudge: figures(rejudge) };
}

/** `make` opens a pipeline whose images have room for the rules. */
export function tables(make: () => Harness): TableFigures {
  const child = fileURLToPath(new URL('./dataplane-node.js', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [child], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(stderr);
  return { rules: RULES, ...swaps(make, 200), node: JSON.parse(stdout) as NodeFigures };
}

/** Lines for people. */
export function tableText({ rules, swap, rejudge, node }: TableFigures): string {
  const three = ({ median, min, max }: Figures, digits: number): string =>
    `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
  return [
    `table swap at ${rules} rules: ${three(swap, 2)} µs; and 64 packets judged again: ${three(rejudge, 1)} µs`,
    `one rule of ${rules} changed: ${three(node.rule, 3)} ms; one member of a set: ${three(node.member, 3)} ms`,
    `${node.pods} pods, ${node.services} services, ${node.policies} policies: all tables in ${node.all.toFixed(0)} ms`,
    '',
  ].join('\n');
}
