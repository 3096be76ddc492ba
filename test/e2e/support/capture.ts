/** tshark on a link of some namespace: decoded fields, as they come. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** Field -> values, several joined by a comma (outer header first). */
export type Row = Readonly<Record<string, string>>;

export class Capture {
  private readonly seen: Row[] = [];

  private constructor(
    private readonly child: ChildProcessByStdio<null, Readable, Readable>,
    fields: readonly string[],
  ) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const values = line.split('\t');
      this.seen.push(Object.fromEntries(fields.map((field, i) => [field, values[i] ?? ''])));
    });
  }

  /** Resolves when it captures. `filter` in pcap's language. */
  static async start(
    netns: string,
    link: string,
    filter: string,
    fields: readonly string[],
  ): Promise<Capture> {
    const wanted = fields.flatMap((field) => ['-e', field]);
    const argv = ['-i', link, '-l', '-n', '-f', filter, '-T', 'fields', ...wanted];
    const child = spawn('nsenter', [`--net=${netns}`, '--', 'tshark', ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const capture = new Capture(child, fields);
    await new Promise<void>((resolve, reject) => {
      let text = '';
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.includes('Capturing on')) resolve();
      });
      child.once('exit', () => reject(new Error(`tshark: ${text}`)));
    });
    return capture;
  }

  rows(): readonly Row[] {
    return this.seen;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const gone = once(this.child, 'close');
    this.child.kill('SIGINT');
    await gone;
  }
}
