import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Counters } from '../backends/backend.js';
import { WorkerWatch } from './worker-watch.js';

const told = (restarts?: number) => ({
  counters: () => Promise.resolve({ ...(restarts === undefined ? {} : { restarts }) } as unknown as Counters),
});

test('workers that died since the last look are a problem until they live on', async () => {
  const lines: string[] = [];
  const watch = new WorkerWatch((line) => lines.push(line));
  let restarts = 0;
  const backend = { counters: () => told(restarts).counters() };
  await watch.look(backend);
  assert.is(watch.problem, null);
  restarts = 3;
  await watch.look(backend);
  assert.match(watch.problem ?? '', /died 3 times/);
  restarts = 6;
  await watch.look(backend);
  assert.match(watch.problem ?? '', /died 3 times/);
  assert.is(lines.length, 1);
  await watch.look(backend);
  assert.is(watch.problem, null);
  await watch.look(told(9));
  assert.is(watch.problem, null, 'of a data plane that was just opened nobody knows when');
  for (const silent of [null, told(), { counters: () => Promise.reject(new Error('lost')) }]) {
    await watch.look(silent);
    assert.is(watch.problem, null);
  }
});

test.run();
