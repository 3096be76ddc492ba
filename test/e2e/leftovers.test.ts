/** kill -9 of a cluster's owner leaves no process running, and the next start removes all the rest. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanLeftovers } from '../../control/sim/afxdp/leftovers.js';
import { STATE_ROOT } from '../../control/sim/afxdp/names.js';
import { readOwner } from '../../control/sim/afxdp/owner.js';
import { loadNative } from '../../native/index.js';
import { testIf } from '../support/requires.js';
import { netnsNames, processesWith, run, until } from './support/kernel.js';
import { requirements } from './support/needs.js';

const HOLD = fileURLToPath(new URL('./support/hold.js', import.meta.url));

/** Starts the holder and resolves when it printed `line`, plus `extraMs`. */
async function holdUntil(cluster: string, line: string, extraMs: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [HOLD, cluster], { stdio: ['ignore', 'pipe', 'inherit'] });
  const seen = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout! }).on('line', (text) => {
      if (text === line) resolve();
    });
    child.once('exit', (code) => reject(new Error(`the holder ended with code ${code} before "${line}"`)));
  });
  await seen;
  await new Promise((resolve) => setTimeout(resolve, extraMs));
  return child;
}

function assertNothingLeft(cluster: string): void {
  assert.equal(netnsNames(`pteropus-${cluster}-`), []);
  assert.not.ok(existsSync(join(STATE_ROOT, cluster)), 'the state folder is gone');
  assert.is(readOwner(cluster), null);
  assert.not.ok(run('ip', '-o', 'link').includes(cluster), 'no link in the own namespace');
}

const moments: readonly { readonly line: string; readonly extraMs: number }[] = [
  { line: 'starting', extraMs: 5 },
  { line: 'starting', extraMs: 60 },
  { line: 'starting', extraMs: 400 },
  { line: 'started', extraMs: 30 },
  { line: 'started', extraMs: 200 },
  { line: 'pods', extraMs: 0 },
];

moments.forEach(({ line, extraMs }, index) => {
  testIf(test, ...requirements())(`killed ${extraMs} ms after "${line}"`, async () => {
    const cluster = `x-left-${process.pid}-${index}`;
    const links = run('ip', '-o', 'link');
    const child = await holdUntil(cluster, line, extraMs);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await until('every process of the cluster ends', 3000, () =>
      processesWith(cluster).length === 0 ? true : null,
    ).catch((error: Error) => {
      throw new Error(`${error.message}: ${processesWith(cluster).join('; ')}`);
    });
    await cleanLeftovers(loadNative());
    assertNothingLeft(cluster);
    assert.is(run('ip', '-o', 'link').split('\n').length, links.split('\n').length);
  });
});

testIf(test, ...requirements())('a name starts anew after a kill, beside its new supervisor', async () => {
  const cluster = `x-anew-${process.pid}`;
  const first = await holdUntil(cluster, 'pods', 0);
  first.kill('SIGKILL');
  await once(first, 'exit');
  // A supervisor listens before its cluster starts.
  const socket = join(STATE_ROOT, cluster, 'control.sock');
  writeFileSync(socket, '');
  const second = await holdUntil(cluster, 'pods', 0);
  try {
    assert.ok(existsSync(socket));
    assert.is(netnsNames(`pteropus-${cluster}-pod_`).length, 3);
  } finally {
    second.kill('SIGKILL');
    await once(second, 'exit');
    await cleanLeftovers(loadNative());
  }
  assertNothingLeft(cluster);
});

testIf(test, ...requirements())(
  'a living cluster is not touched, also one whose name begins alike',
  async () => {
    const cluster = `x-live-${process.pid}`;
    const living = await holdUntil(`${cluster}-pod`, 'started', 0);
    const dying = await holdUntil(cluster, 'started', 0);
    try {
      dying.kill('SIGKILL');
      await once(dying, 'exit');
      assert.ok((await cleanLeftovers(loadNative())).includes(cluster));
      // Underlay, outside and two nodes; pods are being added meanwhile.
      const infrastructure = netnsNames(`pteropus-${cluster}-pod-`).filter((name) => !name.includes('-pod_'));
      assert.is(infrastructure.length, 4);
      assert.ok(existsSync(join(STATE_ROOT, `${cluster}-pod`)));
    } finally {
      living.kill('SIGKILL');
      await once(living, 'exit');
      await cleanLeftovers(loadNative());
    }
    assertNothingLeft(cluster);
  },
);

test.run();
