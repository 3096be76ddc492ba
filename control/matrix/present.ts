/** A matrix on paper as output: the picture, the verdict of an expectation file, JSON and JUnit. Pure. */
import type { Cell } from '../sim/matrix/cell.js';
import type { Presented, PresentOptions } from '../sim/matrix/present.js';
import { compare, type Mismatch, parseReachability } from '../sim/matrix/reachability.js';
import { renderMatrix } from '../sim/matrix/render.js';
import { junit } from '../sim/matrix/report.js';

/** Lines of differences shown. */
const SHOWN = 60;

/** Throws InvalidInputError for an expectation file that cannot be read. */
export function presentPaper(cells: readonly Cell[], options: PresentOptions): Presented {
  const file = options.expect?.file ?? '';
  const verdict =
    options.expect === null ? null : compare(cells, parseReachability(options.expect.text, file));
  const mismatches = verdict?.mismatches ?? [];
  const unused = (verdict?.unused ?? []).map(
    ({ line, wish, text }) => `${line === null ? '' : `line ${line}: `}${wish}: ${text}`,
  );
  const words = { program: 'pteropus matrix', found: 'is' };
  const xml = options.junit ? junit(cells, mismatches, 0, words) : null;
  const good = mismatches.length === 0 && unused.length === 0;
  if (options.json) {
    const expectation =
      verdict === null
        ? null
        : { checked: verdict.checked, mismatches: mismatches.map(mismatchJson), unused };
    const rows = cells.map(({ row, column, measured, expected }) => ({
      from: row.id,
      to: column.id,
      reach: measured,
      reason: expected.reason,
    }));
    return { output: `${JSON.stringify({ rows, expectation }, null, 2)}\n`, junit: xml, good };
  }
  const lines = [cells.length === 0 ? 'nobody is there to ask' : renderMatrix(cells, options)];
  if (verdict !== null) {
    const number = (n: number) => n.toLocaleString('en-US');
    const agree = verdict.checked - mismatches.length;
    lines.push('', `${number(agree)} of ${number(verdict.checked)} cells are as ${file} wants them`);
    lines.push(...mismatches.slice(0, SHOWN).flatMap(mismatchLines));
    if (mismatches.length > SHOWN) lines.push(`  … and ${mismatches.length - SHOWN} more`);
    lines.push(...unused.map((text) => `  matches nothing: ${text}`));
  }
  return { output: `${lines.join('\n')}\n`, junit: xml, good };
}

/** As a diff: what is wanted, what is, and why. */
function mismatchLines({ cell, wanted, because }: Mismatch): readonly string[] {
  return [
    `  ${cell.row.id} → ${cell.column.id}`,
    `    - ${WORDS[wanted]} [${because}]`,
    `    + ${WORDS[cell.measured]}: ${cell.expected.reason}`,
  ];
}

const WORDS = { yes: 'reachable', no: 'not reachable', some: 'partly reachable' } as const;

function mismatchJson({ cell, wanted, because }: Mismatch): unknown {
  return {
    from: cell.row.id,
    to: cell.column.id,
    wanted,
    reach: cell.measured,
    because,
    reason: cell.expected.reason,
  };
}
