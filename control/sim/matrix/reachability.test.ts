import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../../common/errors.js';
import {
  cell,
  expected,
  nodeRow,
  OUTSIDE_ROW,
  podColumn,
  podRow,
  result,
  serviceColumn,
} from './fixtures.js';
import { compare, parseReachability } from './reachability.js';

const yes = (row: Parameters<typeof cell>[0], column: Parameters<typeof cell>[1]) =>
  cell(row, column, expected('yes'), result('connected'));
const web = podRow('shop/web-x1', 'shop/web');
const db = podColumn('shop/db-0', 5432, 'shop/db');

/** Whether `lines` are content with one reachable cell. */
function content(lines: string, one = yes(web, db)): boolean {
  return (
    compare([one], parseReachability(`default: deny\nexpect:\n${lines}`, 'e.yaml')).mismatches.length === 0
  );
}

test('names are workloads, pods or patterns, on either side', () => {
  for (const line of [
    'shop/web -> shop/db',
    'shop/web-x1 -> shop/db-0',
    '"* -> shop/*"',
    'ops/x, shop/web -> ops/y, shop/db',
    'shop/web → shop/db:5432',
    'shop/web -> shop/db:5432/tcp',
    '"shop/* -> */tcp"',
  ]) {
    assert.ok(content(`  - allow: ${line}\n`), line);
  }
  for (const line of [
    'shop/we -> shop/db',
    'shop/web -> shop/db:80',
    'shop/web -> shop/db/udp',
    'web -> db',
    'outside -> shop/db',
  ]) {
    assert.not(content(`  - allow: ${line}\n`), line);
  }
});

test('the last line that matches counts', () => {
  assert.not(content('  - allow: shop/web -> shop/db\n  - deny: shop/* -> shop/db\n'));
  assert.ok(content('  - deny: shop/* -> shop/db\n  - allow: shop/web -> shop/db\n'));
  assert.ok(content('  - deny: shop/* -> shop/db\n  - ignore: shop/web -> shop/db\n'));
  assert.not(content('  - partly: shop/web -> shop/db\n'));
});

test('Services by name and port; the outside by name and address', () => {
  const service = yes(web, serviceColumn('shop/db'));
  assert.ok(content('  - allow: shop/web -> service/shop/db:80\n', service));
  assert.not(content('  - allow: shop/web -> shop/db\n', service));
  const outside = yes(web, {
    ...podColumn('x/y'),
    pod: null,
    targets: [{ address: '203.0.113.10', node: null }],
  });
  assert.ok(content('  - allow: shop/web -> outside/203.0.113.10\n', outside));
  assert.ok(content('  - allow: shop/web -> outside\n', outside));
  assert.ok(content('  - allow: outside -> shop/db\n', yes(OUTSIDE_ROW, db)));
});

test('nodes and pods that ask themselves are compared only where that says something', () => {
  assert.ok(content('  - deny: shop/x -> shop/y\n', yes(nodeRow('node-1'), db)));
  assert.ok(content('  - deny: "* -> shop/db"\n', yes(nodeRow('node-1'), db)));
  assert.not(content('  - deny: node/* -> shop/db\n', yes(nodeRow('node-1'), db)));
  assert.ok(content('  - deny: "* -> *"\n', yes(podRow('shop/db-0'), db)));
});

test('lines that match nothing are told: a name in them is wrong', () => {
  const wanted = parseReachability('expect:\n  - allow: shop/wbe -> shop/db\n', 'e.yaml');
  assert.equal(
    compare([yes(web, db)], wanted).unused.map(({ line }) => line),
    [2],
  );
});

test('what cannot be read is an error with file and line', () => {
  const wrong = [
    'expect: 1',
    'default: maybe\nexpect: []',
    'expect:\n  - allow: no arrow',
    'expect:\n  - permit: a -> b',
    'expect: [',
    'expect:\n  - allow: a -> :x:y',
  ];
  for (const text of wrong) {
    assert.throws(
      () => parseReachability(text, 'e.yaml'),
      (error: unknown) => error instanceof InvalidInputError && error.message.startsWith('e.yaml'),
      text,
    );
  }
  assert.throws(() => parseReachability('expect:\n  - allow: a -> b\n  - deny: b', 'e.yaml'), /e\.yaml:3/);
});

test.run();
