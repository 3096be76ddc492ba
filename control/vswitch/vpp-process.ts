/**
 * The VPP of this node as a process: taken over if it runs, else started. It is in a session of its own and writes its log itself, so
 * that it goes on when we end: traffic does not notice a new version of ours.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { errorText } from '../common/errors.js';
import { type Answers, type Connection, connectTo } from './connection.js';
import { ForeignVppError, VppStartError } from './errors.js';
import { lastWords } from './last-words.js';
import {
  fingerprint,
  isAlive,
  readRecord,
  recordOf,
  removeRecord,
  type VppRecord,
  writeRecord,
} from './record.js';
import { type Startup, type StartupFiles, segmentFiles } from './startup.js';

export interface VppProcessSpec {
  /** Program file. */
  readonly binary: string;
  readonly startup: Startup;
  readonly files: StartupFiles;
  /** API socket. */
  readonly socket: string;
  /** Folder of the API files; null = wherever they are. */
  readonly apiDir: string | null;
  /** Start of its files' names in /dev/shm. */
  readonly segment: string;
  /** Seconds without an answer after which it is taken for stuck; 0 = never. */
  readonly stuckSeconds: number;
  /** Instead of a real connection, for tests. */
  readonly connect?: Answers;
}

/** How long a VPP may take until it answers: a cold disk has a hundred megabytes to read. */
const READY_MS = 60_000;
const POLL_MS = 20;
/** What is asked to end and does not is killed. */
const GRACE_MS = 5000;
/** Of its log, looked at when it died. */
const END_BYTES = 32 * 1024;

export class VppProcess {
  private constructor(
    private readonly spec: VppProcessSpec,
    readonly record: VppRecord,
    private readonly connection: Connection,
    /** It ran before us. */
    readonly adopted: boolean,
  ) {
    this.#logged = sizeOf(spec.files.log);
    this.ended = this.#watch();
  }

  /** Resolves with the reason when it is gone, or was stuck and has been killed. Never rejects. */
  readonly ended: Promise<string>;
  #given = false;
  /** Bytes of its log that were there before: other runs append to the same file. */
  readonly #logged: number;

  get version(): string {
    return this.connection.version;
  }

  /** Whether it was started with the configuration it would be started with now. */
  get current(): boolean {
    return this.record.configuration === fingerprint(this.spec.startup);
  }

  /** Throws VppStartError with the end of its log, ForeignVppError. */
  static async obtain(spec: VppProcessSpec, log: (line: string) => void): Promise<VppProcess> {
    const connect = spec.connect ?? connectTo;
    const record = readRecord(spec.files.record);
    if (record !== null && isAlive(record)) {
      try {
        return new VppProcess(spec, record, await connect(spec, READY_MS), true);
      } catch (error) {
        log(`VPP runs (process ${record.pid}) and does not answer: ${errorText(error)}; it is killed`);
        await endProcess(record, 'SIGKILL');
      }
    } else {
      await refuseForeign(spec, connect);
    }
    return await start(spec, connect);
  }

  /** Ends a VPP that runs, if one does that we started. True: one did. */
  static async stop(files: StartupFiles, segment: string): Promise<boolean> {
    const record = readRecord(files.record);
    const running = record !== null && isAlive(record);
    if (running) await endProcess(record, 'SIGTERM');
    sweep(files, segment);
    return running;
  }

  /** Asks it to end, and waits until it is gone. */
  async stop(): Promise<void> {
    this.#given = true;
    await this.connection.close();
    await endProcess(this.record, 'SIGTERM');
    sweep(this.spec.files, this.spec.segment);
  }

  /** Leaves it to itself; only our connection to it ends. */
  async leave(): Promise<void> {
    this.#given = true;
    await this.connection.close();
  }

  async #watch(): Promise<string> {
    const reason = await this.connection.ended;
    if (this.#given) return 'it is no longer ours';
    // The socket goes before the process does; one that hangs in between is no use to anybody.
    const died = await goneWithin(this.record, reason.stuck ? 0 : GRACE_MS);
    if (!died) await endProcess(this.record, 'SIGKILL');
    sweep(this.spec.files, this.spec.segment);
    if (!died) return `it was killed: ${reason.text}`;
    const words = lastWords(endOfFile(this.spec.files.log, this.#logged));
    return `it ended: ${reason.text}${words === null ? '' : `; by its log: ${words}`}`;
  }

  /** @internal used by `start` */
  static of(spec: VppProcessSpec, record: VppRecord, connection: Connection): VppProcess {
    return new VppProcess(spec, record, connection, false);
  }
}

async function refuseForeign(spec: VppProcessSpec, connect: Answers): Promise<void> {
  let there: Connection;
  try {
    there = await connect(spec, 0);
  } catch {
    return;
  }
  await there.close();
  throw new ForeignVppError('a VPP runs here that pteropus vswitch did not start', {
    object: spec.socket,
    value: there.version,
  });
}

async function start(spec: VppProcessSpec, connect: Answers): Promise<VppProcess> {
  const { binary, files, startup } = spec;
  sweep(files, spec.segment);
  for (const path of new Set([files.config, spec.socket].map(dirname)))
    mkdirSync(path, { recursive: true, mode: 0o750 });
  writeFileSync(files.config, startup.config, { mode: 0o640 });
  if (startup.commands !== '') writeFileSync(files.commands, startup.commands, { mode: 0o640 });
  const child = spawnDetached(binary, files);
  const end = endOf(child);
  const record = child.pid === undefined ? null : recordOf(child.pid, fingerprint(startup));
  if (record !== null) writeRecord(files.record, record);
  const deadline = performance.now() + READY_MS;
  for (;;) {
    const ended = await Promise.race([end, wait(POLL_MS).then(() => null)]);
    if (ended !== null) {
      sweep(files, spec.segment);
      throw startError(spec, ended);
    }
    try {
      const connection = await connect(spec, 0);
      if (record === null) throw startError(spec, 'its process cannot be looked at');
      child.unref();
      return VppProcess.of(spec, record, connection);
    } catch (error) {
      if (error instanceof VppStartError) throw error;
      if (performance.now() > deadline) {
        child.kill('SIGKILL');
        await end;
        sweep(files, spec.segment);
        throw startError(spec, `no answer within ${READY_MS / 1000} s: ${errorText(error)}`);
      }
    }
  }
}

function spawnDetached(binary: string, files: StartupFiles): ChildProcess {
  const log = openSync(files.log, 'a', 0o640);
  try {
    return spawn(binary, ['-c', files.config], { stdio: ['ignore', log, log], detached: true });
  } finally {
    closeSync(log);
  }
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(errorText(error)));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

function startError(spec: VppProcessSpec, reason: string): VppStartError {
  const told = `VPP does not start: ${reason}; its log ends with: ${tail(spec.files.log)}`;
  return new VppStartError(told, { object: spec.binary, retryable: true });
}

async function endProcess(record: VppRecord, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const send = (which: NodeJS.Signals): void => {
    try {
      if (isAlive(record)) process.kill(record.pid, which);
    } catch {
      // Gone in between.
    }
  };
  send(signal);
  if (await goneWithin(record, GRACE_MS)) return;
  send('SIGKILL');
  await goneWithin(record, GRACE_MS);
}

async function goneWithin(record: VppRecord, milliseconds: number): Promise<boolean> {
  for (const end = performance.now() + milliseconds; ; await wait(POLL_MS)) {
    if (!isAlive(record)) return true;
    if (performance.now() >= end) return false;
  }
}

/** A VPP that is gone leaves its sockets, its note and its shared memory. */
function sweep(files: StartupFiles, segment: string): void {
  removeRecord(files.record);
  for (const path of [files.cli, ...segmentFiles({ segment })]) rmSync(path, { force: true });
}

function tail(path: string): string {
  const lines = endOfFile(path).trim().split('\n').slice(-5);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colors of a terminal
  return lines.join(' | ').replace(/\u001b\[\d*m/g, '') || '(empty)';
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** What stands behind the first `from` bytes, its end if that is much: it grows as long as there are VPPs. */
function endOfFile(path: string, from = 0): string {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    const size = sizeOf(path);
    const bytes = Buffer.alloc(Math.min(Math.max(size - from, 0), END_BYTES));
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, size - bytes.length));
  } catch {
    return '';
  } finally {
    if (file !== null) closeSync(file);
  }
}
