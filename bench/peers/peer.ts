/** The C peer as a child process: it sleeps on its stdin while the other side is measured. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';

export class Peer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  #errors = '';
  #waiting: { resolve(line: string): void; reject(error: Error): void } | null = null;

  constructor(path: string, args: readonly string[] = []) {
    this.#child = spawn(path, args);
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#lines.on('line', (line) => {
      this.#waiting?.resolve(line);
      this.#waiting = null;
    });
    this.#child.on('close', () => {
      this.#waiting?.reject(new Error(`the peer ended: ${this.#errors}`));
      this.#waiting = null;
    });
  }

  /** Sends a command and waits for its answer, a line. */
  ask(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#child.stdin.write(`${command}\n`);
    });
  }

  close(): void {
    this.#lines.close();
    this.#child.stdin.end();
  }
}
