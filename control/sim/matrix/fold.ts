/**
 * Replicas of one workload that agree become one row or column, so that a picture shows workloads and not copies.
 * What differs, or is wrong, stays by itself. Pure.
 */
import { type Cell, isSelf, type Reach } from './cell.js';
import type { Column, Row } from './plan.js';

export interface FoldedAxis<T extends Row | Column> {
  readonly label: string;
  readonly members: readonly T[];
}

/** What one place of the picture shows; null = there is no such cell. */
export interface FoldedCell {
  readonly reach: Reach;
  readonly agrees: boolean;
}

export interface Folded {
  readonly rows: readonly FoldedAxis<Row>[];
  readonly columns: readonly FoldedAxis<Column>[];
  readonly at: (row: FoldedAxis<Row>, column: FoldedAxis<Column>) => FoldedCell | null;
}

export function fold(cells: readonly Cell[], wide: boolean): Folded {
  const byRow = new Map<Row, Map<Column, Cell>>();
  for (const cell of cells) {
    const ofRow = byRow.get(cell.row);
    if (ofRow === undefined) byRow.set(cell.row, new Map([[cell.column, cell]]));
    else ofRow.set(cell.column, cell);
  }
  const at = (row: Row, column: Column) => byRow.get(row)?.get(column);
  const rows = [...new Set(cells.map(({ row }) => row))];
  const columns = [...new Set(cells.map(({ column }) => column))];
  const columnAxes = wide ? single(columns) : foldAxis(columns, (column) => columnVector(column, rows, at));
  const rowAxes = wide ? single(rows) : foldAxis(rows, (row) => rowVector(row, columnAxes, at));
  return {
    rows: rowAxes,
    columns: columnAxes,
    at: (row, column) =>
      summary(
        row.members.flatMap((r) => column.members.flatMap((c) => at(r, c) ?? [])),
        row.members.length > 1,
      ),
  };
}

type At = (row: Row, column: Column) => Cell | undefined;

/** A column as pods and the outside world see it. What nodes see differs by design: their own pods are always open to them. */
function columnVector(column: Column, rows: readonly Row[], at: At): readonly string[] {
  return rows.map((row) => {
    const cell = at(row, column);
    if (cell?.agrees === false) return `wrong ${column.id}`;
    if (cell === undefined) return row.type === 'node' ? '' : '-';
    return row.type === 'node' || isSelf(cell) ? '' : cell.measured;
  });
}

function rowVector(row: Row, columns: readonly FoldedAxis<Column>[], at: At): readonly string[] {
  return columns.map(({ members }) => {
    const cells = members.flatMap((column) => at(row, column) ?? []);
    if (cells.some(({ agrees }) => !agrees)) return `wrong ${row.id}`;
    if (row.type === 'node') return '';
    const others = cells.filter((cell) => !isSelf(cell));
    return others.length === 0 ? '' : (summary(others, false)?.reach ?? '-');
  });
}

/** Neighbours of one group whose vectors agree; '' agrees with everything. */
function foldAxis<T extends Row | Column>(
  items: readonly T[],
  vector: (item: T) => readonly string[],
): readonly FoldedAxis<T>[] {
  const groups = new Map<string, { members: T[]; vector: readonly string[] }[]>();
  for (const item of items) {
    const own = vector(item);
    const classes = groups.get(item.group) ?? [];
    groups.set(item.group, classes);
    const same = classes.find((c) => c.vector.every((v, i) => v === '' || own[i] === '' || v === own[i]));
    if (same === undefined) {
      classes.push({ members: [item], vector: own });
    } else {
      same.members.push(item);
      same.vector = same.vector.map((v, i) => (v === '' ? (own[i] ?? '') : v));
    }
  }
  return [...groups].flatMap(([group, classes]) =>
    classes.map(({ members }) => ({ label: labelOf(group, members, classes.length), members })),
  );
}

function labelOf(
  group: string,
  members: readonly { readonly id: string; readonly stands?: number }[],
  classes: number,
): string {
  const first = members[0]!.id;
  const count = members.reduce((sum, { stands = 1 }) => sum + stands, 0);
  if (count === 1) return classes === 1 ? group : first;
  return classes === 1 ? `${group} ×${count}` : `${first} ×${count}`;
}

function single<T extends Row | Column>(items: readonly T[]): readonly FoldedAxis<T>[] {
  return items.map((item) => ({ label: item.id, members: [item] }));
}

/** One symbol for several cells. A pod's reach to itself says little where it has siblings, so it does not count then. */
function summary(cells: readonly Cell[], many: boolean): FoldedCell | null {
  const others = many ? cells.filter((cell) => !isSelf(cell)) : cells;
  const counted = others.length > 0 ? others : cells;
  const first = counted[0];
  if (first === undefined) return null;
  const reach = counted.every(({ measured }) => measured === first.measured) ? first.measured : 'some';
  return { reach, agrees: cells.every(({ agrees }) => agrees) };
}
