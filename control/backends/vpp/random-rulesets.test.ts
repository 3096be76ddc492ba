/** Rulesets of random clusters, through the real renderers, on a VPP that is strict about order. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileCluster } from '../../compiler/fixture.js';
import { parseApiObject } from '../../objects/manifest.js';
import { Random } from '../../oracle/random.js';
import { randomCluster } from '../../oracle/random-cluster.js';
import { diffRulesets } from '../../ruleset/diff.js';
import type { Ruleset } from '../../ruleset/types.js';
import { FakeVpp } from './objects/fake-vpp.js';
import type { VppOptions } from './objects/types.js';
import { type OpenedVppBackend, openOver } from './open.js';
import { DEFAULT_OPTIONS } from './options.js';
import { DESCRIPTORS, renderersOf } from './registry.js';

function randomRuleset(seed: number): Ruleset {
  const { objects } = randomCluster(new Random(seed));
  return compileCluster(objects.map(parseApiObject)).rulesets.get('n1') ?? new Map();
}

function open(fake: FakeVpp, options: VppOptions): Promise<OpenedVppBackend> {
  const descriptors = DESCRIPTORS.map(({ kind, update }) =>
    fake.descriptor(kind, { update: update !== undefined }),
  );
  return openOver(fake.api, {
    ...{ options, renderers: renderersOf(options), descriptors, keepFile: null, log: () => undefined },
    observer: {
      counters: () => Promise.reject(new Error('none')),
      trace: () => Promise.reject(new Error('none')),
      close: () => Promise.resolve(),
    },
  });
}

/** What is refused is left out, as the agent does; what is left must go in whole. */
async function become(backend: OpenedVppBackend, from: Ruleset, to: Ruleset): Promise<Ruleset> {
  const wanted = new Map(to);
  for (let round = 0; round < 5; round++) {
    const results = await backend.apply(diffRulesets(from, wanted));
    const refused = results.filter(({ error }) => error !== null);
    if (refused.length === 0) return wanted;
    for (const { key, error } of refused) {
      assert.is(error?.name, 'RenderError', error?.message);
      wanted.delete(key);
    }
  }
  throw new Error('still refused');
}

for (const services of ['cnat', 'nat44'] as const) {
  test(`any ruleset becomes any other, with services on ${services}`, async () => {
    let objects = 0;
    for (let seed = 1; seed <= 15; seed++) {
      const fake = new FakeVpp();
      const options = { ...DEFAULT_OPTIONS, services };
      const backend = await open(fake, options);
      let now: Ruleset = new Map();
      for (const next of [randomRuleset(seed), randomRuleset(seed + 1000), randomRuleset(seed + 2000)]) {
        now = await become(backend, now, next);
        objects += fake.objects.size;
        assert.equal([...(await backend.dump()).keys()].sort(), [...now.keys()].sort(), `seed ${seed}`);
      }
      // Whoever begins with the last of them comes to the same objects.
      const other = new FakeVpp();
      await become(await open(other, options), new Map(), now);
      const specs = ({ objects: held }: FakeVpp) =>
        [...held.values()].map(({ object: { key, spec } }) => [key, spec] as const).sort();
      assert.equal(specs(fake), specs(other), `seed ${seed}`);
      fake.actions.length = 0;
      const again = await open(fake, options);
      await become(again, new Map(), now);
      assert.equal(fake.actions, []);
      await become(again, now, new Map());
      assert.equal([...fake.objects.keys()], [], `seed ${seed}: all is gone`);
    }
    assert.ok(objects > 1000, `${objects}`);
  });
}

test.run();
