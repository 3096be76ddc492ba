import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isSelf } from './cell.js';
import { cell, expected, podColumn, podRow, result, serviceColumn } from './fixtures.js';

const row = podRow('shop/cart');
const column = podColumn('shop/web');

test('an answer where one should come, silence where none should', () => {
  assert.ok(cell(row, column, expected('yes', ['shop/web']), result('connected', 'shop/web')).agrees);
  for (const outcome of ['timeout', 'refused', 'rejected'] as const) {
    assert.ok(cell(row, column, expected('no'), result(outcome)).agrees);
    const wrong = cell(row, column, expected('yes', ['shop/web']), result(outcome));
    assert.not(wrong.agrees);
    assert.match(wrong.problem ?? '', new RegExp(`expected an answer, measured ${outcome}`));
  }
  assert.not(cell(row, column, expected('no'), result('connected', 'shop/web')).agrees);
});

test('an answer from somebody else is wrong', () => {
  const wrong = cell(row, column, expected('yes', ['shop/web']), result('connected', 'shop/db'));
  assert.match(wrong.problem ?? '', /shop\/db answered/);
});

test('one lost attempt of several is wrong, unless a mix is expected', () => {
  const service = serviceColumn('shop/web');
  const mixed = [result('connected', 'shop/a'), result('timeout')];
  assert.not(cell(row, service, expected('yes', ['shop/a']), ...mixed).agrees);
  assert.ok(cell(row, service, expected('some', ['shop/a']), ...mixed).agrees);
  assert.not(cell(row, service, expected('some', ['shop/a']), result('connected', 'shop/a')).agrees);
});

test('with session affinity a client sees one side of a mix only', () => {
  const sticky = serviceColumn('shop/web', { sessionAffinity: 'ClientIP' });
  assert.ok(cell(row, sticky, expected('some', ['shop/a']), result('timeout')).agrees);
  assert.ok(cell(row, sticky, expected('some', ['shop/a']), result('connected', 'shop/a')).agrees);
  assert.not(cell(row, sticky, expected('some', ['shop/a']), result('connected', 'shop/b')).agrees);
});

test('what could not be measured never agrees', () => {
  const broken = cell(row, column, expected('no'), result('error', 'no such process'));
  assert.not(broken.agrees);
  assert.match(broken.problem ?? '', /no such process/);
});

test('a pod asks itself directly or through a Service it stands behind', () => {
  const service = serviceColumn('shop/web');
  assert.ok(isSelf(cell(podRow('shop/web'), column, expected('yes'))));
  assert.not(isSelf(cell(row, column, expected('yes'))));
  assert.ok(isSelf(cell(podRow('shop/a'), service, expected('some', ['shop/a']))));
  assert.not(isSelf(cell(podRow('shop/b'), service, expected('some', ['shop/a']))));
});

test.run();
