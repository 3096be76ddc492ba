import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LookAhead } from './look-ahead.js';

/** The turn of the event loop after everything that waits now. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('works until nothing is left, after what waits already, and again when woken', async () => {
  let left = 3;
  const log: string[] = [];
  const ahead = new LookAhead(() => {
    log.push(`piece ${left}`);
    return --left > 0;
  });
  setImmediate(() => log.push('event'));
  ahead.wake();
  ahead.wake();
  await turn();
  assert.equal(log, ['event', 'piece 3', 'piece 2', 'piece 1']);
  left = 1;
  ahead.wake();
  await turn();
  assert.equal(log.at(-1), 'piece 1');
  ahead.close();
});

test('says so each time that nothing is left', async () => {
  let left = 2;
  let done = 0;
  const ahead = new LookAhead(
    () => --left > 0,
    () => done++,
  );
  ahead.wake();
  assert.is(done, 0);
  await turn();
  assert.is(done, 1);
  ahead.wake();
  await turn();
  assert.is(done, 2);
  ahead.wake();
  ahead.close();
  await turn();
  assert.is(done, 2);
});

test('lets others have their turn when there is much to do', async () => {
  let pieces = 0;
  const ahead = new LookAhead(() => {
    pieces++;
    for (const end = performance.now() + 1; performance.now() < end; );
    return pieces < 20;
  });
  ahead.wake();
  await turn();
  const first = pieces;
  assert.ok(first > 0 && first < 20);
  while (pieces < 20) await turn();
  ahead.close();
});

test('does nothing once closed', async () => {
  let pieces = 0;
  const ahead = new LookAhead(() => {
    pieces++;
    return true;
  });
  ahead.wake();
  ahead.close();
  ahead.wake();
  await turn();
  assert.is(pieces, 0);
});

test.run();
