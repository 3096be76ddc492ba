/** Port sets: what they say about every key, against rules asked one by one; who shares their lines; what a rollback leaves. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../../dataplane-as/layout/index.js';
import { seededRandom } from '../../../test/backends/random.js';
import { Ledger } from '../ledger.js';
import { CellStore } from './cells.js';
import { type FlatRule, flatten, LAST_KEY } from './flatten.js';
import { planImage } from './image-plan.js';
import { PortSets, unitOf } from './port-sets.js';

const TIERS = ['admin', 'network', 'baseline'] as const;
const ACTIONS = ['allow', 'deny', 'pass'] as const;
const LINE = L.PORTSET_SIZE / 4;

/** Of a port set's lines: the verdict for a key, as the pipeline finds it. */
function verdictOf(words: Uint32Array, key: number): number {
  const lines = words[L.PORTSET_LINES / 4] ?? 0;
  assert.is(words.length, lines * LINE);
  let line = 0;
  while (line + 1 < lines && (words[(line + 1) * LINE] ?? 0) <= key) line++;
  for (let i = 0; i < L.PORTSET_INTERVALS; i++) {
    const word = (at: number) => words[line * LINE + at / 4 + i] ?? 0;
    if (word(L.PORTSET_FROM) <= key && key <= word(L.PORTSET_TO)) return word(L.PORTSET_VERDICT);
  }
  return words[line * LINE + L.PORTSET_VERDICT / 4 + L.PORTSET_INTERVALS] ?? 0;
}

function ruled(rules: readonly FlatRule[], denied: number | null, key: number): number {
  for (const tier of TIERS) {
    if (tier === 'baseline' && denied !== null) break;
    const first = rules.find(
      (r) => r.tier === tier && (r.ranges === null || r.ranges.some((g) => g.from <= key && key <= g.to)),
    );
    if (first === undefined || first.action === 'pass') continue;
    return ((first.action === 'allow' ? L.VERDICT_ALLOW : 0) | first.rule) >>> 0;
  }
  return denied ?? (L.VERDICT_ALLOW | L.RULE_OPEN) >>> 0;
}

test('a port set says for every key what its rules say', () => {
  const random = seededRandom(3);
  for (let round = 0; round < 400; round++) {
    const key = () => [0, LAST_KEY, (6 << 16) + random(30), (17 << 16) + random(30)][random(4)] ?? 0;
    const rules = Array.from({ length: random(7) }, (_, rule): FlatRule => {
      const ranges = Array.from({ length: random(6) }, () => {
        const from = key();
        return { from, to: Math.min(LAST_KEY, from + random(9)) };
      });
      return {
        ...{ tier: TIERS[random(3)] ?? 'network', action: ACTIONS[random(3)] ?? 'allow' },
        ...{ ranges: random(5) === 0 ? null : ranges, rule: L.RULE_FIRST + rule },
      };
    });
    const denied = random(2) === 0 ? null : L.RULE_FIRST + 100;
    const words = flatten(rules, denied);
    const edges = rules.flatMap(({ ranges }) => (ranges ?? []).flatMap(({ from, to }) => [from, to]));
    for (const edge of [0, LAST_KEY, ...edges]) {
      for (const asked of [edge - 1, edge, edge + 1]) {
        if (asked < 0 || asked > LAST_KEY) continue;
        assert.is(verdictOf(words, asked), ruled(rules, denied, asked), `round ${round}, key ${asked}`);
      }
    }
  }
});

test('port sets that say the same share lines, which are free again when the last is dropped', () => {
  const ledger = new Ledger();
  const cells = new CellStore(ledger, planImage());
  const sets = new PortSets(ledger, cells);
  const web = () => flatten([{ tier: 'network', action: 'allow', ranges: [{ from: 6, to: 7 }], rule: 9 }], 8);
  const first = sets.hold(web(), 'policy/a');
  const other = sets.hold(flatten([], null), 'policy/a');
  assert.is(sets.hold(web(), 'policy/b'), first);
  assert.is.not(other.span.first, first.span.first);
  ledger.commit();
  cells.finish();
  sets.drop(first);
  assert.ok(cells.get(unitOf(first)), 'one holds it still');
  sets.drop(first);
  assert.is(cells.get(unitOf(first)), undefined);
  ledger.rollback();
  assert.is(sets.hold(web(), 'policy/c'), first, 'as before the transaction');
  sets.drop(first);
  sets.drop(first);
  sets.drop(first);
  assert.is.not(sets.hold(web(), 'policy/d'), first);
});

test.run();
