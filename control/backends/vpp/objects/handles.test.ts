import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HandleTable, NoHandleError } from './handles.js';

test('numbers are found by key, keys by kind and number', () => {
  const handles = new HandleTable();
  handles.set('if/uplink', 1);
  handles.set('acl/a', 1);
  assert.is(handles.get('if/uplink'), 1);
  assert.is(handles.keyOf('if', 1), 'if/uplink');
  assert.is(handles.keyOf('acl', 1), 'acl/a');
  assert.is(handles.keyOf('if', 2), undefined);
  assert.is(handles.find('if/host'), undefined);
  assert.throws(
    () => handles.get('if/host'),
    (error: unknown) => error instanceof NoHandleError && error.object === 'if/host',
  );
});

test('a number that VPP gives again belongs to whom it was given last', () => {
  const handles = new HandleTable();
  handles.set('if/a', 7);
  handles.set('if/b', 7);
  handles.delete('if/a');
  assert.is(handles.keyOf('if', 7), 'if/b');
  handles.set('if/b', 8);
  assert.is(handles.keyOf('if', 7), undefined);
  handles.clear();
  assert.is(handles.find('if/b'), undefined);
  assert.is(handles.keyOf('if', 8), undefined);
});

test.run();
