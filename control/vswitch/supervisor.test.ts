/** Supervision without VPP: a program that does nothing stands in for it, and its end is what its connection tells. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { file, testIf } from '../../test/support/requires.js';
import { VppConnectError } from '../backends/vpp/api/errors.js';
import type { Answers } from './connection.js';
import { ForeignVppError, VppStartError } from './errors.js';
import { isAlive, readRecord } from './record.js';
import { startupFiles } from './startup.js';
import { Supervisor } from './supervisor.js';
import { VppProcess, type VppProcessSpec } from './vpp-process.js';

const test = suite('supervision');
const it = testIf(test, file('/proc/self/stat'), file('/bin/sh'));

class Bed {
  readonly dir = mkdtempSync(join(tmpdir(), 'pteropus-supervisor-'));
  readonly files = startupFiles({ runDir: this.dir });
  readonly lines: string[] = [];
  /** Somebody answers on the socket, whoever it is. */
  foreign = false;
  /** What we start never gets so far as to answer. */
  silent = false;
  #stick: (() => void)[] = [];
  readonly #supervisors: Supervisor[] = [];

  /** `body`: of the shell script that is VPP. */
  spec(body = 'exec sleep 600', configuration = 'a'): VppProcessSpec {
    const binary = join(this.dir, 'vpp');
    writeFileSync(binary, `#!/bin/sh\n${body}\n`);
    chmodSync(binary, 0o700);
    const startup = { config: configuration, commands: '' };
    const others = { apiDir: null, segment: `pteropus-none-${process.pid}`, stuckSeconds: 1 };
    return {
      binary,
      startup,
      files: this.files,
      socket: join(this.dir, 'api.sock'),
      ...others,
      connect: this.connect,
    };
  }

  get record() {
    return readRecord(this.files.record);
  }

  /** What is connected to says that it does not answer any more. */
  stick(): void {
    for (const stick of this.#stick.splice(0)) stick();
  }

  readonly connect: Answers = async () => {
    const { record } = this;
    const alive = !this.silent && record !== null && isAlive(record);
    if (!alive && !this.foreign) throw new VppConnectError('no such socket', { retryable: true });
    let close = (): void => undefined;
    const closed = new Promise<{ text: string; stuck: boolean }>((resolve) => {
      close = () => resolve({ text: 'closed', stuck: false });
    });
    const stuck = new Promise<{ text: string; stuck: boolean }>((resolve) => {
      this.#stick.push(() => resolve({ text: 'it is stuck', stuck: true }));
    });
    const gone = (async () => {
      while (record !== null && isAlive(record)) await wait(5);
      return { text: 'connection lost', stuck: false };
    })();
    return {
      ...{ version: '99.99', pid: record?.pid ?? 0, ended: Promise.race([closed, stuck, gone]) },
      close: async () => close(),
    };
  };

  async supervise(spec = this.spec(), endsWithUs = true): Promise<Supervisor> {
    const log = (line: string): void => {
      this.lines.push(line);
    };
    const obtain = (): Promise<VppProcess> => VppProcess.obtain(spec, log);
    const supervisor = await Supervisor.start({ obtain, endsWithUs, log, pauses: { first: 5, most: 20 } });
    this.#supervisors.push(supervisor);
    return supervisor;
  }

  async said(pattern: RegExp): Promise<void> {
    for (const end = Date.now() + 10_000; !this.lines.some((line) => pattern.test(line)); await wait(5)) {
      if (Date.now() > end) throw new Error(`not said: ${pattern}; but ${this.lines.join(' | ')}`);
    }
  }

  /** Also after a test that failed: a supervisor would go on for ever. */
  async close(): Promise<void> {
    for (const supervisor of this.#supervisors) await supervisor.close();
    await VppProcess.stop(this.files, 'none');
    rmSync(this.dir, { recursive: true });
  }
}

async function withBed(body: (bed: Bed) => Promise<void>): Promise<void> {
  const bed = new Bed();
  try {
    await body(bed);
  } finally {
    await bed.close();
  }
}

it('one that dies is followed by another, which is known to whoever comes next', async () => {
  await withBed(async (bed) => {
    const supervisor = await bed.supervise();
    const first = bed.record;
    assert.ok(first !== null && isAlive(first));
    assert.is(readFileSync(bed.files.config, 'utf8'), 'a');
    process.kill(first.pid, 'SIGKILL');
    await bed.said(/VPP is gone: it ended: connection lost/);
    while (supervisor.restarts < 1) await wait(5);
    const second = bed.record;
    assert.ok(second !== null && isAlive(second) && second.pid !== first.pid);
    await supervisor.close();
    assert.not(isAlive(second), 'it ended with us');
    assert.is(bed.record, null);
  });
});

it('one that outlives us is taken over, with its configuration', async () => {
  await withBed(async (bed) => {
    const first = await bed.supervise(bed.spec(), false);
    const { record } = bed;
    await first.close();
    assert.ok(record !== null && isAlive(record));
    const again = await bed.supervise(bed.spec('exec sleep 600', 'b'), false);
    assert.equal(bed.record, record);
    assert.is(again.vpp?.adopted, true);
    await bed.said(/started with another configuration/);
    await again.close();
    assert.is(await VppProcess.stop(bed.files, 'none'), true);
    assert.is(await VppProcess.stop(bed.files, 'none'), false, 'there is none');
    assert.not(isAlive(record));
  });
});

it('one that is stuck is killed', async () => {
  await withBed(async (bed) => {
    const supervisor = await bed.supervise();
    const first = bed.record;
    bed.stick();
    await bed.said(/VPP is gone: it was killed: it is stuck/);
    while (supervisor.restarts < 1) await wait(5);
    assert.ok(first !== null && !isAlive(first));
    await supervisor.close();
  });
});

it('one that somebody else started is refused, and left alone', async () => {
  await withBed(async (bed) => {
    bed.foreign = true;
    try {
      await bed.supervise();
      assert.unreachable();
    } catch (error) {
      assert.instance(error, ForeignVppError);
    }
    assert.not(existsSync(bed.files.config));
  });
});

it('one that cannot start is not tried again at first, and says why', async () => {
  await withBed(async (bed) => {
    bed.silent = true;
    try {
      await bed.supervise(bed.spec('echo no memory >&2; exit 7'));
      assert.unreachable();
    } catch (error) {
      assert.instance(error, VppStartError);
      assert.match(String(error), /exit code 7; its log ends with: no memory/);
    }
    assert.is(bed.record, null);
    try {
      await bed.supervise({ ...bed.spec(), binary: join(bed.dir, 'nothing') });
      assert.unreachable();
    } catch (error) {
      assert.match(String(error), /VPP does not start: .*ENOENT/);
    }
  });
});

it('one that cannot start again is tried until it can', async () => {
  await withBed(async (bed) => {
    const spec = bed.spec(`if [ -e ${join(bed.dir, 'broken')} ]; then exit 1; fi; exec sleep 600`);
    const supervisor = await bed.supervise(spec);
    writeFileSync(join(bed.dir, 'broken'), '');
    bed.silent = true;
    process.kill(bed.record?.pid ?? 0, 'SIGKILL');
    await bed.said(/VPP does not start: exit code 1/);
    rmSync(join(bed.dir, 'broken'));
    bed.silent = false;
    while (supervisor.restarts < 1) await wait(5);
    assert.ok(supervisor.vpp !== null);
    await supervisor.close();
  });
});

it('an end that is asked for while it starts again leaves nothing behind', async () => {
  await withBed(async (bed) => {
    const supervisor = await bed.supervise();
    process.kill(bed.record?.pid ?? 0, 'SIGKILL');
    await bed.said(/VPP is gone/);
    await supervisor.close();
    const { record } = bed;
    assert.ok(record === null || !isAlive(record));
  });
});

test.run();
