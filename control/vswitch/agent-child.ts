/** The agent as a process beside VPP: started again when it dies, and gone when we are. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface AgentChildSpec {
  /** Program and arguments. It says {"ready":true} when it is, and ends with its standard input. */
  readonly argv: readonly [string, ...string[]];
  /** Called once, when the first agent is ready. */
  readonly ready: () => void;
  readonly log: (line: string) => void;
}

/** Milliseconds. */
const PAUSES = { first: 100, most: 5000, steady: 10_000 };
/** It ends in order, or is killed. */
const GRACE_MS = 10_000;

export class AgentChild {
  #child: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closing = false;
  #pause = PAUSES.first;
  #told = false;

  private constructor(private readonly spec: AgentChildSpec) {}

  static start(spec: AgentChildSpec): AgentChild {
    const child = new AgentChild(spec);
    child.#start();
    return child;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    await gone;
    clearTimeout(late);
  }

  #start(): void {
    const [program, ...args] = this.spec.argv;
    const started = performance.now();
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    this.#child = child;
    child.stdin?.on('error', () => undefined);
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line !== '{"ready":true}') this.spec.log(line);
        else if (!this.#told) {
          this.#told = true;
          this.spec.ready();
        }
      });
    }
    child.once('error', (error) => this.#ended(error.message, started));
    child.once('exit', (code, signal) => this.#ended(signal ?? `exit code ${code}`, started));
  }

  #ended(reason: string, started: number): void {
    if (this.#closing || this.#timer !== null) return;
    if (performance.now() - started > PAUSES.steady) this.#pause = PAUSES.first;
    this.spec.log(`the agent ended (${reason}); it is started again in ${this.#pause} ms`);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#start();
    }, this.#pause);
    this.#pause = Math.min(this.#pause * 2, PAUSES.most);
  }
}
