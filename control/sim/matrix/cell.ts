/** A cell: what the policies say, what was measured, and whether the two agree. Pure. */
import type { ProbeResult } from '../driver.js';
import type { Column, PlannedCell, Row } from './plan.js';

/** `some`: some of a Service's backends are reachable, some are not. */
export type Reach = 'yes' | 'no' | 'some';

export interface Expected {
  readonly reach: Reach;
  /** Who may answer (`NS/NAME`); null = not known by name. */
  readonly answers: ReadonlySet<string> | null;
  /** How many destinations an attempt may end at: backends of a Service, over all addresses asked. */
  readonly endings: number;
  /** Which policy decided, or which default; for a person. */
  readonly reason: string;
}

export interface Cell {
  readonly row: Row;
  readonly column: Column;
  readonly expected: Expected;
  readonly measured: Reach;
  readonly agrees: boolean;
  /** What is wrong, where it does not agree. */
  readonly problem: string | null;
  readonly probes: readonly { readonly address: string; readonly result: ProbeResult }[];
}

export function judgeCell({ row, column }: PlannedCell, expected: Expected, probes: Cell['probes']): Cell {
  const connected = probes.filter(({ result }) => result.outcome === 'connected');
  const measured: Reach = connected.length === 0 ? 'no' : connected.length === probes.length ? 'yes' : 'some';
  const problem = problemOf(column, expected, measured, probes);
  return { row, column, expected, measured, agrees: problem === null, problem, probes };
}

function problemOf(
  column: Column,
  expected: Expected,
  measured: Reach,
  probes: Cell['probes'],
): string | null {
  const broken = probes.find(({ result }) => result.outcome === 'error');
  if (broken !== undefined) return `could not be measured: ${broken.result.answer ?? 'no reason given'}`;
  const stranger = probes.find(
    ({ result }) =>
      result.outcome === 'connected' &&
      result.answer !== null &&
      expected.answers !== null &&
      !expected.answers.has(result.answer),
  );
  if (expected.reach !== 'no' && stranger !== undefined) {
    return `${stranger.result.answer} answered, which should not`;
  }
  // One client of a Service with affinity sees one backend only, so a mix may show either face.
  if (expected.reach === 'some') {
    const sticky = column.service?.service.spec.sessionAffinity === 'ClientIP';
    return measured === 'some' || sticky ? null : `expected a mix, ${describe(probes)}`;
  }
  if (measured === expected.reach) return null;
  return `expected ${expected.reach === 'yes' ? 'an answer' : 'none'}, ${describe(probes)}`;
}

/** `2 connected, 1 timeout`. */
function describe(probes: Cell['probes']): string {
  const counts = new Map<string, number>();
  for (const { address, result } of probes) {
    const key = `${result.outcome} (${address})`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return `measured ${[...counts].map(([outcome, count]) => (count > 1 ? `${count} × ${outcome}` : outcome)).join(', ')}`;
}

/** A pod asking itself, directly or through a Service that it stands behind: always open, so no difference of policy. */
export function isSelf({ row, column, expected }: Cell): boolean {
  if (column.service !== null) return expected.answers?.has(row.id) === true;
  return column.pod !== null && row.id === `${column.pod.namespace}/${column.pod.name}`;
}
