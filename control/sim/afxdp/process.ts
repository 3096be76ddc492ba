/**
 * A program of a node (agent, data plane) inside that node's namespace: started, its output kept in a log, started again when
 * it dies, stopped at the end. Its standard input is a pipe that it watches: when we die, it ends.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PteropusError } from '../../common/errors.js';

export interface ProcessSpec {
  /** For messages: `agent of node1`. */
  readonly name: string;
  readonly netns: string;
  /** Program and arguments. */
  readonly argv: readonly string[];
  readonly log: string;
  /** It prints `{"ready":true}` when it is; else it counts as ready once it runs, and who needs it waits for its socket. */
  readonly saysReady: boolean;
  /** Longest pause before it is started again, milliseconds (default 2000). */
  readonly mostBackoffMs?: number | undefined;
  /** Told of each unexpected end. */
  readonly onDeath: (reason: string) => void;
}

/** A node's program does not start, or ends again and again. */
export class NodeProcessError extends PteropusError {}

const READY_MS = 20_000;
const BACKOFF_MS = { first: 20, most: 2000 };
/** A program that ran this long may be started again at once. */
const STEADY_MS = 5000;

/** Keeps one program running. */
export class NodeProcess {
  private child: ChildProcess | null = null;
  private stopping = false;
  private restarts = 0;
  private timer: NodeJS.Timeout | null = null;
  private backoff = BACKOFF_MS.first;
  /** Resolves when the program that runs now said it is ready. */
  private readyNow: Promise<void> = Promise.resolve();

  constructor(private readonly spec: ProcessSpec) {}

  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** How often it was started again after it died. */
  get deaths(): number {
    return this.restarts;
  }

  /** Starts it; resolves when it is ready. Throws NodeProcessError with the end of its log. */
  start(): Promise<void> {
    const { argv, netns, log, name } = this.spec;
    const fd = openSync(log, 'a', 0o600);
    // A session of its own: Ctrl-C is for us, who then end it in order.
    const options: SpawnOptions = { stdio: ['pipe', 'pipe', fd], detached: true };
    const child = spawn('nsenter', [`--net=${netns}`, '--', ...argv], options);
    const started = Date.now();
    this.child = child;
    child.stdin?.on('error', () => undefined);
    const ready = new Promise<void>((resolve, reject) => {
      const fail = (text: string, cause?: unknown): void =>
        reject(new NodeProcessError(`${text}; its log ends with: ${tail(log)}`, { object: name, cause }));
      const timer = setTimeout(() => fail(`not ready after ${READY_MS} ms`), READY_MS);
      if (child.stdout !== null) {
        createInterface({ input: child.stdout }).on('line', (line) => {
          if (isReady(line)) {
            clearTimeout(timer);
            resolve();
          } else writeSync(fd, `${line}\n`);
        });
      }
      if (!this.spec.saysReady) {
        child.once('spawn', () => {
          clearTimeout(timer);
          resolve();
        });
      }
      child.once('error', (cause) => fail('cannot be started', cause));
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        fail(`ended with ${signal ?? `code ${code}`}`);
        // Who was not killed has said why.
        const reason = signal ?? `code ${code}: ${tail(log, 1)}`;
        if (this.child === child && !this.stopping) this.restartLater(reason, Date.now() - started);
      });
      child.once('close', () => closeSync(fd));
    });
    this.readyNow = ready;
    return ready;
  }

  /** Resolves when the program that runs now is ready; rejects if it died before. */
  ready(): Promise<void> {
    return this.readyNow;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    if (this.timer !== null) clearTimeout(this.timer);
    const child = this.child;
    if (child === null || child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
      return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  private restartLater(reason: string, ranMs: number): void {
    this.restarts++;
    this.spec.onDeath(reason);
    this.backoff =
      ranMs > STEADY_MS
        ? BACKOFF_MS.first
        : Math.min(this.backoff * 2, this.spec.mostBackoffMs ?? BACKOFF_MS.most);
    this.readyNow = new Promise((resolve, reject) => {
      this.timer = setTimeout(() => this.start().then(resolve, reject), this.backoff);
    });
    // Whoever waits for `ready` sees the failure; a restart that fails is followed by the next one.
    this.readyNow.catch(() => undefined);
  }
}

function isReady(line: string): boolean {
  try {
    return (JSON.parse(line) as { ready?: unknown } | null)?.ready === true;
  } catch {
    return false;
  }
}

function tail(path: string, lines = 5): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n').slice(-lines).join(' | ') || '(empty)';
  } catch {
    return '(unreadable)';
  }
}
