/**
 * The law: whatever happened, the incremental compiler holds what `compile` makes of the same objects, and says exactly what
 * changed. `npm run test:compiler:long` runs longer; PTEROPUS_SEED=N repeats one sequence.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../control/compiler/compile.js';
import { UnknownNodeError } from '../../control/compiler/context.js';
import { IncrementalCompiler } from '../../control/compiler/incremental/compiler.js';
import {
  type ClusterConfig,
  DEFAULT_CONFIG,
  DEFAULT_IPV6,
  type NodeLocal,
} from '../../control/compiler/input.js';
import { Model } from '../../control/model/model.js';
import { Random } from '../../control/oracle/random.js';
import { canonical, canonicalRuleset, sameItem } from '../../control/ruleset/canonical.js';
import { applyChanges, diffRulesets } from '../../control/ruleset/diff.js';
import type { Change, Ruleset } from '../../control/ruleset/types.js';
import { randomHistory, type Step } from './random-events.js';

const SEQUENCES = Number(process.env['PTEROPUS_SEQUENCES'] ?? 1000);
const LENGTH = 55;
const SINGLE: ClusterConfig = { ...DEFAULT_CONFIG, externalIPCIDRs: ['198.51.100.0/24'] };
const DUAL: ClusterConfig = { ...SINGLE, ipv6: DEFAULT_IPV6 };

/** Runs a history; what first breaks the law, or null. */
function broken(steps: readonly Step[], config: ClusterConfig): string | null {
  const [first, ...rest] = steps;
  if (first?.local == null) throw new Error('a history starts with a node');
  let local: NodeLocal = first.local;
  const model = new Model();
  for (const event of first.events) model.apply(event);
  const compiler = new IncrementalCompiler(model, local, config);
  // As a backend would hold it, by the changes alone.
  let held: Ruleset = new Map(compiler.ruleset);
  for (const [i, step] of rest.entries()) {
    local = step.local ?? local;
    // Now and then there is time to look ahead.
    for (let n = i % 4; n > 0 && compiler.anticipate(); n--);
    const at = `after step ${i + 1}: `;
    let changes: readonly Change[];
    try {
      changes = compiler.apply(step.events, local);
    } catch (error) {
      if (error instanceof UnknownNodeError && compilable(model, local, config) === null) continue;
      return `${at}${String(error)}`;
    }
    const wanted = compilable(model, local, config);
    if (wanted === null) return `${at}compiled what cannot be compiled`;
    const wrong = difference(compiler.ruleset, wanted);
    if (wrong !== null) return at + wrong;
    const said = changes.map(({ type, key }) => `${type} ${key}`).join('\n');
    const right = diffRulesets(held, wanted)
      .map(({ type, key }) => `${type} ${key}`)
      .join('\n');
    if (said !== right) return `${at}said\n${said}\ninstead of\n${right}`;
    const delta = wrongDelta(changes);
    if (delta !== null) return at + delta;
    held = applyChanges(held, changes);
  }
  const end = compilable(model, local, config);
  if (end !== null && canonicalRuleset(compiler.ruleset) !== canonicalRuleset(end))
    return 'bytes differ at the end';
  return null;
}

function compilable(model: Model, local: NodeLocal, config: ClusterConfig): Ruleset | null {
  try {
    return compile(model, local, config);
  } catch (error) {
    if (error instanceof UnknownNodeError) return null;
    throw error;
  }
}

function difference(got: Ruleset, wanted: Ruleset): string | null {
  for (const [key, item] of wanted) {
    const other = got.get(key);
    if (other === undefined) return `${key} is missing: ${canonical(item)}`;
    if (!sameItem(other, item)) return `${key} is ${canonical(other)} instead of ${canonical(item)}`;
  }
  for (const key of got.keys()) if (!wanted.has(key)) return `${key} should not be there`;
  return null;
}

function wrongDelta(changes: readonly Change[]): string | null {
  for (const change of changes) {
    if (change.type !== 'update' || change.delta === undefined) continue;
    const { old, item, delta } = change;
    if (old.kind !== 'addressset' || item.kind !== 'addressset') return `${change.key} has a delta`;
    const applied = [...old.addresses.filter((ip) => !delta.removed.includes(ip)), ...delta.added].sort();
    if (applied.join() !== item.addresses.join()) return `${change.key}: wrong delta ${canonical(delta)}`;
  }
  return null;
}

/** The shortest history found, by leaving out steps and events, that still breaks the law. */
function shrink(steps: readonly Step[], config: ClusterConfig): readonly Step[] {
  let best = steps;
  for (let again = true; again; ) {
    again = false;
    for (let i = best.length - 1; i > 0; i--) {
      const step = best[i];
      if (step === undefined) continue;
      const without = step.events.map((_, e) => ({
        ...step,
        events: step.events.filter((_event, n) => n !== e),
      }));
      const shorter = [
        [...best.slice(0, i), ...best.slice(i + 1)],
        ...(step.local === null ? [] : [replaced(best, i, { ...step, local: null })]),
        ...without.map((smaller) => replaced(best, i, smaller)),
      ];
      const found = shorter.find((candidate) => broken(candidate, config) !== null);
      if (found === undefined) continue;
      best = found;
      again = true;
    }
  }
  return best;
}

function replaced<T>(list: readonly T[], at: number, item: T): readonly T[] {
  return [...list.slice(0, at), item, ...list.slice(at + 1)];
}

test('incremental = from scratch, for every sequence of events', () => {
  const only = process.env['PTEROPUS_SEED'];
  const seeds = only === undefined ? Array.from({ length: SEQUENCES }, (_, i) => i + 1) : [Number(only)];
  for (const seed of seeds) {
    const steps = randomHistory(new Random(seed), LENGTH);
    const config = seed % 2 === 0 ? SINGLE : DUAL;
    if (broken(steps, config) === null) continue;
    const small = shrink(steps, config);
    const history = small.map((step) => JSON.stringify(step)).join('\n');
    assert.unreachable(`seed ${seed}: ${broken(small, config)}\n${history}`);
  }
});

test.run();
