import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as items from '../../../test/backends/items.js';
import type { Change, ServiceItem } from '../../ruleset/types.js';
import { Ledger } from '../ledger.js';
import { CellStore } from './cells.js';
import { TableFullError } from './errors.js';
import { planImage } from './image-plan.js';
import { Lowering } from './lowering.js';
import { maglevSlots } from './maglev.js';
import { SlotTables } from './slot-tables.js';

function maglev(i: number, port: number): ServiceItem {
  const backends = [1, 2, 3].map((n) => `10.1.${i % 256}.${n}:${8000 + (i >> 8)}`);
  const frontends = [{ address: `10.96.${i >> 8}.${i % 256}`, port, type: 'ClusterIP' }] as const;
  return items.service(`m${i}`, { frontends, backends, algorithm: 'maglev' });
}

const add = (item: ServiceItem): Change => ({ type: 'add', key: item.key, item });

test('hundreds of maglev services fit, and scopes of one service cost no more than one', () => {
  const lowering = new Lowering(planImage());
  const all = Array.from({ length: 200 }, (_, i) => [80, 443, 30080].map((port) => maglev(i, port))).flat();
  const { operations } = lowering.plan(all.map(add));
  lowering.commit();
  const large = operations.filter((op) => op.type === 'write' && op.words.length === 4096);
  assert.is(large.length, 200);
});

test('a table stays as long as anybody uses it, and comes back after a failed change', () => {
  const plan = planImage();
  const ledger = new Ledger();
  const cells = new CellStore(ledger, plan);
  const tables = new SlotTables(ledger, cells);
  const shares = ['a', 'b', 'c'].map((name) => ({ name, weight: 1 }));
  const one = tables.acquire('maglev', shares, 'x');
  const two = tables.acquire('maglev', shares, 'y');
  assert.equal(one, two);
  assert.is(one.count, maglevSlots(shares).length);
  tables.release(one);
  const written = () => cells.everything().length;
  assert.is(written(), 1);
  ledger.commit();
  tables.release(two);
  assert.is(written(), 0);
  ledger.rollback();
  assert.is(written(), 1);
  // Only maglev asks who the backends are; both ask for their weights.
  const others = ['d', 'e', 'f'].map((name) => ({ name, weight: 1 }));
  assert.is(tables.acquire('random', shares, 'x').first, tables.acquire('random', others, 'y').first);
  assert.is.not(tables.acquire('maglev', others, 'y').first, two.first);
  const heavy = shares.map((share, i) => ({ ...share, weight: i + 1 }));
  assert.is.not(tables.acquire('random', heavy, 'x').first, tables.acquire('random', shares, 'x').first);
});

test('one table too many is refused by name, and what was there stays', () => {
  const lowering = new Lowering(planImage());
  const many = Array.from({ length: 256 }, (_, i) => maglev(i, 80));
  lowering.plan(many.map(add));
  lowering.commit();
  const before = lowering.cells.everything();
  try {
    lowering.plan([add(maglev(256, 80))]);
    assert.unreachable('there is no room');
  } catch (error) {
    lowering.rollback();
    assert.instance(error, TableFullError);
    assert.match((error as TableFullError).message, /service slots/);
  }
  assert.equal(lowering.cells.everything().length, before.length);
});

test.run();
