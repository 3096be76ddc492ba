import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Reach } from './cell.js';
import { cell, expected, nodeRow, podColumn, podRow, result } from './fixtures.js';
import { fold } from './fold.js';

const outcome = (reach: Reach) => result(reach === 'yes' ? 'connected' : 'timeout');
const replicas = ['shop/web-1', 'shop/web-2'];

/** Every row asks every column; `reach` says how it went. */
function cells(
  reach: (row: string, column: string) => Reach,
  wrong: (row: string, column: string) => boolean = () => false,
) {
  const rows = [
    ...replicas.map((id) => podRow(id, 'shop/web')),
    podRow('shop/db'),
    nodeRow('node-1'),
    nodeRow('node-2'),
  ];
  const columns = [...replicas.map((pod) => podColumn(pod, 80, 'shop/web')), podColumn('shop/db', 80)];
  return rows.flatMap((row) =>
    columns.map((column) => {
      const name = column.id.replace(':80/tcp', '');
      const is = reach(row.id, name);
      const want = wrong(row.id, name) ? (is === 'yes' ? 'no' : 'yes') : is;
      return cell(row, column, expected(want), outcome(is));
    }),
  );
}

test('replicas that agree become one, and what a pod reaches of itself does not count', () => {
  const folded = fold(
    cells((row, column) => (row === column || column === 'shop/db' ? 'yes' : 'no')),
    false,
  );
  assert.equal(
    folded.rows.map(({ label }) => label),
    ['shop/web ×2', 'shop/db', 'nodes ×2'],
  );
  assert.equal(
    folded.columns.map(({ label }) => label),
    ['shop/web:80/tcp ×2', 'shop/db:80/tcp'],
  );
  const [web, db] = folded.rows;
  const [toWeb, toDb] = folded.columns;
  assert.is(folded.at(web!, toWeb!)?.reach, 'no', 'siblings are closed');
  assert.is(folded.at(web!, toDb!)?.reach, 'yes');
  assert.is(folded.at(db!, toDb!)?.reach, 'yes', 'alone, the pod itself is what there is to show');
});

test('nodes see their own pods only: that is a mix, not a difference between replicas', () => {
  const own = (row: string, column: string) => row === 'node-1' && column === 'shop/web-1';
  const folded = fold(
    cells((row, column) => (own(row, column) ? 'yes' : 'no')),
    false,
  );
  const nodes = folded.rows.find(({ label }) => label === 'nodes ×2');
  assert.is(folded.at(nodes!, folded.columns[0]!)?.reach, 'some');
});

test('replicas that differ stay by themselves', () => {
  const folded = fold(
    cells((row, column) => (row === 'shop/db' && column === 'shop/web-1' ? 'yes' : 'no')),
    false,
  );
  assert.equal(folded.columns.map(({ label }) => label).slice(0, 2), [
    'shop/web-1:80/tcp',
    'shop/web-2:80/tcp',
  ]);
});

test('a wrong cell is never hidden in a fold', () => {
  const folded = fold(
    cells(
      () => 'yes',
      (row, column) => row === 'shop/web-2' && column === 'shop/db',
    ),
    false,
  );
  assert.ok(folded.rows.some(({ label }) => label === 'shop/web-2'));
  const row = folded.rows.find(({ label }) => label === 'shop/web-2');
  const column = folded.columns.find(({ label }) => label === 'shop/db:80/tcp');
  assert.is(folded.at(row!, column!)?.agrees, false);
});

test('wide shows everything by itself', () => {
  const folded = fold(
    cells(() => 'yes'),
    true,
  );
  assert.is(folded.rows.length, 5);
  assert.is(folded.columns.length, 3);
});

test.run();
