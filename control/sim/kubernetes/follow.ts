/**
 * Follows one collection of the API: a list, then a watch from there on; listed anew whenever the watch has a gap. Objects
 * are kept at hand as the server sent them.
 */
import { errorText } from '../../common/errors.js';
import type { ApiClient, ApiObject } from './api.js';
import { ApiError } from './errors.js';

export interface FollowSpec {
  readonly api: ApiClient;
  /** The collection's path: `/api/v1/pods`. */
  readonly path: string;
  /** Told after `objects` has changed; `object` null = gone, `old` null = new. */
  readonly changed: (object: ApiObject | null, old: ApiObject | null) => void;
  readonly log: (line: string) => void;
}

interface Listing {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly ApiObject[];
}

interface WatchLine {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: ApiObject;
}

const PAUSE_MS = { first: 100, most: 5000 };
/** The server ends a watch after this long; then the next one goes on from there. */
const WATCH_SECONDS = 600;

export class Follower {
  /** By `NS/NAME`, or `NAME` for what has no namespace. */
  readonly objects = new Map<string, ApiObject>();
  readonly #end = new AbortController();
  #done: Promise<void> = Promise.resolve();
  #version = '';

  private constructor(private readonly spec: FollowSpec) {}

  /** Resolves when all that is there is at hand. Throws ApiError where the first listing fails. */
  static async start(spec: FollowSpec): Promise<Follower> {
    const follower = new Follower(spec);
    await follower.#list();
    follower.#done = follower.#run();
    return follower;
  }

  /** The latest version of the collection that is at hand, as the server counts. */
  get version(): string {
    return this.#version;
  }

  /** Asks the server what it has now; what comes back says whether all of that was seen here. Throws ApiError. */
  async mark(): Promise<() => boolean> {
    const list = await this.#get();
    const version = BigInt(list.metadata.resourceVersion);
    const there = new Set(list.items.map(keyOf));
    const newest = list.items.reduce((most, item) => (versionOf(item) > most ? versionOf(item) : most), 0n);
    const isLeft = ([key, object]: [string, ApiObject]) => !there.has(key) && versionOf(object) <= version;
    return () => BigInt(this.#version || '0') >= newest && ![...this.objects].some(isLeft);
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { path, log } = this.spec;
    let pause = PAUSE_MS.first;
    let said = '';
    while (!this.#end.signal.aborted) {
      try {
        if (this.#version === '') await this.#list();
        await this.#watch(() => {
          pause = PAUSE_MS.first;
          said = '';
        });
      } catch (error) {
        if (this.#end.signal.aborted) return;
        if (error instanceof ApiError && error.code === 410) this.#version = '';
        else {
          // Once for each reason, not with every attempt.
          const text = `watch of ${path}: ${errorText(error)}`;
          if (text !== said) log(text);
          said = text;
        }
        await this.#wait(pause);
        pause = Math.min(pause * 2, PAUSE_MS.most);
      }
    }
  }

  async #list(): Promise<void> {
    const list = await this.#get();
    // Items of a list do not say what they are.
    const type = { apiVersion: list.apiVersion ?? '', kind: (list.kind ?? '').replace(/List$/, '') };
    const items = new Map(list.items.map((item) => [keyOf(item), { ...type, ...item }]));
    for (const [key, old] of [...this.objects]) {
      if (items.has(key)) continue;
      this.objects.delete(key);
      this.spec.changed(null, old);
    }
    for (const item of items.values()) this.#put(item);
    this.#version = list.metadata.resourceVersion;
  }

  async #get(): Promise<Listing> {
    return (await this.spec.api.get(this.spec.path)) as unknown as Listing;
  }

  /** A pause that closing ends. */
  #wait(millis: number): Promise<void> {
    const { signal } = this.#end;
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, millis);
      signal.addEventListener('abort', end);
    });
  }

  async #watch(answered: () => void): Promise<void> {
    const query = new URLSearchParams({
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(WATCH_SECONDS),
      resourceVersion: this.#version,
    });
    const stream = await this.spec.api.stream(`${this.spec.path}?${query}`, this.#end.signal);
    answered();
    let rest = '';
    for await (const chunk of stream.setEncoding('utf8')) {
      const lines = `${rest}${chunk as string}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') this.#take(JSON.parse(line) as WatchLine);
    }
  }

  #take({ type, object }: WatchLine): void {
    if (type === 'ERROR') {
      const { code = 500, message = 'watch failed' } = object as { code?: number; message?: string };
      throw new ApiError(message, code, { object: this.spec.path });
    }
    this.#version = object.metadata.resourceVersion ?? this.#version;
    if (type === 'BOOKMARK') return;
    if (type !== 'DELETED') {
      this.#put(object);
      return;
    }
    const old = this.objects.get(keyOf(object));
    this.objects.delete(keyOf(object));
    if (old !== undefined) this.spec.changed(null, object);
  }

  #put(object: ApiObject): void {
    const key = keyOf(object);
    const old = this.objects.get(key) ?? null;
    if (old?.metadata.resourceVersion === object.metadata.resourceVersion) return;
    this.objects.set(key, object);
    this.spec.changed(object, old);
  }
}

/** `NS/NAME`, or `NAME` for what has no namespace. */
function keyOf({ metadata }: ApiObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

/** Versions of one collection's objects rise (KEP-5504). */
function versionOf({ metadata }: ApiObject): bigint {
  return BigInt(metadata.resourceVersion ?? '0');
}
