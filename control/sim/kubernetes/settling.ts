/**
 * When a change is in force: our watches have seen it, the controllers have nothing left to do, every pod runs, the store
 * holds what the API says, and every agent has applied the store.
 */
import type { Driver } from '../driver.js';
import { checkpoint } from '../interrupted.js';
import type { Written } from './applier.js';
import type { ApiCache } from './cache.js';
import type { Controllers } from './controllers/controllers.js';
import { NotConvergedError } from './errors.js';
import { StoreView } from './store-view.js';

export interface SettlingSpec {
  readonly cache: ApiCache;
  readonly controllers: Controllers;
  readonly driver: Driver;
  readonly nodes: readonly string[];
  readonly externalIPCIDRs: readonly string[];
  /** Ends the waiting. */
  readonly signal: AbortSignal | undefined;
}

const TIMEOUT_MS = 120_000;
/** Controllers become idle without a change that would wake us. */
const LOOK_MS = 5;

export class Settling {
  readonly #view: StoreView;
  #wake: () => void = () => undefined;
  readonly #stop: () => void;

  constructor(private readonly spec: SettlingSpec) {
    this.#view = new StoreView(spec.driver.store, spec.externalIPCIDRs, () => this.#wake());
    this.#stop = spec.cache.listen(() => this.#wake());
  }

  /** Throws NotConvergedError that says what is missing, InterruptedError. */
  async settled(written: readonly Written[], seen: () => boolean = () => true): Promise<void> {
    const deadline = Date.now() + TIMEOUT_MS;
    for (;;) {
      checkpoint(this.spec.signal);
      const missing = seen() ? this.#missing(written) : 'our watches are behind';
      if (missing === null) break;
      if (Date.now() > deadline) {
        throw new NotConvergedError(`not in force after ${TIMEOUT_MS / 1000} s: ${missing}`, {});
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    await this.spec.driver.settled(this.#view.revision);
  }

  close(): void {
    this.#stop();
    this.#view.close();
  }

  #missing(written: readonly Written[]): string | null {
    const { cache, controllers } = this.spec;
    for (const { kind, key, version } of written) {
      const now = cache.get(kind, key)?.metadata.resourceVersion;
      if (version === null ? now !== undefined : now === undefined || isOlder(now, version))
        return `${kind} ${key} is not seen yet`;
    }
    const waiting = controllers.waiting() ?? this.#pods();
    if (waiting !== null) return waiting;
    const behind = this.#view.behind(cache);
    return behind === null ? null : `${behind} is not in the store as the API has it`;
  }

  #pods(): string | null {
    const { cache, controllers, nodes } = this.spec;
    for (const [key, raw] of cache.all('Pod')) {
      const node = raw.spec?.['nodeName'];
      if (node === undefined) return `pod ${key} has no node`;
      if (typeof node !== 'string' || !nodes.includes(node)) continue;
      if (raw.metadata.deletionTimestamp !== undefined) return `pod ${key} is being deleted`;
      const phase = raw.status?.['phase'];
      if (phase === 'Succeeded' || phase === 'Failed') continue;
      if (phase !== 'Running' || !controllers.kubelet.runs(key, raw)) return `pod ${key} does not run`;
    }
    return null;
  }
}

/** Versions of one collection's objects rise (KEP-5504). */
function isOlder(version: string, than: string): boolean {
  return BigInt(version) < BigInt(than);
}
