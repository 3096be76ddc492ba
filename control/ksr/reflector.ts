/**
 * Follows one kind of the API: a listing, then every change; listed anew after a gap (410 Gone), and while the kind is not
 * there (a custom resource) looked for now and then. An API that was away may have been restored from a copy, and would be silent
 * about whatever happened up to the version it had reached before: it is listed anew too.
 */
import { errorText } from '../common/errors.js';
import type { KubeApi, WatchEnd, WatchEvent, WatchHandle } from './api.js';
import { ApiRequestError, ListingEndedError } from './errors.js';
import { type ObjectReference, type Reduced, referenceOf } from './reduce.js';
import type { Resource } from './resources.js';

export interface ReflectorHandler {
  /** What is kept of an object; null if it has no name. Raw objects of a listing are not kept: they may be many. */
  reduce(object: unknown): Reduced | null;
  /** All objects there are, of a listing. */
  replace(objects: readonly Reduced[]): void;
  put(object: Reduced): void;
  removed(reference: ObjectReference): void;
  /** A listing is under way because of a gap. */
  gap(reason: string): void;
  /** The API cannot be followed now; null = it can again. */
  trouble(reason: string | null): void;
}

export interface ReflectorOptions {
  /** How often a kind that is not there is looked for, milliseconds. */
  readonly lookAgainMs?: number;
}

interface Followed {
  readonly end: WatchEnd;
  /** Up to which everything was told. */
  readonly version: string;
  /** The server followed from where it was asked to. */
  readonly opened: boolean;
  readonly progressed: boolean;
}

const PAUSE_MS = { first: 100, most: 30_000 };
const LOOK_AGAIN_MS = 10_000;

export class Reflector {
  #closed = false;
  #watch: WatchHandle | null = null;
  #wake: () => void = () => undefined;

  constructor(
    private readonly api: Pick<KubeApi, 'list' | 'watch' | 'version'>,
    readonly resource: Resource,
    private readonly handler: ReflectorHandler,
    private readonly options: ReflectorOptions = {},
  ) {}

  /** Follows until closed. */
  async run(): Promise<void> {
    let pause = PAUSE_MS.first;
    // null: it must be listed.
    let version: string | null = null;
    // The connection broke: the API may be another one now.
    let doubtful = false;
    while (!this.#closed) {
      try {
        if (version !== null && doubtful && isBefore(await this.api.version(this.resource), version)) {
          this.handler.gap(`${this.resource.kind}: the API was put back to an earlier state`);
          version = null;
        }
        doubtful = false;
        version ??= await this.#list();
        if (version === null) {
          this.handler.trouble(null);
          await this.#sleep(this.options.lookAgainMs ?? LOOK_AGAIN_MS);
          continue;
        }
        if (this.#closed) return;
        const began = performance.now();
        const ended = await this.#follow(version);
        version = ended.version;
        const steady = ended.progressed || performance.now() - began > 1000;
        if (steady) pause = PAUSE_MS.first;
        if (ended.end.type === 'gone') {
          this.handler.gap(`${this.resource.kind}: 410 Gone`);
          version = null;
        } else if (ended.end.type === 'failed') {
          doubtful = true;
          if (!ended.opened) {
            this.handler.gap(`${this.resource.kind}: the API was away`);
            version = null;
          }
          throw ended.end.error;
        }
        // A server that closes at once is not asked again at once.
        if (!steady) {
          await this.#sleep(pause);
          pause = Math.min(pause * 2, PAUSE_MS.most);
        }
      } catch (error) {
        if (this.#closed) return;
        // Gone from the API as a whole: the listing will say so.
        if (error instanceof ApiRequestError && (error.status === 404 || error.status === 410))
          version = null;
        this.handler.trouble(`${this.resource.kind}: ${errorText(error)}`);
        await this.#sleep(pause * (0.5 + Math.random() / 2));
        pause = Math.min(pause * 2, PAUSE_MS.most);
      }
    }
  }

  close(): void {
    this.#closed = true;
    this.#watch?.close();
    this.#wake();
  }

  /** The version of the listing; null: the API has no such kind. */
  async #list(): Promise<string | null> {
    const objects: Reduced[] = [];
    try {
      const version = await this.api.list(this.resource, (items) => {
        // The pages that follow need not be asked for.
        if (this.#closed) throw new ListingEndedError('ended by its caller');
        for (const item of items) {
          const reduced = this.handler.reduce(item);
          if (reduced !== null) objects.push(reduced);
        }
      });
      if (!this.#closed) {
        this.handler.replace(objects);
        this.handler.trouble(null);
      }
      return version;
    } catch (error) {
      if (!this.resource.optional || !(error instanceof ApiRequestError) || error.status !== 404) throw error;
      if (!this.#closed) this.handler.replace([]);
      return null;
    }
  }

  #follow(from: string): Promise<Followed> {
    let version = from;
    let opened = false;
    let progressed = false;
    return new Promise((resolve) => {
      const take = (event: WatchEvent): void => {
        if (event.type === 'opened') {
          opened = true;
          this.handler.trouble(null);
          return;
        }
        version = event.version;
        progressed = true;
        if (event.type === 'bookmark') return;
        if (event.type === 'put') {
          const reduced = this.handler.reduce(event.object);
          if (reduced !== null) this.handler.put(reduced);
          return;
        }
        const reference = referenceOf(this.resource, event.object);
        if (reference !== null) this.handler.removed(reference);
      };
      this.#wake = () => resolve({ end: { type: 'closed' }, version, opened, progressed });
      this.#watch = this.api.watch(this.resource, from, take, (end) =>
        resolve({ end, version, opened, progressed }),
      );
    });
  }

  #sleep(milliseconds: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Versions that are no numbers, which the API does not rule out, tell nothing. */
function isBefore(version: string, known: string): boolean {
  return [version, known].every((one) => /^\d+$/.test(one)) && BigInt(version) < BigInt(known);
}
