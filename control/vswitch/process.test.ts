/** The program and a real VPP, in a network namespace of the test's. */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { file, program, root, testIf } from '../../test/support/requires.js';
import { installedVpps, vpp } from '../../test/support/vpp.js';
import { readAgentConfig } from '../agent/agent-config.js';
import { openVppDataplane } from '../agent/vpp/open.js';
import { SMALL, withBed } from './fixtures.js';
import { isAlive } from './record.js';
import { segmentFiles } from './startup.js';

const test = suite('vswitch');
const ADDON = file(fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url)));
const it = testIf(test, root(), ADDON, program('nsenter'), vpp());

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !holds(); await wait(10)) {
    if (Date.now() > end) throw new Error('it never was so');
  }
}

const prefixes = vpp() === null && root() === null ? installedVpps().map(({ prefix }) => prefix) : [''];

for (const prefix of prefixes) {
  const on = prefixes.length > 1 ? ` (${prefix})` : '';

  it(`VPP is started, outlives us, is taken over, and started again when it dies${on}`, async () => {
    await withBed(prefix, async (bed) => {
      const first = bed.start('--no-agent');
      await first.said(/VPP .* started, process \d+/);
      await first.said(/\{"ready":true\}/);
      const { record } = bed;
      assert.ok(record !== null && isAlive(record));

      const { vpp: config } = readAgentConfig(bed.config);
      assert.ok(config !== null);
      const backend = await openVppDataplane(config, () => undefined);
      assert.equal(backend.missing, [], 'the plugins that are loaded are all the backend uses');
      await backend.close();

      const second = bed.start('--no-agent');
      await second.said(/a pteropus vswitch runs here already: end it first/);

      assert.is(await bed.end(first.child), 0);
      assert.ok(isAlive(record), 'it goes on');
      const next = bed.start('--no-agent');
      await next.said(new RegExp(`VPP .* goes on, process ${record.pid}`));
      assert.equal(bed.record, record);

      process.kill(record.pid, 'SIGABRT');
      const gone = await next.said(/VPP is gone: it ended/);
      // Some releases tell signals to syslog alone.
      if (bed.log().includes('received signal')) assert.match(gone, /; by its log: SIGABRT, in \w+/);
      await next.said(/VPP .* started, process \d+/);
      const after = bed.record;
      assert.ok(after !== null && isAlive(after) && after.pid !== record.pid);

      // Without a chance to say anything: the VPP stays, and nobody else's is started.
      await bed.end(next.child, 'SIGKILL');
      const last = bed.start('--no-agent');
      await last.said(new RegExp(`goes on, process ${after.pid}`));
      assert.is(await bed.end(last.child), 0);
      assert.is(await bed.run('--stop'), 0);
      await until(() => !isAlive(after));
      for (const path of segmentFiles(bed)) assert.not(existsSync(path), path);
      assert.is(bed.record, null);
    });
  });
}

it('a VPP that does not answer any more is killed, and another one started', async () => {
  await withBed(prefixes[0] ?? '', async (bed) => {
    bed.configure({ stuckSeconds: 1, endsWithUs: true });
    const { child, said } = bed.start('--no-agent');
    await said(/VPP .* started/);
    await said(/\{"ready":true\}/);
    const stuck = bed.record;
    assert.ok(stuck !== null);
    process.kill(stuck.pid, 'SIGSTOP');
    await said(/VPP is gone: it was killed: it is stuck/);
    await said(/VPP .* started/);
    assert.not(isAlive(stuck));
    const now = bed.record;
    assert.is(await bed.end(child), 0);
    assert.ok(now !== null && !isAlive(now), 'it ends with us, as configured');
  });
});

it('another configuration does not stop a VPP that runs, unless --restart says so', async () => {
  await withBed(prefixes[0] ?? '', async (bed) => {
    const first = bed.start('--no-agent');
    await first.said(/ready/);
    const { record } = bed;
    await bed.end(first.child);
    bed.configure({ startup: { ...SMALL, buffers: 16_384, segment: bed.segment } });
    const second = bed.start('--no-agent');
    await second.said(/started with another configuration/);
    assert.equal(bed.record, record);
    await bed.end(second.child);
    const third = bed.start('--no-agent', '--restart');
    await third.said(/VPP .* started/);
    assert.is.not(bed.record?.pid, record?.pid);
  });
});

it('a VPP that cannot start says why, once', async () => {
  await withBed(prefixes[0] ?? '', async (bed) => {
    bed.configure({ startup: { ...SMALL, segment: bed.segment, extra: 'nonsense { }' } });
    const { child, said } = bed.start('--no-agent');
    await said(/VPP does not start: .*nonsense/);
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.is(code, 3);
    assert.is(bed.record, null);
  });
});

it('the agent runs beside it, and ends with us', async () => {
  await withBed(prefixes[0] ?? '', async (bed) => {
    const { child, said } = bed.start();
    await said(/VPP .* started/);
    await until(() => existsSync(join(bed.dir, 'cni.sock')));
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
    assert.ok(children.length >= 2);
    await bed.end(child, 'SIGKILL');
    await until(() => {
      const agents = children.filter((pid) => existsSync(`/proc/${pid}`) && Number(pid) !== bed.record?.pid);
      return agents.length === 0;
    });
    assert.ok(bed.record !== null && isAlive(bed.record));
  });
});

test.run();
