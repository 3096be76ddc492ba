import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EmbeddedStore } from '../store/embedded.js';
import { NotSettledError, STATUS_PREFIX, StatusBoard } from './status-board.js';

const report = (store: EmbeddedStore, node: string, revision: number): Promise<number> =>
  store.put(`${STATUS_PREFIX}${node}`, JSON.stringify({ revision, ready: true, time: 0 }));

test('settled waits for the last node', async () => {
  const store = new EmbeddedStore();
  const board = new StatusBoard(store, ['a', 'b']);
  let done = false;
  const settled = board.settled(5).then(() => {
    done = true;
  });
  await report(store, 'a', 7);
  await report(store, 'b', 4);
  await new Promise((resolve) => setImmediate(resolve));
  assert.not.ok(done);
  await report(store, 'b', 5);
  await settled;
  await board.settled(5);
  board.close();
  await store.close();
});

test('a node that does not come is named', async () => {
  const store = new EmbeddedStore();
  const board = new StatusBoard(store, ['a', 'b'], 20);
  await report(store, 'a', 9);
  await board.settled(9).then(
    () => assert.unreachable(),
    (error: unknown) => {
      assert.instance(error, NotSettledError);
      assert.match((error as Error).message, /b is at nothing/);
      assert.not.match((error as Error).message, /a is at/);
    },
  );
  board.close();
  await store.close();
});

test.run();
