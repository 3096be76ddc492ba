import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../../dataplane-as/layout/index.js';
import { OUTCOME_NAMES } from './outcomes.js';

const NOT_OUTCOMES = new Set(['OUT_NONE', 'OUT_FIRST_DROP', 'OUT_IP6']);

test('every outcome of the pipeline has a name of its own', () => {
  const codes = Object.entries(L).filter(([name]) => /^(OUT|DROP)_/.test(name) && !NOT_OUTCOMES.has(name));
  for (const [name, code] of codes) assert.ok(OUTCOME_NAMES.has(code), name);
  assert.is(OUTCOME_NAMES.size, codes.length);
  assert.is(new Set(OUTCOME_NAMES.values()).size, codes.length);
  assert.ok([...OUTCOME_NAMES.keys()].every((code) => code < L.OUTCOME_COUNT));
});

test('and a line in the documentation', () => {
  const text = readFileSync(new URL('../../../../../docs/outcomes.md', import.meta.url), 'utf8');
  for (const name of OUTCOME_NAMES.values()) assert.ok(text.includes(`\`${name}\``), name);
});

test.run();
