import { rmSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventually } from '../../test/support/eventually.js';
import { CNI } from '../cni/codes.js';
import { EmbeddedStore } from '../store/embedded.js';
import { FakeDataplane, FakeLinks } from './fakes.js';
import { directory, Machine, request } from './fixtures.js';
import { TwinWatch } from './twin.js';

const KEY = '/pteropus/status/n1';

test('two agents that run as one node find each other, and neither gives addresses away', async () => {
  const machine = new Machine();
  const first = await machine.agent();
  const second = await machine.agent({
    journal: null,
    links: new FakeLinks(),
    openBackend: new FakeDataplane().open,
  });
  for (const agent of [first, second]) {
    await eventually('it finds the other one', () => !agent.status().ready);
    const reply = await agent.cni.add(request('web'));
    assert.is(reply.result, CNI.tryAgainLater);
    assert.match(reply.error, /another agent runs as node n1: .+\/.+\/[0-9a-f]{8}/);
    assert.is((await agent.cni.delete(request('web'))).result, 0);
  }
  await first.close();
  await second.close();
});

test('the late last word of one that was killed is no twin; one that answers is, until it is quiet', async () => {
  const store = new EmbeddedStore();
  const told: string[] = [];
  let next = (): void => undefined;
  const twin = new TwinWatch(
    store,
    'n1',
    'me',
    (what) => {
      told.push(what);
      next();
    },
    5,
  );
  const event = (): Promise<void> =>
    new Promise((resolve) => {
      next = resolve;
    });
  const say = (instance: string): Promise<unknown> => store.put(KEY, JSON.stringify({ instance }));
  await say('before');
  await twin.follow();
  await store.put(KEY, 'no JSON');
  await store.put(KEY, 'null');
  let waiting = event();
  await say('me');
  await say('killed');
  await waiting;
  assert.is(twin.other, null);
  waiting = event();
  await say('alive');
  await waiting;
  waiting = event();
  await say('alive');
  await waiting;
  assert.is(twin.other, 'alive');
  await event();
  assert.is(twin.other, null);
  assert.equal(told, ['asked', 'asked', 'found', 'gone']);
  twin.close();
  await store.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
