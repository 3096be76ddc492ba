/** What tests of the program need: a folder, a namespace, a configuration of a small VPP, and nothing of it left in the end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { loadNative } from '../../native/index.js';
import { readRecord } from './record.js';
import { segmentFiles } from './startup.js';

const PTEROPUS = fileURLToPath(new URL('../../../../bin/pteropus.mjs', import.meta.url));

/** A small VPP that shares its core with others. */
export const SMALL = { heap: '256M', buffers: 8192, statsBytes: '32M', sleepMicros: 100, sessions: 16_384 };

let made = 0;

export class Bed {
  readonly dir = mkdtempSync(join(tmpdir(), 'pteropusW-'));
  readonly segment = `pteropusW-${process.pid}-${made++}`;
  readonly config = join(this.dir, 'agent.json');
  /** Of its network namespace. */
  readonly netns = this.segment;
  readonly #children: ChildProcess[] = [];

  constructor(readonly prefix: string) {
    loadNative().createNetns(this.netns).close();
  }

  /** Writes the agent's configuration, with these fields of `vpp`. */
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
    const argv = [`--net=/run/netns/${this.netns}`, '--', process.execPath, PTEROPUS, 'vswitch'];
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
          () => reject(new Error(`not said: ${pattern}; but ${lines.slice(-5).join(' | ')}`)),
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

  /** What VPP said last. */
  log(): string {
    try {
      return readFileSync(join(this.dir, 'run/vpp.log'), 'utf8').slice(-4000);
    } catch {
      return '';
    }
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
    loadNative().deleteNetns(this.netns);
    for (const path of [this.dir, ...segmentFiles({ segment: this.segment })]) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

export async function withBed(prefix: string, body: (bed: Bed) => Promise<void>): Promise<void> {
  const bed = new Bed(prefix);
  try {
    bed.configure();
    await body(bed);
  } catch (error) {
    process.stdout.write(`${bed.log()}\n`);
    throw error;
  } finally {
    await bed.close();
  }
}
