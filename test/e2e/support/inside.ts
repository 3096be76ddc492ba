/** Running the machine's own programs inside simulated pods. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Driver } from '../../../control/sim/driver.js';

export interface Finished {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** A program that runs in a pod. */
export class Inside {
  private out = '';
  private err = '';
  readonly finished: Promise<Finished>;
  private readonly child: ChildProcess;

  constructor(driver: Driver, pod: string, argv: readonly string[]) {
    const [namespace = '', name = ''] = pod.includes('/') ? pod.split('/') : ['default', pod];
    const line = driver.execCommand({ namespace, name }, argv);
    if (line === null) throw new Error('this driver has no processes');
    this.child = spawn(line.command, line.args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err += text;
    });
    this.finished = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (status) => resolve({ status, out: this.out, err: this.err }));
    });
  }

  /** Resolves when the program printed `text`; rejects if it ends without. */
  printed(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.out.includes(text)) resolve();
      };
      this.child.stdout?.on('data', look);
      this.finished.then(({ err }) => reject(new Error(`ended without printing ${text}: ${err}`)), reject);
      look();
    });
  }

  /** What it has printed so far. */
  text(): string {
    return this.out;
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

/** Runs a program in a pod to its end; throws unless it succeeds. */
export async function runInside(driver: Driver, pod: string, ...argv: readonly string[]): Promise<string> {
  const { status, out, err } = await new Inside(driver, pod, argv).finished;
  if (status !== 0) throw new Error(`${argv.join(' ')} in ${pod}: status ${status}: ${err || out}`);
  return out;
}

/** Runs a JavaScript text in a pod, with the Node.js that runs us. */
export function scriptInside(
  driver: Driver,
  pod: string,
  script: string,
  ...args: readonly string[]
): Inside {
  return new Inside(driver, pod, [process.execPath, '-e', script, ...args]);
}
