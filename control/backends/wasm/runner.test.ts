/** What a trap does to the inline runner, and what a link that cannot be opened does to a transaction. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../../dataplane-as/layout/index.js';
import * as items from '../../../test/backends/items.js';
import { TestNode } from '../../../test/backends/node.js';
import type { Rig } from '../../../test/backends/rig.js';
import { WasmBackend } from './backend.js';
import { FakeRunner } from './fake-runner.js';
import { openMemory, planMemory, wordsOf } from './memory.js';
import { MemoryLinks } from './memory-feed.js';
import { openWithMemory } from './open.js';

const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};

test('a trap is no end: the pipeline starts anew, and a resync mends the tables that caused it', async () => {
  const links = new MemoryLinks();
  const { backend, memory } = await openWithMemory({
    feed: links,
    memory: { sessionsLog2: 10, frameCount: 256 },
  });
  const rig: Rig = {
    backend,
    attach: async (link, receive) => links.attach(link, receive),
    send: (link, frame) => void links.send(link, frame),
    settle: turns,
    tamper: async () => {},
    close: () => backend.close(),
  };
  const node = await TestNode.open(async () => rig);
  const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
  const words = wordsOf(memory);
  words[(Atomics.load(words, (L.CONTROL_BASE + L.CTL_ACTIVE_IMAGE) >>> 2) + L.IMG_PORTS) >>> 2] = 0xf0000000;
  a.sendUdp(b.address, 5000, 80);
  await turns();
  assert.ok(backend.runner.restarts > 0);
  const found = await backend.dump();
  assert.is(found.size, 0, 'an image without its header holds nothing');
  await node.apply([...node.items.values()].map((item) => ({ type: 'add', key: item.key, item })));
  assert.is(await a.reaches(b.address, 80), 'b');
  await rig.close();
});

test('links open before a transaction is in force and close after it; a failure leaves them as they were', async () => {
  const runner = new FakeRunner();
  const plan = planMemory({ sessionsLog2: 4, frameCount: 16 });
  const backend = new WasmBackend(plan, openMemory(plan), runner);
  const pod = (n: number, name: string, link = name) => {
    const [item, ...rest] = items.podItems(1, n, name);
    if (item?.kind !== 'interface') throw new Error('no interface');
    return [{ ...item, link }, ...rest];
  };
  const put = (...wanted: ReturnType<typeof pod>) =>
    backend.apply(wanted.map((item) => ({ type: 'add', key: item.key, item })));
  const taken = (): string[] => runner.log.splice(0);
  await put(...pod(1, 'a'));
  assert.equal(taken(), ['open 0 a', 'published']);
  runner.bad = 'c';
  const results = await put(...pod(2, 'b'), ...pod(3, 'c'));
  assert.equal(
    results.filter(({ error }) => error !== null).map(({ key }) => key),
    [items.podKey('c')],
  );
  assert.equal(taken(), ['open 1 b', 'close 1']);
  // Its link gets another name.
  await put(...pod(1, 'a', 'renamed'));
  assert.equal(taken(), ['close 0', 'open 0 renamed', 'published']);
  // The link goes from one pod to another in one transaction.
  const gone = pod(1, 'a', 'renamed').map((old) => ({ type: 'remove', key: old.key, old }) as const);
  const come = pod(2, 'b', 'renamed').map((item) => ({ type: 'add', key: item.key, item }) as const);
  await backend.apply([...gone, ...come]);
  assert.equal(taken(), ['close 0', 'open 1 renamed', 'published']);
});

test.run();
