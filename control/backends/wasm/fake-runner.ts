/** A runner without a pipeline, for tests of what stands above it. */
import { PortError } from './errors.js';
import type { Link } from './feed.js';
import type { Runner } from './runner.js';

/** Remembers what was asked of it; opening `bad` fails. */
export class FakeRunner implements Runner {
  readonly log: string[] = [];
  readonly lost: Promise<Error> = new Promise(() => {});
  readonly restarts = 0;
  bad = '';

  async openPort(port: number, link: Link): Promise<void> {
    if (link.name === this.bad) throw new PortError('no such link', { object: link.name });
    this.log.push(`open ${port} ${link.name}`);
  }
  async closePort(port: number): Promise<void> {
    this.log.push(`close ${port}`);
  }
  async feedCounters(): Promise<[]> {
    return [];
  }
  setNeighbors(): void {}
  async quiesce(): Promise<void> {
    this.log.push('published');
  }
  async close(): Promise<void> {}
}
