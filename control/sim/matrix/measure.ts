/**
 * Measures the cells with real traffic. What should answer goes first and gets time; only then, when it is known how
 * fast this cluster answers, what should stay silent. A cell that does not agree is measured once more before it counts.
 */
import type { Driver, Probe } from '../driver.js';
import { type Cell, type Expected, judgeCell } from './cell.js';
import type { PlannedCell } from './plan.js';

export interface ExpectedCell {
  readonly planned: PlannedCell;
  readonly expected: Expected;
}

export interface MeasureOptions {
  /** Longest wait for an answer that should come, milliseconds. */
  readonly patienceMs: number;
  /** Shortest wait for silence, milliseconds. */
  readonly silenceMs: number;
  /** Probes on their way at the same time: those that should be answered, and those that should not. */
  readonly answeredAtOnce: number;
  readonly silentAtOnce: number;
}

const MEASURE: MeasureOptions = {
  patienceMs: 2000,
  silenceMs: 250,
  answeredAtOnce: 250,
  silentAtOnce: 1500,
};

type Prober = Pick<Driver, 'probe'>;

/** Cells in the order they came. */
export async function measure(
  driver: Prober,
  cells: readonly ExpectedCell[],
  options: MeasureOptions = MEASURE,
): Promise<readonly Cell[]> {
  const out = new Map<PlannedCell, Cell>();
  const run = async (some: readonly ExpectedCell[], timeoutMs: number, atOnce: number) => {
    for (const batch of batches(some, atOnce)) {
      for (const cell of await probeCells(driver, batch, timeoutMs)) out.set(cell.planned, cell.cell);
    }
  };
  await run(
    cells.filter(({ expected }) => expected.reach === 'yes'),
    options.patienceMs,
    options.answeredAtOnce,
  );
  const silence = silenceFor([...out.values()], options);
  await run(
    cells.filter(({ expected }) => expected.reach !== 'yes'),
    silence,
    options.silentAtOnce,
  );
  const wrong = cells.filter(({ planned }) => out.get(planned)?.agrees === false);
  await run(
    wrong.filter(({ expected }) => expected.reach === 'yes'),
    options.patienceMs,
    options.answeredAtOnce,
  );
  await run(
    wrong.filter(({ expected }) => expected.reach !== 'yes'),
    silence * 2,
    options.answeredAtOnce,
  );
  return cells.map(({ planned }) => out.get(planned)!);
}

/** Five times what nine of ten answers took at most, within bounds. */
function silenceFor(cells: readonly Cell[], { silenceMs, patienceMs }: MeasureOptions): number {
  const times = cells
    .flatMap(({ probes }) => probes)
    .filter(({ result }) => result.outcome === 'connected')
    .map(({ result }) => result.millis)
    .sort((a, b) => a - b);
  const slow = times[Math.floor(times.length * 0.9)] ?? 0;
  return Math.round(Math.min(Math.max(silenceMs, slow * 5), patienceMs / 2));
}

async function probeCells(
  driver: Prober,
  cells: readonly ExpectedCell[],
  timeoutMs: number,
): Promise<readonly { planned: PlannedCell; cell: Cell }[]> {
  const wanted = cells.map((cell) => ({ cell, probes: probesOf(cell, timeoutMs) }));
  const results = await driver.probe(wanted.flatMap(({ probes }) => probes));
  let at = 0;
  return wanted.map(({ cell: { planned, expected }, probes }) => {
    const measured = probes.map(({ address }) => ({ address, result: results[at++]! }));
    return { planned, cell: judgeCell(planned, expected, measured) };
  });
}

/**
 * A Service is asked twice for each backend, so that all of them get their turn; where a mix is expected, so often that
 * meeting one kind only is less likely than one in ten thousand (two backends).
 */
function probesOf({ planned, expected }: ExpectedCell, timeoutMs: number): readonly Probe[] {
  const { row, column, targets } = planned;
  const rounds = Math.ceil(attempts(expected) / targets.length);
  return Array.from({ length: rounds }).flatMap(() =>
    targets.map(({ address }) => ({
      from: row.party,
      address,
      port: column.port,
      protocol: column.protocol,
      timeoutMs,
    })),
  );
}

function attempts({ reach, endings }: Expected): number {
  if (reach === 'some') return Math.max(16, endings * 6);
  return reach === 'yes' && endings > 1 ? endings * 2 : 1;
}

/** Cells cut into groups of about `size` probes. */
function* batches(cells: readonly ExpectedCell[], size: number): Generator<readonly ExpectedCell[]> {
  let batch: ExpectedCell[] = [];
  let probes = 0;
  for (const cell of cells) {
    const more = probesOf(cell, 0).length;
    if (probes + more > size && batch.length > 0) {
      yield batch;
      batch = [];
      probes = 0;
    }
    batch.push(cell);
    probes += more;
  }
  if (batch.length > 0) yield batch;
}
