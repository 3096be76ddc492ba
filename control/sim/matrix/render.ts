/** The matrix as a picture for a terminal and its line for people. Pure. */
import type { Cell } from './cell.js';
import { type Folded, type FoldedAxis, type FoldedCell, fold } from './fold.js';
import type { Column } from './plan.js';

export interface RenderOptions {
  /** Show every replica. */
  readonly wide: boolean;
  readonly color: boolean;
  /** Characters in a line. */
  readonly width: number;
}

const TITLES: Readonly<Record<Column['section'], string>> = {
  pods: 'to pods',
  services: 'to Services',
  outside: 'to the outside world',
};

const RED = '\u001b[1;31m';
const GREEN = '\u001b[32m';
const YELLOW = '\u001b[33m';
const DIM = '\u001b[2m';
const RESET = '\u001b[0m';

export function renderMatrix(cells: readonly Cell[], options: RenderOptions): string {
  const folded = fold(cells, options.wide);
  const titles = Object.values(TITLES).map((title) => title.length);
  const labelWidth = Math.max(...folded.rows.map(({ label }) => label.length), ...titles);
  const blocks = (['pods', 'services', 'outside'] as const).flatMap((section) => {
    const columns = folded.columns.filter(({ members }) => members[0]?.section === section);
    return chunk(columns, fit(columns, labelWidth, options.width)).map((some) =>
      block(TITLES[section], some, folded, labelWidth, options),
    );
  });
  return `${blocks.join('\n\n')}\n\n${legend(cells, options)}`;
}

/** How many columns fit beside the row labels: each takes two characters, and the last header names run to the right. */
function fit(columns: readonly FoldedAxis<Column>[], labelWidth: number, width: number): number {
  const longest = Math.max(...columns.map((column) => columnLabel(column).length), 0);
  return Math.max(8, Math.floor((width - labelWidth - 2 - longest - 2) / 2));
}

function chunk<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  // Blocks of about equal width look calmer than one wide and one narrow.
  const parts = Math.ceil(items.length / size);
  const each = Math.ceil(items.length / Math.max(parts, 1));
  return Array.from({ length: parts }, (_, i) => items.slice(i * each, (i + 1) * each));
}

/** Column names stand as stairs above their columns; rows follow. */
function block(
  title: string,
  columns: readonly FoldedAxis<Column>[],
  folded: Folded,
  labelWidth: number,
  { color }: RenderOptions,
): string {
  const indent = ' '.repeat(labelWidth + 2);
  const dim = (text: string) => (color ? `${DIM}${text}${RESET}` : text);
  const stairs = columns.map((column, i) => {
    const bars = dim('│ '.repeat(i));
    const head = i === 0 ? `${title}`.padEnd(labelWidth + 2) : indent;
    return `${head}${bars}${dim('┌ ')}${columnLabel(column)}`;
  });
  const rows = folded.rows.flatMap((row) => {
    const cells = columns.map((column) => folded.at(row, column));
    if (cells.every((cell) => cell === null)) return [];
    const places = cells.map((cell) => symbol(cell, color));
    return `${row.label.padEnd(labelWidth)}  ${places.join(' ')}`.trimEnd();
  });
  return [...stairs, ...rows].join('\n');
}

/** The section says what it is, so the name needs not. */
function columnLabel({ label }: FoldedAxis<Column>): string {
  return label
    .replace(/^service /, '')
    .replace(/^outside /, '')
    .replace(/\/tcp( ×|$)/, '$1');
}

function symbol(cell: FoldedCell | null, color: boolean): string {
  if (cell === null) return ' ';
  const [text, paint] = !cell.agrees
    ? ['✗', RED]
    : cell.reach === 'yes'
      ? ['●', GREEN]
      : cell.reach === 'some'
        ? ['◐', YELLOW]
        : ['·', DIM];
  return color ? `${paint}${text}${RESET}` : text;
}

function legend(cells: readonly Cell[], { color }: RenderOptions): string {
  const wrong = cells.some(({ agrees }) => !agrees) ? '   ✗ differs from the policies' : '';
  const text = `● reachable   · not   ◐ some replicas, nodes or backends${wrong}`;
  return color ? `${DIM}${text}${RESET}` : text;
}

/** `1,234 of 1,234 cells agree with the policies (took 3.1 s)`. */
export function summaryLine(cells: readonly Cell[], millis: number): string {
  const number = (n: number) => n.toLocaleString('en-US');
  const agree = cells.filter(({ agrees }) => agrees).length;
  return `${number(agree)} of ${number(cells.length)} cells agree with the policies (took ${(millis / 1000).toFixed(1)} s)`;
}

/** One line for each cell that differs, at most `limit` of them. */
export function differences(cells: readonly Cell[], limit = 40): readonly string[] {
  const wrong = cells.filter(({ agrees }) => !agrees);
  const lines = wrong
    .slice(0, limit)
    .map(({ row, column, problem, expected }) => `${row.id} → ${column.id}: ${problem}; ${expected.reason}`);
  return wrong.length > limit ? [...lines, `… and ${wrong.length - limit} more`] : lines;
}
