import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { STATUS_PREFIX } from '../objects/stored-keys.js';
import { EmbeddedStore } from '../store/embedded.js';
import { StoreUnavailableError, StoreWriteError } from '../store/errors.js';
import { type AgentStatus, StatusPublisher } from './status.js';

const status = (revision: number, problem?: string): AgentStatus => {
  const known = { revision, ready: problem === undefined, instance: 'x', time: 0 };
  return problem === undefined ? known : { ...known, problem };
};

/** Follows what is written of node `n`; `until` resolves when that many were. */
function follow(store: EmbeddedStore): {
  readonly seen: AgentStatus[];
  until(count: number): Promise<void>;
} {
  const seen: AgentStatus[] = [];
  let wake = (): void => undefined;
  store.watch(STATUS_PREFIX, 0, {
    events: (events) => {
      for (const event of events) if (event.type === 'put') seen.push(JSON.parse(event.entry.value));
      wake();
    },
    lost: () => assert.unreachable(),
  });
  const until = async (count: number): Promise<void> => {
    while (seen.length < count)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  return { seen, until };
}

test('many changes of the revision are one write; trouble is told at once, and so is its end', async () => {
  const store = new EmbeddedStore();
  const { seen, until } = follow(store);
  const publisher = new StatusPublisher(store, 'n', 60_000);
  publisher.publish(status(1));
  await until(1);
  for (let revision = 2; revision < 100; revision++) publisher.publish(status(revision));
  publisher.publish(status(100, 'lost'));
  await until(2);
  publisher.publish(status(101));
  await until(3);
  assert.equal(
    seen.map(({ revision, ready }) => [revision, ready]),
    [
      [1, true],
      [100, false],
      [101, true],
    ],
  );
  await publisher.close();
  await store.close();
});

test('the last revision is told after the pause; what comes while one is written is not lost', async () => {
  const store = new EmbeddedStore();
  const { seen, until } = follow(store);
  const publisher = new StatusPublisher(store, 'n', 20);
  const put = store.put.bind(store);
  let failures = 1;
  store.put = async (key, value) => {
    const revision = (JSON.parse(value) as AgentStatus).revision;
    if (revision === 1) publisher.publish(status(2));
    if (revision === 2 && failures-- > 0) throw new Error('away');
    return put(key, value);
  };
  publisher.publish(status(1));
  await until(2);
  assert.equal(
    seen.map(({ revision }) => revision),
    [1, 2],
  );
  publisher.publish(status(3));
  publisher.publish(status(4));
  await until(3);
  assert.is(seen.at(-1)?.revision, 4);
  await publisher.close();
  await store.close();
});

test('a store that takes no writes is a problem, one that is away is told by others; the status is written once it can be', async () => {
  const store = new EmbeddedStore();
  let failure: Error | null = new StoreWriteError('database space exceeded', { retryable: true });
  let asked = (): void => undefined;
  const refusing = new Proxy(store, {
    get: (of, name) => {
      if (name !== 'put') return Reflect.get(of, name).bind(of);
      asked();
      return failure === null ? of.put.bind(of) : () => Promise.reject(failure);
    },
  });
  const tried = (): Promise<void> => new Promise((resolve) => (asked = resolve));
  const publisher = new StatusPublisher(refusing, 'n');
  let next = tried();
  publisher.publish(status(1));
  await next;
  await Promise.resolve();
  next = tried();
  assert.is(publisher.problem, 'the store takes no writes: database space exceeded');
  failure = new StoreUnavailableError('no answer', 'etcd');
  await next;
  await Promise.resolve();
  next = tried();
  assert.is(publisher.problem, null);
  failure = null;
  await next;
  await publisher.close();
  assert.is(publisher.problem, null);
  assert.ok((await store.get(`${STATUS_PREFIX}n`)) !== null);
  await store.close();
});

test.run();
