import * as assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as layout from '../dataplane-as/layout/index.js';

test('the header of the addon says what dataplane-as/layout says', () => {
  const header = readFileSync(new URL('../../../native/common/layout.h', import.meta.url), 'utf8');
  const constants = [...header.matchAll(/constexpr uint32_t (\w+) = (\w+);/g)];
  assert.ok(constants.length >= 10);
  for (const [, name, value] of constants) {
    assert.equal(Number(value), (layout as Record<string, unknown>)[name!], name);
  }
});

test.run();
