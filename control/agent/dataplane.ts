/**
 * The agent's side of the data plane: opens it, knows what is in force there, and brings it to the ruleset wanted. After a
 * loss, or an outcome that is unknown, it reads back what is really there before it changes anything.
 */
import type { Backend } from '../backends/backend.js';
import { errorText } from '../common/errors.js';
import { changesOf, diffRulesets } from '../ruleset/diff.js';
import type { Change, Item, Key, Ruleset } from '../ruleset/types.js';
import { ApplyError, DataplaneUnavailableError } from './errors.js';
import { withoutRefused } from './partial.js';

export interface Applied {
  readonly changes: readonly Change[];
  /** What the data plane refused, and why; it is tried again with the next ruleset. */
  readonly refused: ReadonlyMap<Key, string>;
}

const MOST_ROUNDS = 16;

export class Dataplane {
  #backend: Backend | null = null;
  /** What is in force; null = not known: it must be read first. */
  #inForce: Map<Key, Item> | null = null;
  /** Keys that may differ between what is in force and what is wanted; null = any may. */
  #behind: Map<Key, Change | null> | null = null;
  #closed = false;
  /** How often it was opened. */
  opened = 0;

  /** `lost` is called once for each backend that went away by itself. */
  constructor(
    private readonly open: () => Promise<Backend>,
    private readonly lost: (reason: Error) => void,
  ) {}

  get up(): boolean {
    return this.#backend !== null;
  }

  get backend(): Backend | null {
    return this.#backend;
  }

  get inForce(): Ruleset | null {
    return this.#inForce;
  }

  /** Makes the next apply read back first (downstream resync). */
  distrust(): void {
    this.#inForce = null;
  }

  /** What is really in force, read back. Throws DataplaneUnavailableError. */
  async read(): Promise<Ruleset> {
    this.#inForce = new Map(await this.#read(await this.#ready()));
    this.#behind = null;
    return this.#inForce;
  }

  /**
   * Brings the data plane to `wanted`. Items of `must` have to be in force in the end, else ApplyError and nothing is
   * changed; of the others, what is refused is left out and told. Throws DataplaneUnavailableError. `changed`: what led to
   * `wanted` from the ruleset wanted before, so that no more than that is compared; null = not known.
   */
  async apply(
    wanted: Ruleset,
    must: ReadonlySet<Key> = new Set(),
    changed: readonly Change[] | null = null,
  ): Promise<Applied> {
    if (changed === null) this.#behind = null;
    for (const change of changed ?? []) {
      this.#behind?.set(change.key, this.#behind.has(change.key) ? null : change);
    }
    const backend = await this.#ready();
    let before = this.#inForce;
    if (before === null) {
      before = new Map(await this.#read(backend));
      this.#behind = null;
    }
    const all =
      this.#behind === null ? diffRulesets(before, wanted) : changesOf(this.#behind, before, wanted);
    let changes = all;
    const refused = new Map<Key, string>();
    for (let round = 0; ; round++) {
      if (changes.length === 0) break;
      const failures = await this.#send(backend, changes);
      if (failures.size === 0) break;
      for (const [key, reason] of failures) refused.set(key, reason);
      changes = withoutRefused(before, changes, new Set(refused.keys()));
      const missing = all.find(({ key }) => must.has(key) && !changes.some((change) => change.key === key));
      if (missing !== undefined || round >= MOST_ROUNDS) throw applyError(missing?.key ?? null, refused);
    }
    const left = new Map<Key, Change | null>(all.map((change) => [change.key, change]));
    for (const change of changes) {
      left.delete(change.key);
      if (change.type === 'remove') before.delete(change.key);
      else before.set(change.key, change.item);
    }
    this.#inForce = before;
    this.#behind = left;
    return { changes, refused };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const backend = this.#backend;
    this.#backend = null;
    await backend?.close();
  }

  async #ready(): Promise<Backend> {
    if (this.#backend !== null) return this.#backend;
    if (this.#closed) throw new DataplaneUnavailableError('closed', {});
    let backend: Backend;
    try {
      backend = await this.open();
    } catch (cause) {
      throw new DataplaneUnavailableError(`the data plane cannot be reached: ${errorText(cause)}`, {
        cause,
        retryable: true,
      });
    }
    this.#backend = backend;
    this.#inForce = null;
    this.opened++;
    backend.lost.then(
      (reason) => this.#drop(backend, reason),
      (reason: unknown) => this.#drop(backend, reason instanceof Error ? reason : new Error(String(reason))),
    );
    return backend;
  }

  #drop(backend: Backend, reason: Error): void {
    if (this.#backend !== backend) return;
    this.#backend = null;
    this.#inForce = null;
    // It is gone already; closing only frees our end.
    backend.close().catch(() => undefined);
    if (!this.#closed) this.lost(reason);
  }

  async #read(backend: Backend): Promise<Ruleset> {
    try {
      return await backend.dump();
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  /** The changes that failed; then none is in force. */
  async #send(backend: Backend, changes: readonly Change[]): Promise<ReadonlyMap<Key, string>> {
    try {
      const results = await backend.apply(changes);
      const failures = new Map<Key, string>();
      for (const { key, error } of results)
        if (error !== null) failures.set(key, `${error.name}: ${error.message}`);
      return failures;
    } catch (cause) {
      // Whether it happened is unknown.
      this.#inForce = null;
      throw unavailable(cause);
    }
  }
}

function unavailable(cause: unknown): DataplaneUnavailableError {
  return new DataplaneUnavailableError(`the data plane does not answer: ${errorText(cause)}`, {
    cause,
    retryable: true,
  });
}

function applyError(key: Key | null, refused: ReadonlyMap<Key, string>): ApplyError {
  const reasons = [...refused].slice(0, 3).map(([refusedKey, reason]) => `${refusedKey}: ${reason}`);
  const more = refused.size > 3 ? `, and ${refused.size - 3} more` : '';
  return new ApplyError(
    `the data plane refuses it: ${reasons.join('; ')}${more}`,
    key === null ? {} : { object: key },
  );
}
