/**
 * The process that `--keep` leaves behind: it owns the session, serves commands over a unix socket and lets changed files
 * take effect by themselves. Its output goes to a log in the run directory.
 */
import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { errorText, InvalidInputError, PteropusError } from '../common/errors.js';
import { onFrames, sendFrame } from '../common/frames.js';
import { listenPrivately } from '../common/listen.js';
import { METHODS, type Supervised } from './methods.js';
import { makeRunDir, runDir, socketPath } from './paths.js';
import type { Session, SessionSpec } from './session.js';
import { startSession } from './start.js';
import { watchFiles } from './watch.js';
import type { Request } from './wire.js';

/** Lines kept for whoever comes later. */
const HISTORY = 200;

class Supervisor implements Supervised {
  readonly #followers = new Set<(line: string) => void>();
  readonly #history: string[] = [];
  #server: Server | null = null;
  #session: Session | null = null;
  readonly #stop = new AbortController();
  #started: Promise<Session> | null = null;
  #stopWatching: () => void = () => undefined;
  #closing: Promise<void> | null = null;
  #ended: () => void = () => undefined;
  readonly ended = new Promise<void>((resolve) => {
    this.#ended = resolve;
  });

  constructor(readonly spec: Omit<SessionSpec, 'progress'>) {}

  async listen(): Promise<void> {
    const path = socketPath(this.spec.name);
    await makeRunDir(this.spec.name);
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    await listenPrivately(server, path);
  }

  /** Starts the cluster; the first `ready` request waits for it. */
  start(): void {
    const progress = (line: string) => this.say(line);
    this.#started = startSession({ ...this.spec, progress, signal: this.#stop.signal });
    this.#started.then(
      (session) => {
        this.#session = session;
        this.#stopWatching = watchFiles(this.spec.files, (saved) => this.#reload(session, saved));
      },
      // Whoever waits for `ready` is told; then there is nothing left to supervise.
      (error: unknown) => {
        this.say(errorText(error));
        setTimeout(() => void this.close(), 500);
      },
    );
  }

  get session(): Session {
    if (this.#session === null) throw new InvalidInputError('the cluster is still starting');
    return this.#session;
  }

  async ready(): Promise<void> {
    await this.#started;
  }

  say(line: string): void {
    process.stdout.write(`${line}\n`);
    this.#history.push(line);
    if (this.#history.length > HISTORY) this.#history.shift();
    for (const tell of this.#followers) tell(line);
  }

  /** Tells all lines so far and those to come; returns what ends it. */
  follow(tell: (line: string) => void): () => void {
    for (const line of this.#history) tell(line);
    this.#followers.add(tell);
    return () => this.#followers.delete(tell);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stopWatching();
    this.#server?.close();
    try {
      this.#stop.abort();
      // While it starts, it ends by itself at the next step and takes down what it made.
      await this.#started?.catch(() => undefined);
      await this.#session?.close();
    } finally {
      await rm(this.spec.runDir, { recursive: true, force: true });
      this.#ended();
    }
  }

  async #reload(session: Session, saved: number): Promise<void> {
    try {
      const { objects, podsAdded, podsRemoved } = await session.reload();
      if (objects === 0) return;
      const pods = podsAdded + podsRemoved > 0 ? `, ${podsAdded} pods added, ${podsRemoved} removed` : '';
      this.say(
        `${objects} changed objects${pods} in force ${Math.round(Date.now() - saved)} ms after they were saved`,
      );
    } catch (error) {
      this.say(`not applied: ${errorText(error)}`);
    }
  }

  #serve(socket: Socket): void {
    socket.on('error', () => undefined);
    onFrames(socket, (message) => {
      const { id, method, params } = message as Request;
      const progress = (line: string) => sendFrame(socket, { id, progress: line });
      const answer = async (): Promise<unknown> => {
        const run = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
        if (run === undefined) throw new InvalidInputError('no such method', { value: method });
        return await run(this, params, {
          progress,
          gone: new Promise((resolve) => socket.once('close', resolve)),
        });
      };
      answer().then(
        (result) => sendFrame(socket, { id, result: result ?? null }),
        (error: unknown) => {
          const message =
            error instanceof PteropusError
              ? errorText(error)
              : error instanceof Error
                ? (error.stack ?? error.message)
                : String(error);
          sendFrame(socket, { id, error: { message, known: error instanceof InvalidInputError } });
        },
      );
    });
  }
}

/** `pteropus sim supervise SPEC`: SPEC is JSON from keep.ts. */
export async function run(argv: readonly string[]): Promise<number> {
  const given = JSON.parse(argv[0] ?? '{}') as Omit<SessionSpec, 'progress' | 'runDir'>;
  const supervisor = new Supervisor({ ...given, runDir: runDir(given.name) });
  const stop = () => void supervisor.close();
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  await supervisor.listen();
  supervisor.start();
  await supervisor.ended;
  return 0;
}
