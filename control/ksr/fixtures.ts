/** For tests of ksr: its process, and what the store must hold by the API. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/etcd.js';
import { OBJECTS_PREFIX } from '../objects/stored-keys.js';
import type { StoreConfig } from '../store/open.js';
import type { Store } from '../store/store.js';
import { kubeAccess } from './access.js';
import { KubeApi } from './api.js';
import { ApiRequestError } from './errors.js';
import type { KsrStatus } from './ksr.js';
import { reduce } from './reduce.js';
import { RESOURCES } from './resources.js';

const PROGRAM = fileURLToPath(new URL('../../../../bin/pteropus.mjs', import.meta.url));

export class KsrProcess {
  readonly lines: string[] = [];
  #child: ChildProcess | null = null;

  private constructor(
    private readonly args: readonly string[],
    readonly port: number,
  ) {}

  static async start(spec: {
    readonly identity: string;
    readonly store: StoreConfig;
    readonly kubeconfig: string;
    readonly leaseSeconds?: number;
  }): Promise<KsrProcess> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'pteropus-ksr-'));
    folders.add(folder);
    const file = join(folder, 'ksr.json');
    const { identity, store, kubeconfig, leaseSeconds = 2 } = spec;
    const config = {
      identity,
      store,
      kubeconfig,
      leaseSeconds,
      rest: `127.0.0.1:${port}`,
      lookAgainSeconds: 1,
    };
    writeFileSync(file, JSON.stringify(config));
    const made = new KsrProcess(['ksr', '--config', file], port);
    await made.start();
    return made;
  }

  /** Starts it (again); resolves when it is up. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, ['--enable-source-maps', PROGRAM, ...this.args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    createInterface(child.stderr as NodeJS.ReadableStream).on('line', (line) => this.lines.push(line));
    await once(child.stdout as NodeJS.ReadableStream, 'data');
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Resolves when the process is gone. */
  async end(name: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(name);
    await gone;
  }

  async text(path: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`);
    return await response.text();
  }

  async status(): Promise<KsrStatus> {
    return JSON.parse(await this.text('/status')) as KsrStatus;
  }
}

const running = new Set<ChildProcess>();
const folders = new Set<string>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Asks until it is so; throws with `what` after the time. */
export async function eventually(
  what: () => string,
  so: () => Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    if (await so().catch(() => false)) return;
    if (Date.now() > end) throw new Error(`not so after ${timeoutMs} ms: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What the store must hold, read from the API at once and without a watch. */
async function expected(kubeconfig: string): Promise<ReadonlyMap<string, string>> {
  const api = new KubeApi(kubeAccess(kubeconfig));
  const out = new Map<string, string>();
  for (const resource of RESOURCES) {
    await api
      .list(resource, (items) => {
        for (const item of items) {
          const reduced = reduce(resource, item, []);
          if (reduced !== null && reduced.json !== null) out.set(reduced.key, reduced.json);
        }
      })
      .catch((error: unknown) => {
        if (!(resource.optional && error instanceof ApiRequestError && error.status === 404)) throw error;
      });
  }
  return out;
}

/** The differences between the store and what it must hold, a line each. */
export async function differences(store: Store, kubeconfig: string): Promise<readonly string[]> {
  const [wanted, { entries }] = await Promise.all([expected(kubeconfig), store.list(OBJECTS_PREFIX)]);
  const held = new Map(entries.map(({ key, value }) => [key, value]));
  return [
    ...[...wanted]
      .filter(([key, json]) => held.get(key) !== json)
      .map(([key]) => `${held.has(key) ? '~' : '-'}${key}`),
    ...[...held.keys()].filter((key) => !wanted.has(key)).map((key) => `+${key}`),
  ];
}
