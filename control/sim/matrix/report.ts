/** A measured matrix for machines: JSON and JUnit. Pure. */
import type { Cell } from './cell.js';
import type { Mismatch } from './reachability.js';

export interface MatrixJson {
  readonly feed: string;
  readonly millis: number;
  readonly cells: number;
  readonly agree: number;
  readonly rows: readonly CellJson[];
}

interface CellJson {
  readonly from: string;
  readonly to: string;
  readonly expected: string;
  readonly measured: string;
  readonly agrees: boolean;
  readonly reason: string;
  readonly problem: string | null;
  readonly probes: readonly {
    readonly address: string;
    readonly outcome: string;
    readonly answer: string | null;
    readonly millis: number;
  }[];
}

export function matrixJson(cells: readonly Cell[], feed: string, millis: number): MatrixJson {
  return {
    feed,
    millis: Math.round(millis),
    cells: cells.length,
    agree: cells.filter(({ agrees }) => agrees).length,
    rows: cells.map(({ row, column, expected, measured, agrees, problem, probes }) => ({
      from: row.id,
      to: column.id,
      expected: expected.reach,
      measured,
      agrees,
      reason: expected.reason,
      problem,
      probes: probes.map(({ address, result }) => ({
        address,
        outcome: result.outcome,
        answer: result.answer,
        millis: Math.round(result.millis * 100) / 100,
      })),
    })),
  };
}

const SIM = { program: 'pteropus sim', found: 'measured' };

/** One test case a cell, one suite a row: what CI systems show. */
export function junit(
  cells: readonly Cell[],
  mismatches: readonly Mismatch[],
  millis: number,
  /** Who says so, and how it came to know. */
  { program, found }: { readonly program: string; readonly found: string } = SIM,
): string {
  const wanted = new Map(mismatches.map((mismatch) => [mismatch.cell, mismatch]));
  const bySuite = new Map<string, Cell[]>();
  for (const cell of cells) bySuite.set(cell.row.id, [...(bySuite.get(cell.row.id) ?? []), cell]);
  const failureOf = (cell: Cell): string | null => {
    const mismatch = wanted.get(cell);
    if (mismatch !== undefined) {
      return `wanted ${mismatch.wanted} (${mismatch.because}), ${found} ${cell.measured}; ${cell.expected.reason}`;
    }
    return cell.agrees ? null : `${cell.problem}; ${cell.expected.reason}`;
  };
  const suites = [...bySuite].map(([name, own]) => {
    const cases = own.map((cell) => {
      const failure = failureOf(cell);
      const head = `    <testcase classname=${attribute(name)} name=${attribute(cell.column.id)}`;
      return failure === null ? `${head}/>` : `${head}><failure message=${attribute(failure)}/></testcase>`;
    });
    const failures = own.filter((cell) => failureOf(cell) !== null).length;
    const head = `  <testsuite name=${attribute(`from ${name}`)} tests="${own.length}" failures="${failures}">`;
    return [head, ...cases, '  </testsuite>'].join('\n');
  });
  const failures = cells.filter((cell) => failureOf(cell) !== null).length;
  const time = (millis / 1000).toFixed(3);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name=${attribute(program)} tests="${cells.length}" failures="${failures}" time="${time}">`,
    ...suites,
    '</testsuites>',
    '',
  ].join('\n');
}

function attribute(text: string): string {
  const escaped = text
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
    .replace(/\n/g, '&#10;');
  return `"${escaped}"`;
}
