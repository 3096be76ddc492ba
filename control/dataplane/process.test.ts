/** The data plane as a process: served over its socket, lost when it goes, gone when its parent goes. Needs root. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../native/index.js';
import * as items from '../../test/backends/items.js';
import { makeLink, makeNetns } from '../../test/backends/xdp-rig.js';
import { file, root, testIf } from '../../test/support/requires.js';
import { openRemoteBackend, type RemoteBackend } from '../backends/wasm/remote.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const program = fileURLToPath(new URL('../../../../bin/pteropus.mjs', import.meta.url));
const it = testIf(test, root(), file(addon));

interface Running {
  readonly child: ChildProcess;
  readonly socket: string;
  readonly backend: RemoteBackend;
}

async function withProcess(body: (running: Running) => Promise<void>): Promise<void> {
  const native = loadNative();
  const netns = makeNetns(native);
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-dataplane-'));
  const socket = join(dir, 'dataplane.sock');
  makeLink(netns, items.uplinkLink(1));
  makeLink(netns, items.hostLink(1));
  const child = spawn(
    process.execPath,
    [
      program,
      'dataplane',
      '--socket',
      socket,
      '--netns',
      netns.path,
      '--sessions',
      '4096',
      '--die-with-stdin',
    ],
    { stdio: ['pipe', 'inherit', 'ignore'] },
  );
  try {
    const backend = await openRemoteBackend(socket);
    await body({ child, socket, backend });
    await backend.close();
  } finally {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    native.deleteNetns(netns.path.slice(netns.path.lastIndexOf('/') + 1));
    netns.close();
    rmSync(dir, { recursive: true });
  }
}

it('keeps what it was told while agents come and go', () =>
  withProcess(async ({ socket, backend }) => {
    assert.is(statSync(socket).mode & 0o777, 0o600);
    const wanted = items.nodeItems(1);
    const results = await backend.apply(wanted.map((item) => ({ type: 'add', key: item.key, item })));
    assert.equal(
      results.filter(({ error }) => error !== null),
      [],
    );
    await backend.close();
    const next = await openRemoteBackend(socket);
    const dump = await next.dump();
    assert.equal([...dump.keys()].sort(), wanted.map(({ key }) => key).sort());
    for (const item of wanted) assert.equal(dump.get(item.key), item);
    const uplink = (await next.counters()).interfaces[items.UPLINK];
    assert.is(uplink?.mode, 'native');
    assert.match(uplink?.sends ?? '', /^(batch|xdp)$/);
    const trace = await next.trace({ protocol: 6 });
    assert.equal(await trace.stop(), []);
    assert.is((await next.status()).restarts, 0);
    await next.close();
  }));

it('a node with hardly anything in it takes hardly any memory', () =>
  withProcess(async ({ child, backend }) => {
    await backend.apply(items.nodeItems(1).map((item) => ({ type: 'add', key: item.key, item })));
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    const resident = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
    // 90 MiB as this is written; images of fixed size and huge pages took 60 more.
    assert.ok(resident > 16 && resident < 135, `${resident} MiB`);
  }));

it('a link that is not there is named, and nothing is in force', () =>
  withProcess(async ({ backend }) => {
    const wanted = [...items.nodeItems(1), ...items.podItems(1, 1, 'ghost')];
    const results = await backend.apply(wanted.map((item) => ({ type: 'add', key: item.key, item })));
    const blamed = results.find(({ key }) => key === items.podKey('ghost'))?.error;
    assert.is(blamed?.name, 'PortError');
    assert.match(blamed?.message ?? '', items.podLink(1, 'ghost'));
    assert.is((await backend.dump()).size, 0);
    const again = await backend.apply(
      items.nodeItems(1).map((item) => ({ type: 'add', key: item.key, item })),
    );
    assert.equal(
      again.filter(({ error }) => error !== null),
      [],
    );
  }));

it('the client hears when the process goes', () =>
  withProcess(async ({ child, backend }) => {
    child.kill('SIGKILL');
    const reason = await backend.lost;
    assert.is(reason.name, 'DataPlaneLostError');
    try {
      await backend.dump();
      assert.unreachable();
    } catch (error) {
      assert.is((error as Error).name, 'DataPlaneLostError');
    }
  }));

it('ends when its parent closes its standard input', () =>
  withProcess(async ({ child }) => {
    child.stdin?.end();
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.is(code, 0);
  }));

test.run();
