/** Reading back: whatever is damaged, in either image, is noticed, and putting it in again mends all. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as items from '../../../test/backends/items.js';
import { seededRandom } from '../../../test/backends/random.js';
import type { Change, Item } from '../../ruleset/types.js';
import { WasmBackend } from './backend.js';
import { FakeRunner } from './fake-runner.js';
import { openMemory, planMemory, wordsOf } from './memory.js';

const add = (item: Item): Change => ({ type: 'add', key: item.key, item });

function someItems(): Item[] {
  const frontends = [{ address: '10.96.0.1', port: 80, type: 'ClusterIP' }] as const;
  return [
    ...items.nodeItems(1),
    ...items.peerItems(1, 2),
    ...items.podItems(1, 1, 'a'),
    items.addressSet('s', ['10.1.2.3', '10.1.2.4']),
    items.policy('p', 'ingress', [items.allow('p', ['addressset/s'], [items.port('TCP', 80)])]),
    items.service('s', { frontends, backends: ['10.1.1.2:80', '10.1.2.2:80'], sourceRanges: ['10.0.0.0/8'] }),
  ];
}

test('any word that is not as written is noticed, and mended', async () => {
  const random = seededRandom(11);
  const plan = planMemory({ sessionsLog2: 4, frameCount: 16 });
  const memory = openMemory(plan);
  const backend = new WasmBackend(plan, memory, new FakeRunner());
  const wanted = someItems();
  await backend.apply(wanted.map(add));
  const words = wordsOf(memory);
  const images = plan.images.map((base) => {
    const used: number[] = [];
    for (let at = base >>> 2; at < (base + plan.image.bytes) >>> 2; at++) if (words[at] !== 0) used.push(at);
    return used;
  });
  // Word 0 is the generation, which changes with each publication.
  const used = images.flatMap((found, i) => found.filter((at) => at !== (plan.images[i] ?? 0) >>> 2));
  for (let i = 0; i < 150; i++) {
    const at = used[random(used.length)] ?? 0;
    words[at] = (words[at] ?? 0) ^ (1 << random(32));
    const found = await backend.dump();
    const missing = wanted.filter(({ key }) => !found.has(key));
    assert.ok(missing.length > 0, `word ${at - ((plan.images[0] ?? 0) >>> 2)} of the images`);
    const results = await backend.apply(missing.map(add));
    assert.ok(results.every(({ error }) => error === null));
    assert.is((await backend.dump()).size, wanted.length);
  }
});

test('transactions are taken one after the other, in the order they were asked for', async () => {
  const plan = planMemory({ sessionsLog2: 4, frameCount: 16 });
  const backend = new WasmBackend(plan, openMemory(plan), new FakeRunner());
  const set = (n: number): Item => items.addressSet('s', [`10.1.1.${n}`]);
  const all = Array.from({ length: 20 }, (_, n) => backend.apply([add(set(n + 1))]));
  const dump = backend.dump();
  await Promise.all(all);
  assert.equal((await dump).get('addressset/s'), set(20));
});

test.run();
