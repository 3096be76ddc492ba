/** Starting from the mirror while the store is away. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventually } from '../../test/support/eventually.js';
import { StoreUnavailableError } from '../store/errors.js';
import type { Store, Watch } from '../store/store.js';
import { denyAll, directory, Machine, markComplete, pod, wired } from './fixtures.js';
import { keyOf } from './objects.js';

/** A store that can be out of reach: calls fail, watches are silent and go on afterwards. */
class Reach {
  away = false;
  readonly store: Store;

  constructor(store: Store) {
    const check = (): void => {
      if (this.away) throw new StoreUnavailableError('is away', 'test');
    };
    const guarded = <A extends readonly unknown[], R>(call: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        check();
        return call(...args);
      };
    };
    this.store = {
      get: guarded((key) => store.get(key)),
      list: guarded((prefix) => store.list(prefix)),
      transact: guarded((conditions, operations) => store.transact(conditions, operations)),
      put: guarded((key, value) => store.put(key, value)),
      delete: guarded((key) => store.delete(key)),
      watch: (...args): Watch => store.watch(...args),
      lease: guarded((ttl) => store.lease(ttl)),
      close: () => Promise.resolve(),
    };
  }
}

test('the store is away: pods and policies as they were last, ADD works, and all is put right when it is back', async () => {
  const machine = new Machine();
  const reach = new Reach(machine.store);
  const options = { store: reach.store, mirror: join(directory, 'kept', 'mirror'), storeWaitMs: 50 };
  await machine.fill();
  await machine.put(pod('web', { app: 'web' }));
  await machine.put(denyAll('closed', { app: 'web' }));
  let agent = await machine.agent(options);
  await wired(agent, 'web');
  await machine.put(pod('late', { app: 'web' }));
  await machine.put(denyAll('later', { app: 'other' }));
  await machine.store.delete(keyOf(denyAll('later', { app: 'other' })));
  await machine.settled((await machine.store.list('/pteropus/k8s/')).revision - 1);
  await agent.close();
  const before = new Map(machine.dataplane.items);

  reach.away = true;
  // Meanwhile, where we do not see it:
  await machine.put(denyAll('unseen', { app: 'web' }));
  machine.lines.length = 0;
  agent = await machine.agent(options);
  assert.ok(machine.lines.some((line) => line.includes('the store is away: starting with its state')));
  assert.equal(machine.dataplane.items, before);
  assert.is(agent.status().ready, true);
  assert.match(JSON.stringify(agent.problems()), 'the store is away');
  await wired(agent, 'late');
  assert.ok(machine.dataplane.items.has('endpoint/shop/late'));

  reach.away = false;
  await eventually('what it had not seen is in force', () =>
    JSON.stringify([...machine.dataplane.items.values()]).includes('unseen'),
  );
  assert.ok(machine.lines.some((line) => line.includes('the store is back')));
  assert.not.match(JSON.stringify(agent.problems()), 'the store is away');
  assert.is(agent.drifts, 0);
  await agent.close();
});

test('a damaged mirror is set aside and made anew; without one the agent waits for the store', async () => {
  const machine = new Machine();
  const reach = new Reach(machine.store);
  const path = join(directory, 'damaged-mirror');
  const options = { store: reach.store, mirror: path, storeWaitMs: 50 };
  await machine.fill();
  let agent = await machine.agent(options);
  await agent.close();
  const whole = readFileSync(path, 'utf8');
  writeFileSync(path, whole.replace('shop', 'SHOP'));
  reach.away = true;
  let started = false;
  const starting = machine.agent(options).then((again) => {
    started = true;
    return again;
  });
  await eventually('it says that it waits', () => machine.lines.some((line) => line.includes('waiting: ')));
  assert.not(started);
  assert.ok(machine.lines.some((line) => line.includes(`kept as ${path}.damaged; it is made anew`)));
  reach.away = false;
  agent = await starting;
  await agent.close();
  assert.is(readFileSync(path, 'utf8').includes('SHOP'), false);
});

test('what an incomplete store tells is not kept', async () => {
  const machine = new Machine();
  const reach = new Reach(machine.store);
  const options = { store: reach.store, mirror: join(directory, 'careful-mirror'), storeWaitMs: 50 };
  await machine.fill();
  await machine.put(pod('web', { app: 'web' }));
  await machine.put(denyAll('closed', { app: 'web' }));
  let agent = await machine.agent(options);
  await wired(agent, 'web');
  const before = new Map(machine.dataplane.items);
  const { entries } = await machine.store.list('/');
  await machine.store.transact(
    [],
    entries.map(({ key }) => ({ type: 'delete', key }) as const),
  );
  await machine.until(({ ready }) => !ready);
  reach.away = true;
  await agent.close();
  agent = await machine.agent(options);
  assert.equal(machine.dataplane.items, before);
  await agent.close();
  await markComplete(machine.store);
});

test.run();
