import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cell, expected, podColumn, podRow, result, serviceColumn } from './fixtures.js';
import { type PresentOptions, present } from './present.js';

const OPTIONS: PresentOptions = {
  json: false,
  wide: false,
  color: false,
  width: 100,
  expect: null,
  junit: false,
};
const [a, b] = [podRow('shop/a'), podRow('shop/b')];
const [toB, toC] = [podColumn('shop/b'), podColumn('shop/c')];
const good = [
  cell(a, toB, expected('yes', ['shop/b']), result('connected', 'shop/b')),
  cell(b, toB, expected('yes', ['shop/b']), result('connected', 'shop/b')),
  cell(a, toC, expected('no'), result('timeout')),
];
const bad = [...good, cell(b, toC, expected('no'), result('connected', 'shop/c'))];

test('the picture names each column above it', () => {
  const { output, good: fine } = present(good, 'memory', 3100, OPTIONS);
  assert.ok(fine);
  const lines = output.split('\n');
  assert.match(lines[0] ?? '', /^to pods +┌ shop\/b:80$/);
  assert.match(lines[1] ?? '', /^ +│ ┌ shop\/c:80$/);
  assert.match(lines[2] ?? '', /^shop\/a +● ·$/);
  assert.match(lines[3] ?? '', /^shop\/b +●$/);
  assert.ok(output.includes('3 of 3 cells agree with the policies (took 3.1 s)'));
  assert.not(output.includes('\u001b'), 'no colour unless asked for');
});

test('a difference is marked, listed and explained', () => {
  const { output, good: fine } = present(bad, 'memory', 10, OPTIONS);
  assert.not(fine);
  assert.ok(output.includes('✗'));
  assert.ok(output.includes('3 of 4 cells agree'));
  assert.match(
    output,
    /shop\/b → shop\/c:80\/tcp: expected none, measured connected .*; allowed \(egress: open; ingress: NetworkPolicy/,
  );
});

test('many columns are cut into blocks that fit', () => {
  const wide = Array.from({ length: 60 }, (_, i) =>
    cell(a, podColumn(`shop/p${i}`), expected('no'), result('timeout')),
  );
  const { output } = present(wide, 'memory', 1, { ...OPTIONS, width: 80 });
  assert.ok(output.split('\n').every((line) => line.length <= 80));
  assert.ok(output.split('to pods').length > 2);
});

test('backends that never answered are told', () => {
  const one = cell(
    a,
    serviceColumn('shop/web'),
    expected('yes', ['shop/w1', 'shop/w2']),
    result('connected', 'shop/w1'),
  );
  assert.match(present([one], 'memory', 1, OPTIONS).output, /never answered through shop\/w2/);
});

test('JSON holds every cell with its probes', () => {
  const json = JSON.parse(present(bad, 'memory', 10, { ...OPTIONS, json: true }).output) as Record<
    string,
    unknown
  >;
  assert.is(json['cells'], 4);
  assert.is(json['agree'], 3);
  assert.is((json['rows'] as { from: string }[])[3]?.from, 'shop/b');
});

test('JUnit has a case for each cell, a failure for each that is wrong, and is escaped', () => {
  const { junit } = present(bad, 'memory', 1500, { ...OPTIONS, junit: true });
  assert.match(junit ?? '', /<testsuites name="pteropus sim" tests="4" failures="1" time="1\.500">/);
  assert.is(junit?.match(/<testcase /g)?.length, 4);
  assert.is(junit?.match(/<failure /g)?.length, 1);
  assert.not(/message="[^"]*[<>]/.test(junit ?? ''));
});

test('an expectation file decides too', () => {
  const expect = { file: 'e.yaml', text: 'default: deny\nexpect:\n  - allow: shop/a -> shop/b\n' };
  assert.ok(present(good, 'memory', 1, { ...OPTIONS, expect }).good);
  const other = { file: 'e.yaml', text: 'default: deny\nexpect: []\n' };
  const { output, good: fine } = present(good, 'memory', 1, { ...OPTIONS, expect: other });
  assert.not(fine);
  assert.match(output, /shop\/a → shop\/b:80\/tcp: wanted no, measured yes \[e\.yaml: default: deny\]/);
});

test.run();
