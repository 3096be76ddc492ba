import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ApiError } from './errors.js';
import { WorkQueue } from './queue.js';

/** A queue whose work is held until it is let go; `ran` = what it began, in order. */
function held(parallel: number) {
  const ran: string[] = [];
  const logged: string[] = [];
  const waiting: { readonly key: string; readonly end: (error?: Error) => void }[] = [];
  let began: () => void = () => undefined;
  const queue = new WorkQueue({
    name: 'q',
    parallel,
    log: (line) => logged.push(line),
    reconcile: (key) =>
      new Promise((resolve, reject) => {
        ran.push(key);
        waiting.push({ key, end: (error) => (error === undefined ? resolve() : reject(error)) });
        began();
      }),
  });
  const next = async (count: number): Promise<void> => {
    while (ran.length < count)
      await new Promise<void>((resolve) => {
        began = resolve;
      });
  };
  return { queue, ran, logged, waiting, next };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a key is looked at once for all that was added meanwhile, and never twice at a time', async () => {
  const { queue, ran, waiting, next } = held(4);
  queue.add('a');
  queue.add('a');
  queue.add('b');
  await next(2);
  assert.equal(ran, ['a', 'b']);
  queue.add('a');
  queue.add('a');
  await turn();
  assert.equal(ran, ['a', 'b'], 'a still runs');
  waiting[0]?.end();
  await next(3);
  assert.equal(ran, ['a', 'b', 'a']);
  waiting[1]?.end();
  waiting[2]?.end();
  await turn();
  assert.ok(queue.idle);
  await queue.close();
});

test('no more than so many side by side', async () => {
  const { queue, ran, waiting, next } = held(2);
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await next(2);
  await turn();
  assert.is(ran.length, 2);
  waiting[0]?.end();
  await next(3);
  for (const { end } of waiting) end();
  await queue.close();
});

test('what fails is looked at again; a conflict is no news', async () => {
  const { queue, ran, logged, waiting, next } = held(1);
  queue.add('a');
  await next(1);
  waiting[0]?.end(new ApiError('it was changed', 409, { object: 'a' }));
  await next(2);
  assert.equal(logged, []);
  assert.is(queue.idle, false);
  const going = 'unable to create new content in namespace n because it is being terminated';
  waiting[1]?.end(new ApiError(`pods "a" is forbidden: ${going}`, 403, { object: 'a' }));
  await next(3);
  assert.equal(logged, [], 'nor is a namespace that goes');
  waiting[2]?.end(new ApiError('pods "a" is forbidden: no right to do that', 403, { object: 'a' }));
  await next(4);
  assert.match(logged.join(), /^q: a: .*no right/);
  assert.equal(ran, ['a', 'a', 'a', 'a']);
  waiting[3]?.end();
  await turn();
  assert.ok(queue.idle);
  await queue.close();
});

test('close waits for what runs and begins nothing', async () => {
  const { queue, ran, waiting, next } = held(1);
  queue.add('a');
  queue.add('b');
  await next(1);
  const closed = queue.close();
  waiting[0]?.end();
  await closed;
  queue.add('c');
  await turn();
  assert.equal(ran, ['a']);
});

test.run();
