import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { root, testIf } from '../../../test/support/requires.js';
import { STATE_ROOT } from './names.js';
import {
  ClusterRunningError,
  claim,
  isAlive,
  readOwner,
  release,
  startTime,
  withStateLock,
} from './owner.js';

const cluster = `x-owner-${process.pid}`;

test('a process is known by pid and start time', async () => {
  const own = startTime(process.pid);
  assert.type(own, 'string');
  assert.ok(isAlive({ pid: process.pid, started: own! }));
  assert.not.ok(isAlive({ pid: process.pid, started: '1' }));
  const child = spawn('sleep', ['30']);
  const started = startTime(child.pid!);
  assert.ok(isAlive({ pid: child.pid!, started: started! }));
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.not.ok(isAlive({ pid: child.pid!, started: started! }));
});

testIf(test, root())('a claimed cluster cannot be claimed by another', async () => {
  const other = spawn('sleep', ['30']);
  try {
    await once(other, 'spawn');
    mkdirSync(join(STATE_ROOT, '.owners'), { recursive: true });
    const record = { pid: other.pid, started: startTime(other.pid!) };
    writeFileSync(join(STATE_ROOT, '.owners', `${cluster}.json`), JSON.stringify(record));
    assert.throws(
      () => claim(cluster),
      (error: unknown) => error instanceof ClusterRunningError,
    );
    other.kill('SIGKILL');
    await once(other, 'exit');
    claim(cluster);
    assert.is(readOwner(cluster)?.pid, process.pid);
  } finally {
    other.kill('SIGKILL');
    release(cluster);
  }
  assert.is(readOwner(cluster), null);
});

testIf(test, root())('the state lock lets one in at a time', async () => {
  const order: string[] = [];
  const body = (name: string) => async () => {
    order.push(`${name} in`);
    await new Promise((resolve) => setImmediate(resolve));
    order.push(`${name} out`);
  };
  await Promise.all([withStateLock(body('a')), withStateLock(body('b'))]);
  assert.is(order.length, 4);
  assert.is(order[0]!.slice(0, 1), order[1]!.slice(0, 1));
  assert.is(order[2]!.slice(0, 1), order[3]!.slice(0, 1));
});

test.run();
