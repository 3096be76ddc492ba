/**
 * A real VPP for tests: the one of PTEROPUS_VPP_PREFIX, else the system's. Each has its own folder and shared memory, runs inside a
 * namespace of the test's, sleeps between its looks at the links, and dies with the test's process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { findVpp, type VppInstall, vppUnder } from '../../control/sim/vpp/install.js';
import { segmentFiles, smallStartup, type VppPaths, vppPaths } from '../../control/sim/vpp/startup.js';
import type { Requirement } from './requires.js';

/** A loaded machine reads a hundred plugins from its disk in this time. */
const READY_MS = 30_000;
const POLL_MS = 10;

/** null where there is a VPP to test with, else why not. */
export function vpp(): Requirement {
  const found = findVpp();
  return typeof found === 'string' ? found : null;
}

/** Throws where `vpp()` is not null. */
export function installedVpp(): VppInstall {
  const found = findVpp();
  if (typeof found === 'string') throw new Error(found);
  return found;
}

/**
 * All VPPs that what must run on every version is to run on: those of PTEROPUS_VPP_PREFIXES (separated by colons), else the one of
 * `installedVpp`; none where there is none. A prefix without VPP is an error: whoever names it means it.
 */
export function installedVpps(): readonly VppInstall[] {
  const prefixes = (process.env['PTEROPUS_VPP_PREFIXES'] ?? '').split(':').filter((prefix) => prefix !== '');
  if (prefixes.length === 0) return vpp() === null ? [installedVpp()] : [];
  return prefixes.map((prefix) => {
    const found = vppUnder(prefix);
    if (typeof found === 'string') throw new Error(`PTEROPUS_VPP_PREFIXES: ${found}`);
    return found;
  });
}

export interface TestVpp {
  readonly install: VppInstall;
  readonly paths: VppPaths;
  /** Prefix of its shared memory's files. */
  readonly segment: string;
  readonly pid: number;
  /** SIGKILL; resolves when it is gone. `start` may follow. */
  kill(): Promise<void>;
  /** Starts it again, in the same folder. */
  start(): Promise<void>;
  /** What it logged and printed. */
  log(): string;
  close(): Promise<void>;
}

let made = 0;

/**
 * Starts a VPP inside a network namespace; resolves when its API socket takes connections.
 * @param netns path of the namespace
 * @param extra more sections of the startup configuration
 */
export async function startVpp(netns: string, install = installedVpp(), extra = ''): Promise<TestVpp> {
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-vpp-'));
  const segment = `pteropus-${process.pid}-${made++}`;
  const paths = vppPaths(dir);
  writeFileSync(paths.config, smallStartup({ install, paths, segment }) + extra);
  const running = new RunningVpp(netns, install, paths, segment);
  try {
    await running.start();
  } catch (error) {
    await running.close();
    throw error;
  }
  return running;
}

class RunningVpp implements TestVpp {
  #child: ChildProcess | null = null;
  #output = '';

  constructor(
    readonly netns: string,
    readonly install: VppInstall,
    readonly paths: VppPaths,
    readonly segment: string,
  ) {}

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async start(): Promise<void> {
    // Neither program forks, so that VPP has the pid of the child.
    const argv = ['--pdeathsig', 'KILL', this.install.binary, '-c', this.paths.config];
    const child = spawn('nsenter', [`--net=${this.netns}`, '--', 'setpriv', ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const keep = (data: Buffer): void => {
      this.#output += data.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const deadline = Date.now() + READY_MS;
    while (!(await answers(this.paths.apiSocket))) {
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
        throw new Error(`VPP does not start: ${this.log().slice(-2000)}`);
      }
      await wait(POLL_MS);
    }
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  log(): string {
    try {
      return this.#output + readFileSync(this.paths.log, 'utf8');
    } catch {
      return this.#output;
    }
  }

  async close(): Promise<void> {
    await this.kill();
    for (const path of [this.paths.dir, ...segmentFiles(this.segment)])
      rmSync(path, { recursive: true, force: true });
  }
}

/** Whether somebody accepts connections there. */
function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket, () => {
      connection.destroy();
      resolve(true);
    });
    connection.on('error', () => resolve(false));
  });
}
