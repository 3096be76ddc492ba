import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AgentBusyError, AgentNotReadyError } from './errors.js';
import { type AgentEvent, EventLoop } from './loop.js';

function recorder(): {
  readonly log: string[];
  event: (name: string, body?: AgentEvent<void>['run']) => AgentEvent<void>;
} {
  const log: string[] = [];
  return {
    log,
    event: (name, body) => ({
      name,
      object: null,
      run: async (tx) => {
        log.push(name);
        await body?.(tx);
      },
    }),
  };
}

test('one by one, follow-ups ahead of what waits', async () => {
  const { log, event } = recorder();
  const loop = new EventLoop(() => undefined);
  await Promise.all([
    loop.push(
      event('a', async (tx) => {
        tx.followUp(event('a1', async (inner) => inner.followUp(event('a1x'))));
        tx.followUp(event('a2'));
        await new Promise((resolve) => setImmediate(resolve));
        log.push('a ends');
      }),
    ),
    loop.push(event('b')),
  ]);
  assert.equal(log, ['a', 'a ends', 'a1', 'a1x', 'a2', 'b']);
  assert.equal(
    loop.history.map(({ seq, name, follows }) => [seq, name, follows]),
    [
      [1, 'a', null],
      [2, 'a1', 1],
      [3, 'a1x', 2],
      [4, 'a2', 1],
      [5, 'b', null],
    ],
  );
  await loop.close();
});

test('a failed event is undone, last step first; its caller and the record get the error', async () => {
  const failures: string[] = [];
  const loop = new EventLoop((event, error) => failures.push(`${event.name}: ${String(error)}`));
  const undone: string[] = [];
  const failing = loop.push({
    name: 'add',
    object: 'shop/web',
    run: async (tx) => {
      tx.changed(['+a']);
      tx.onRevert(() => {
        undone.push('first');
      });
      tx.onRevert(() => Promise.reject(new Error('cannot')));
      tx.onRevert(async () => {
        await Promise.resolve();
        undone.push('third');
      });
      throw new Error('no room');
    },
  });
  const after = loop.push({ name: 'next', object: null, run: async () => undone.join() });
  await failing.then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.message, 'no room'),
  );
  assert.is(await after, 'third,first', 'undone before the next event began');
  const [record] = loop.history;
  assert.ok(record?.reverted);
  assert.is(record?.error, 'no room; undoing it failed: cannot');
  assert.equal(record?.changes, ['+a']);
  assert.ok(record !== undefined && record.end >= record.start);
  assert.equal(failures, ['add: Error: no room']);
  await loop.close();
});

test('closing finishes what runs, refuses what waits and what comes', async () => {
  const { log, event } = recorder();
  const loop = new EventLoop(() => undefined);
  let release = (): void => undefined;
  const running = loop.push(
    event(
      'runs',
      () =>
        new Promise((resolve) => {
          release = resolve;
        }),
    ),
  );
  await new Promise((resolve) => setImmediate(resolve));
  const waiting = loop.push(event('waits'));
  const closing = loop.close();
  const late = loop.push(event('late'));
  release();
  await Promise.all([running, closing]);
  for (const refused of [waiting, late]) {
    await refused.then(
      () => assert.unreachable(),
      (error: Error) => assert.instance(error, AgentNotReadyError),
    );
  }
  assert.equal(log, ['runs']);
});

test('a queue that is full takes no more, and says that it passes', async () => {
  const loop = new EventLoop(() => undefined);
  const event = { name: 'CNI ADD', object: null, run: () => Promise.resolve() };
  const taken = Array.from({ length: 1000 }, () => loop.push(event));
  await loop.push(event).then(
    () => assert.unreachable(),
    (error: Error) => assert.ok(error instanceof AgentBusyError && error.retryable),
  );
  await Promise.all(taken);
  await loop.push(event);
});

test('of older events the failures stay, and long lists of changes are cut', async () => {
  const loop = new EventLoop(() => undefined);
  const fail = loop.push({ name: 'bad', object: null, run: () => Promise.reject(new Error('no')) });
  await fail.catch(() => undefined);
  for (let i = 0; i < 1100; i++) {
    const keys = i < 1099 ? [] : Array.from({ length: 1500 }, (_, n) => `+${n}`);
    await loop.push({ name: 'fine', object: null, run: (tx) => Promise.resolve(tx.changed(keys)) });
  }
  const [first] = loop.history;
  const last = loop.history.at(-1);
  assert.is(loop.history.length, 1001);
  assert.is(first?.name, 'bad');
  assert.is(last?.changes.length, 200);
  assert.is(last?.changed, 1500);
});

test('the history holds the last thousand', async () => {
  const { event } = recorder();
  const loop = new EventLoop(() => undefined);
  for (let i = 0; i < 1100; i++) await loop.push(event(`${i}`));
  assert.is(loop.history.length, 1000);
  assert.is(loop.history[0]?.seq, 101);
  await loop.close();
});

test('how long an event runs is not told by the clock, which may be set meanwhile', async () => {
  const loop = new EventLoop(() => undefined);
  const now = Date.now;
  try {
    await loop.push({
      name: 'clock',
      object: null,
      run: () => {
        Date.now = () => now() - 3_600_000;
        assert.ok((loop.running?.milliseconds ?? -1) >= 0);
        return Promise.resolve();
      },
    });
    const [{ start, end } = { start: 0, end: -1 }] = loop.history;
    assert.ok(end >= start && end < start + 60_000);
  } finally {
    Date.now = now;
  }
});

test.run();
