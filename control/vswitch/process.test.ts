/** The program and a real VPP, in a network namespace of the test's. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../native/index.js';
import { file, program, root, testIf } from '../../test/support/requires.js';
import { installedVpps, vpp } from '../../test/support/vpp.js';
import { isAlive, readRecord } from './record.js';
import { segmentFiles } from './startup.js';

const test = suite('vswitch');
const PTEROPUS = fileURLToPath(new URL('../../../../bin/pteropus.mjs', import.meta.url));
const ADDON = file(fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url)));
const it = testIf(test, root(), ADDON, program('nsenter'), vpp());

/** A small VPP that shares its core with others. */
const SMALL = { heap: '256M', buffers: 8192, statsBytes: '32M', sleepMicros: 100 };

let made = 0;

class Bed {
  readonly dir = mkdtempSync(join(tmpdir(), 'pteropusW-'));
  readonly segment = `pteropusW-${process.pid}-${made++}`;
  readonly config = join(this.dir, 'agent.json');
  readonly #name = this.segment;
  readonly #children: ChildProcess[] = [];

  constructor(readonly prefix: string) {
    loadNative().createNetns(this.#name).close();
  }

  configure(vppPart: object = {}): void {
    const startup = { ...SMALL, segment: this.segment };
    const part = { prefix: this.prefix, runDir: join(this.dir, 'run'), startup, ...vppPart };
    const config = {
      node: 'n1',
      store: join(this.dir, 'store.sock'),
      cni: join(this.dir, 'cni.sock'),
      rest: null,
    };
    const others = { journal: join(this.dir, 'journal.json'), mirror: null, uplink: 'eth1', backend: 'vpp' };
    writeFileSync(this.config, JSON.stringify({ ...config, ...others, vpp: part }));
  }

  get record() {
    return readRecord(join(this.dir, 'run/vswitch.json'));
  }

  /** Starts the program. `said`: a line it says, on either stream; each once. */
  start(...options: string[]): {
    readonly child: ChildProcess;
    readonly said: (pattern: RegExp) => Promise<string>;
  } {
    const argv = [`--net=/run/netns/${this.#name}`, '--', process.execPath, PTEROPUS, 'vswitch'];
    const child = spawn('nsenter', [...argv, '--config', this.config, ...options], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#children.push(child);
    const lines: string[] = [];
    const waiting = new Set<() => void>();
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        for (const look of waiting) look();
      });
    }
    const said = (pattern: RegExp): Promise<string> =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`not said: ${pattern}; but ${lines.join(' | ')}`)),
          60_000,
        );
        const look = (): void => {
          const at = lines.findIndex((line) => pattern.test(line));
          if (at < 0) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve(lines.splice(at, 1)[0] ?? '');
        };
        waiting.add(look);
        look();
      });
    return { child, said };
  }

  async run(...options: string[]): Promise<number | null> {
    const { child } = this.start(...options);
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  }

  async end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const gone = once(child, 'exit');
    child.kill(signal);
    const [code] = (await gone) as [number | null];
    return code;
  }

  async close(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode === null && child.signalCode === null) await this.end(child, 'SIGKILL');
    }
    await this.run('--stop');
    loadNative().deleteNetns(this.#name);
    for (const path of [this.dir, ...segmentFiles({ segment: this.segment })]) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

async function withBed(prefix: string, body: (bed: Bed) => Promise<void>): Promise<void> {
  const bed = new Bed(prefix);
  try {
    bed.configure();
    await body(bed);
  } finally {
    await bed.close();
  }
}

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

      const second = bed.start('--no-agent');
      await second.said(/another process listens here/);

      assert.is(await bed.end(first.child), 0);
      assert.ok(isAlive(record), 'it goes on');
      const next = bed.start('--no-agent');
      await next.said(new RegExp(`VPP .* goes on, process ${record.pid}`));
      assert.equal(bed.record, record);

      process.kill(record.pid, 'SIGKILL');
      await next.said(/VPP is gone: it ended/);
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
