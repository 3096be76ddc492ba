import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventually } from '../../test/support/eventually.js';
import { StoreUnavailableError } from '../store/errors.js';
import type { Store } from '../store/store.js';
import { Machine, wired } from './fixtures.js';

test('a store that answers no more is told once, and that it does again; ADD goes on meanwhile', async () => {
  const machine = new Machine();
  let away = false;
  const store = new Proxy<Store>(machine.store, {
    get: (target, name) => {
      if (name === 'get' && away)
        return () => Promise.reject(new StoreUnavailableError('no answer for 10000 ms', 'etcd', null));
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  await machine.fill();
  const agent = await machine.agent({ store, storePulseMs: 1 });
  assert.equal([agent.storeAway, agent.nodeProblems], [false, []]);
  away = true;
  await eventually('it is told that the store is away', () => agent.storeAway);
  const [problem, ...more] = agent.problems();
  assert.is(problem?.source, 'node');
  assert.match(
    problem?.message ?? '',
    /^the store does not answer, objects are as they were last: .*no answer/,
  );
  assert.equal(more, []);
  assert.ok(agent.status().ready);
  await wired(agent, 'web');
  away = false;
  await eventually('it is told that the store is back', () => !agent.storeAway);
  assert.equal(agent.problems(), []);
  const told = machine.lines.filter((line) => line.startsWith('the store'));
  assert.is(told.length, 2);
  assert.is(told[1], 'the store answers again');
  await agent.close();
});

test.run();
