/** A measured matrix as output: the picture, the differences, the expectation file's verdict, JSON and JUnit. Pure. */
import type { InputText } from '../manifest-set.js';
import type { Cell } from './cell.js';
import { compare, type Mismatch, parseReachability, type Statement } from './reachability.js';
import { differences, renderMatrix, summaryLine } from './render.js';
import { junit, matrixJson } from './report.js';

export interface PresentOptions {
  readonly json: boolean;
  readonly wide: boolean;
  readonly color: boolean;
  readonly width: number;
  /** The file of --expect. */
  readonly expect: InputText | null;
  readonly junit: boolean;
}

export interface Presented {
  readonly output: string;
  readonly junit: string | null;
  /** Every cell agrees, and the expectation file too. */
  readonly good: boolean;
}

const SHOWN = 40;

/** Throws InvalidInputError for an expectation file that cannot be read. */
export function present(
  cells: readonly Cell[],
  feed: string,
  millis: number,
  options: PresentOptions,
): Presented {
  const verdict =
    options.expect === null
      ? null
      : compare(cells, parseReachability(options.expect.text, options.expect.file));
  const mismatches = verdict?.mismatches ?? [];
  const unused = verdict?.unused ?? [];
  const good = cells.every(({ agrees }) => agrees) && mismatches.length === 0 && unused.length === 0;
  const xml = options.junit ? junit(cells, mismatches, millis) : null;
  if (options.json) {
    const expectation =
      verdict === null
        ? null
        : {
            checked: verdict.checked,
            mismatches: mismatches.map(mismatchJson),
            unused: unused.map(unusedLine),
          };
    const json = { ...matrixJson(cells, feed, millis), expectation };
    return { output: `${JSON.stringify(json, null, 2)}\n`, junit: xml, good };
  }
  const lines = [renderMatrix(cells, options), '', summaryLine(cells, millis), ...unseen(cells)];
  const different = differences(cells, SHOWN);
  if (different.length > 0)
    lines.push('', 'Cells that differ from the policies:', ...different.map((l) => `  ${l}`));
  if (verdict !== null) {
    lines.push(expectLine(verdict.checked, mismatches.length, options.expect?.file ?? ''));
    lines.push(...mismatches.slice(0, SHOWN).map((mismatch) => `  ${mismatchLine(mismatch)}`));
    if (mismatches.length > SHOWN) lines.push(`  … and ${mismatches.length - SHOWN} more`);
    lines.push(...unused.map((statement) => `  matches nothing: ${unusedLine(statement)}`));
  }
  return { output: `${lines.join('\n')}\n`, junit: xml, good };
}

function expectLine(checked: number, wrong: number, file: string): string {
  const agree = (checked - wrong).toLocaleString('en-US');
  return `${agree} of ${checked.toLocaleString('en-US')} cells are as ${file} wants them`;
}

function mismatchLine({ cell, wanted, because }: Mismatch): string {
  return `${cell.row.id} → ${cell.column.id}: wanted ${wanted}, measured ${cell.measured} [${because}]; ${cell.expected.reason}`;
}

function mismatchJson({ cell, wanted, because }: Mismatch): unknown {
  return { from: cell.row.id, to: cell.column.id, wanted, measured: cell.measured, because };
}

function unusedLine({ wish, text, line }: Statement): string {
  return `${line === null ? '' : `line ${line}: `}${wish}: ${text}`;
}

/** Backends that no probe of their Service ever met, though they should answer. */
function unseen(cells: readonly Cell[]): readonly string[] {
  const wanted = new Map<string, Set<string>>();
  const met = new Map<string, Set<string>>();
  for (const { column, expected, probes } of cells) {
    if (column.service === null || expected.answers === null) continue;
    const own = wanted.get(column.id) ?? new Set();
    const seen = met.get(column.id) ?? new Set();
    wanted.set(column.id, own);
    met.set(column.id, seen);
    for (const answer of expected.answers) own.add(answer);
    for (const { result } of probes) if (result.answer !== null) seen.add(result.answer);
  }
  const missing = [...wanted].flatMap(([id, names]) => {
    const rest = [...names].filter((name) => !met.get(id)?.has(name));
    return rest.length === 0 ? [] : [`note: ${id} never answered through ${rest.join(', ')}`];
  });
  const spread = [...wanted.values()].filter((names) => names.size > 1).length;
  if (missing.length > 0 || spread === 0) return missing;
  return [`every backend of ${spread} Service addresses with several backends answered`];
}
