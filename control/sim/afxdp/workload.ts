/**
 * The process that lives in a simulated pod (also in a node's and in the outside's namespace): `pteropus-pod`. It listens
 * on the container ports and, told so over its standard input, opens connections of its own. One line each way:
 * see native/pod.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { PteropusError } from '../../common/errors.js';
import type { ProbeProtocol, ProbeResult } from '../driver.js';

export const PROGRAM = fileURLToPath(new URL('../../../../native/pteropus-pod', import.meta.url));
/** What a probe may take beyond its own timeout before its process counts as stuck. */
const PROBE_GRACE_MS = 5000;
const READY_MS = 10_000;

export interface WorkloadSpec {
  /** What it calls itself in its answers: `NS/NAME`. */
  readonly name: string;
  /** Path of the network namespace it lives in. */
  readonly netns: string;
  readonly ports: readonly { readonly protocol: 'TCP' | 'UDP' | 'SCTP'; readonly port: number }[];
}

/** The process of a workload ended or did not answer. */
export class WorkloadError extends PteropusError {}

/** How a run of numbered lines over one connection went. */
export interface SendReport {
  readonly sent: number;
  readonly answered: number;
}

type Answer = readonly string[];

export class Workload {
  private readonly waiting = new Map<string, (answer: Answer | WorkloadError) => void>();
  private nextId = 1;
  private ended: WorkloadError | null = null;
  /** Resolves with the reason when the process has ended, or could not be started. */
  readonly exited: Promise<string>;
  private lastError = '';

  private constructor(
    readonly spec: WorkloadSpec,
    private readonly child: ChildProcessByStdio<Writable, Readable, Readable>,
  ) {
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        const reason = `ended with ${signal ?? `code ${code}`}${this.lastError === '' ? '' : `: ${this.lastError}`}`;
        this.fail(reason);
        resolve(reason);
      });
      child.once('error', (cause) => {
        this.fail('cannot be started', cause);
        resolve('cannot be started');
      });
    });
    // A process that is gone is reported through `exit`; a broken pipe adds nothing.
    child.stdin.on('error', () => undefined);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.lastError = text.trim().slice(-500);
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.take(line.split(' ')));
  }

  /** Starts it and resolves when it listens. Throws WorkloadError. */
  static async start(spec: WorkloadSpec): Promise<Workload> {
    const listen = spec.ports.flatMap(({ protocol, port }) => [`--${protocol.toLowerCase()}`, String(port)]);
    const child = spawn(PROGRAM, ['--name', spec.name, '--netns', spec.netns, ...listen], {
      stdio: ['pipe', 'pipe', 'pipe'],
      // Ctrl-C is for us; it ends with its standard input.
      detached: true,
    });
    const workload = new Workload(spec, child);
    try {
      await workload.expect('ready', READY_MS);
    } catch (error) {
      await workload.close();
      throw error;
    }
    return workload;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Never rejects: what goes wrong is the outcome `error`. `answer` of an ICMP error is its sender. */
  async probe(
    protocol: ProbeProtocol,
    address: string,
    port: number,
    timeoutMs: number,
  ): Promise<ProbeResult> {
    const id = this.id();
    try {
      const answer = await this.ask(
        id,
        `probe ${id} ${protocol} ${address} ${port} ${timeoutMs}`,
        timeoutMs + PROBE_GRACE_MS,
      );
      const [, , outcome, millis, ...text] = answer;
      if (!isOutcome(outcome)) return { outcome: 'error', answer: answer.join(' '), millis: 0 };
      return {
        outcome,
        millis: Number(millis),
        answer: text.length === 0 || text[0] === '-' ? null : text.join(' '),
      };
    } catch (error) {
      return { outcome: 'error', answer: error instanceof Error ? error.message : String(error), millis: 0 };
    }
  }

  /** Opens a connection that stays. Resolves with its handle; throws WorkloadError if it does not come up. */
  async open(protocol: 'tcp' | 'udp', address: string, port: number): Promise<Connection> {
    const id = this.id();
    const answer = await this.ask(id, `open ${id} ${protocol} ${address} ${port}`, READY_MS);
    if (answer[0] !== 'opened')
      throw new WorkloadError(`cannot connect: ${answer.slice(2).join(' ')}`, { object: this.spec.name });
    return new Connection(this, id, Number(answer[2]));
  }

  /** Sends numbered lines over a connection and waits for their answers. */
  async sendLines(id: string, count: number, intervalMs: number): Promise<SendReport> {
    const answer = await this.ask(
      id,
      `send ${id} ${count} ${intervalMs}`,
      count * intervalMs + PROBE_GRACE_MS * 2,
    );
    if (answer[0] !== 'done') throw new WorkloadError(answer.join(' '), { object: this.spec.name });
    return { sent: Number(answer[2]), answered: Number(answer[3]) };
  }

  closeConnections(): void {
    this.child.stdin.write('close-all\n');
  }

  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.exited;
  }

  private id(): string {
    return String(this.nextId++);
  }

  private ask(id: string, line: string, timeoutMs: number): Promise<Answer> {
    const answer = this.expect(id, timeoutMs);
    if (this.ended === null) this.child.stdin.write(`${line}\n`);
    return answer;
  }

  private expect(id: string, timeoutMs: number): Promise<Answer> {
    if (this.ended !== null) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => settle(new WorkloadError(`no answer after ${timeoutMs} ms`, { object: this.spec.name })),
        timeoutMs,
      );
      const settle = (answer: Answer | WorkloadError): void => {
        clearTimeout(timer);
        this.waiting.delete(id);
        if (answer instanceof WorkloadError) reject(answer);
        else resolve(answer);
      };
      this.waiting.set(id, settle);
    });
  }

  private take(answer: Answer): void {
    const [word, id] = answer;
    if (word === 'progress') return;
    this.waiting.get(word === 'ready' ? 'ready' : (id ?? ''))?.(answer);
  }

  private fail(text: string, cause?: unknown): void {
    this.ended ??= new WorkloadError(text, { object: `process of ${this.spec.name}`, cause });
    for (const settle of [...this.waiting.values()]) settle(this.ended);
  }
}

/** A connection a workload keeps open. */
export class Connection {
  constructor(
    private readonly workload: Workload,
    private readonly id: string,
    readonly localPort: number,
  ) {}

  /** Sends `count` numbered lines, one each `intervalMs`; resolves when all are answered or time is up. */
  send(count: number, intervalMs: number): Promise<SendReport> {
    return this.workload.sendLines(this.id, count, intervalMs);
  }
}

const OUTCOMES: readonly string[] = ['connected', 'refused', 'rejected', 'timeout', 'error'];

function isOutcome(text: string | undefined): text is ProbeResult['outcome'] {
  return text !== undefined && OUTCOMES.includes(text);
}
