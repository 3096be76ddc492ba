/**
 * Two agents that run as one node have one id, one pod subnet, and each its own idea of who has which address. The claim
 * cannot tell them apart: to the store they are one node that comes back. But both write the node's status, each with its
 * own name. An agent that reads another's, written since it started, asks by writing its own again: the last word of one that
 * was killed may be late, but only one that lives answers.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { STATUS_PREFIX } from '../objects/stored-keys.js';
import type { Store, Watch } from '../store/store.js';

/** So long without a word from the other one, and it counts as gone, milliseconds. An agent with a twin tells of itself more often. */
export const QUIET_MS = 30_000;

/** What this process calls itself: where it runs, and a random part. */
export function instanceName(): string {
  return `${hostname()}/${process.pid}/${randomBytes(4).toString('hex')}`;
}

export class TwinWatch {
  #watch: Watch | null = null;
  #timer: NodeJS.Timeout | null = null;
  #other: string | null = null;
  /** Seen once. */
  #suspect: string | null = null;
  #closed = false;

  constructor(
    private readonly store: Store,
    private readonly node: string,
    private readonly instance: string,
    /** asked: our own status has to be written, to see who answers. found, gone: `other` changed. */
    private readonly tell: (what: 'asked' | 'found' | 'gone') => void,
    private readonly quietMs = QUIET_MS,
  ) {}

  /** Name of the other agent that runs as this node; null = there is none. */
  get other(): string | null {
    return this.#other;
  }

  /** Looks at what is written from now on. Called anew when watches may have been lost. */
  async follow(): Promise<void> {
    this.#watch?.close();
    this.#watch = null;
    const key = `${STATUS_PREFIX}${this.node}`;
    const { revision } = await this.store.list(key);
    if (this.#closed) return;
    this.#watch = this.store.watch(key, revision, {
      events: (events) => {
        for (const event of events) {
          if (event.type === 'put' && event.entry.key === key) this.#read(event.entry.value);
        }
      },
      // The objects' watches are lost with it, and the resync that follows calls us again.
      lost: () => undefined,
    });
  }

  close(): void {
    this.#closed = true;
    this.#watch?.close();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #read(value: string): void {
    const instance = instanceOf(value);
    if (instance === null || instance === this.instance) return;
    if (this.#suspect !== instance) {
      this.#suspect = instance;
      this.tell('asked');
      return;
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#other = null;
      this.tell('gone');
    }, this.quietMs);
    if (this.#other === instance) return;
    this.#other = instance;
    this.tell('found');
  }
}

/** null: somebody wrote there what is no status. */
function instanceOf(value: string): string | null {
  try {
    const status = JSON.parse(value) as { readonly instance?: unknown } | null;
    return typeof status?.instance === 'string' ? status.instance : null;
  } catch {
    return null;
  }
}
