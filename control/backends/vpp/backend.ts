/**
 * The VPP backend: renders items to objects, compares them with what VPP holds and sends the difference. A transaction that VPP
 * refuses in part is taken back. Nothing here knows a message: descriptors do.
 */
import { errorText } from '../../common/errors.js';
import { Turns } from '../../common/turns.js';
import type { Change, Item, Key } from '../../ruleset/types.js';
import type { Backend, ChangeResult, Counters, Trace, TraceFilter } from '../backend.js';
import type { Engine } from './engine.js';
import type { Keep } from './keep.js';
import { type Failures, resultsOf } from './objects/blame.js';
import { PlanError } from './objects/errors.js';
import type { Missing } from './objects/missing.js';
import type { Rendered } from './objects/render.js';
import type { VppContext } from './objects/types.js';
import type { Observer } from './observe.js';
import { shortfallsOf } from './services/limits.js';

export interface VppBackendParts {
  readonly engine: Engine;
  readonly observer: Observer;
  /** null: nothing outlives this process. */
  readonly keep: Keep | null;
  readonly log: (line: string) => void;
  /** Milliseconds between two looks; 0: none but those asked for. */
  readonly lookIntervalMs?: number;
}

export class VppBackend implements Backend {
  readonly name = 'vpp';
  readonly version: string;
  readonly lost: Promise<Error>;
  readonly #engine: Engine;
  /** Items of an earlier agent that are not all there; null: what is in force is what we were told ourselves. */
  #absent: ReadonlySet<Key> | null = new Set();
  /** One thing at a time, in the order asked for. */
  readonly #turns = new Turns();
  readonly #timer: NodeJS.Timeout | null;
  /** One is under way, or waits for its turn. */
  #looking = false;

  constructor(private readonly parts: VppBackendParts) {
    this.#engine = parts.engine;
    this.version = parts.engine.vpp.api.version;
    this.lost = parts.engine.vpp.api.lost;
    const { lookIntervalMs = 0 } = parts;
    this.#timer = lookIntervalMs > 0 ? setInterval(() => this.#lookAgain(), lookIntervalMs).unref() : null;
    void this.lost.then(() => this.#lookNoMore());
  }

  /** What the VPP at hand cannot hold, and for want of which messages. */
  get missing(): readonly Missing[] {
    return this.#engine.missing;
  }

  get vpp(): VppContext {
    return this.#engine.vpp;
  }

  apply(changes: readonly Change[]): Promise<readonly ChangeResult[]> {
    return this.#turns.take(() => this.#apply(changes));
  }

  dump(): Promise<ReadonlyMap<Key, Item>> {
    return this.#turns.take(async () => {
      await this.#engine.read();
      const found = new Map<Key, Item>();
      const absent = new Set<Key>();
      for (const item of this.#engine.rendering.items.values()) {
        if (this.#engine.holds(item)) found.set(item.key, item);
        else absent.add(item.key);
      }
      if (this.#absent !== null) this.#absent = absent;
      return found;
    });
  }

  /**
   * Looks whether pods' interfaces are judged and checked as they should be, and mends VPP if they are not: somebody else may have
   * been at it. Costs a few small dumps; all there is is compared by `dump`. True: something was wrong.
   */
  look(): Promise<boolean> {
    return this.#turns.take(async () => {
      const engine = this.#engine;
      // What is not there of an earlier agent's items is for the first change to say; what could not be mended is tried again with all of it.
      const unsettled = this.#absent !== null && this.#absent.size > 0;
      if (unsettled || !engine.sound || (await engine.looksRight())) return false;
      await engine.read();
      await this.parts.observer.beforeChange?.(engine.inForce());
      await engine.carryOut([]);
      engine.commit([]);
      return true;
    });
  }

  shortfalls(item: Item): readonly string[] {
    return shortfallsOf(item, this.#engine.rendering.items.get('node'), this.#engine.vpp);
  }

  counters(): Promise<Counters> {
    return this.#turns.take(() => this.parts.observer.counters(this.#engine.inForce()));
  }

  trace(filter: TraceFilter): Promise<Trace> {
    return this.#turns.take(() => this.parts.observer.trace(this.#engine.inForce(), filter));
  }

  /** Frees our end; VPP stays as it is. */
  async close(): Promise<void> {
    this.#lookNoMore();
    await this.#turns.take(async () => {
      await this.parts.observer.close();
      await this.parts.keep?.close();
      await this.#engine.vpp.api.close();
    });
  }

  #lookNoMore(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #lookAgain(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.look()
      // VPP may be lost, or the backend closed: whoever else speaks to it learns that.
      .catch((error: unknown) => this.parts.log(`VPP's state cannot be checked: ${errorText(error)}`))
      .finally(() => {
        this.#looking = false;
      });
  }

  async #apply(changes: readonly Change[]): Promise<readonly ChangeResult[]> {
    if (changes.length === 0) return [];
    const engine = this.#engine;
    if (!engine.known) await engine.read();
    if (changes.some(({ type }) => type !== 'add')) {
      await this.parts.observer.beforeChange?.(engine.inForce());
    }
    const { rendered, gone } = this.#render(changes);
    const failures = rendered.failures.size > 0 ? rendered.failures : await this.#send(changes, rendered);
    if (failures.size > 0) return resultsOf(changes, failures);
    engine.commit(rendered.touched.keys());
    this.#absent = null;
    this.#note(changes, gone);
    return resultsOf(changes, failures);
  }

  /**
   * Whoever takes over from an earlier agent has dumped, and believes that what was not there is gone: unless it is put in again, it
   * goes for good. What we were told ourselves is mended.
   */
  #render(changes: readonly Change[]): { readonly rendered: Rendered; readonly gone: readonly Key[] } {
    const put = new Set(changes.map(({ key }) => key));
    const gone = [...(this.#absent ?? [])].filter((key) => !put.has(key) && !this.#isReferredTo(key));
    const rendered = this.#engine.render(changes, gone);
    if (rendered.failures.size === 0 || gone.length === 0) return { rendered, gone };
    return { rendered: this.#engine.render(changes, []), gone: [] };
  }

  #isReferredTo(key: Key): boolean {
    for (const referrer of this.#engine.rendering.items.referrers(key)) {
      if (this.#absent?.has(referrer) !== true) return true;
    }
    return false;
  }

  /** Throws when VPP is lost. */
  async #send(changes: readonly Change[], rendered: Rendered): Promise<Failures> {
    const engine = this.#engine;
    try {
      const refused = await engine.carryOut(rendered.touched.keys());
      if (refused.length === 0) return new Map();
      const faults = refused.map(({ action, error }) => ({ key: action.object.key, error }));
      const blamed = engine.blame(changes, rendered, faults);
      await engine.takeBack();
      return blamed;
    } catch (error) {
      const blamed =
        error instanceof PlanError
          ? engine.blame(
              changes,
              rendered,
              error.objectKeys.map((key) => ({ key, error })),
            )
          : null;
      engine.rollback();
      if (blamed === null) throw error;
      return blamed;
    }
  }

  /** Nobody waits for it: whoever comes after an agent that ended before it was written compares a little more. */
  #note(changes: readonly Change[], gone: readonly Key[]): void {
    const { keep, log } = this.parts;
    keep?.note(changes, gone, this.#engine.rendering.items.values()).catch((error: unknown) => {
      log(`${keep.path} cannot be written: ${errorText(error)}`);
    });
  }
}
