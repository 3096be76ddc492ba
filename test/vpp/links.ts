/** The wires of a rig as a bench has them; each is made once, and a link's next attachment hears what comes on it from then on. */
import type { Rig } from '../backends/rig.js';
import type { BenchLinks } from '../oracle/bench.js';

export class RigLinks implements BenchLinks {
  readonly #receivers = new Map<string, (frame: Uint8Array) => void>();

  constructor(private readonly rig: Rig) {}

  /** Makes links, before an item names them. */
  async make(...links: readonly string[]): Promise<void> {
    for (const link of links) await this.rig.attach(link, (frame) => this.#receivers.get(link)?.(frame));
  }

  attach(link: string, receive: (frame: Uint8Array) => void): void {
    this.#receivers.set(link, receive);
  }

  send(link: string, frame: Uint8Array): boolean {
    this.rig.send(link, frame);
    return true;
  }
}
