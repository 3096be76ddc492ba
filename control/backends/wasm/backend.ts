/**
 * The wasm backend: lowers changes into the spare image, publishes it by one atomic store, then brings the other image level
 * ("left-right"), so that packets see a transaction whole or not at all and the pipeline never waits.
 */
import { errorText, PteropusError } from '../../common/errors.js';
import { Turns } from '../../common/turns.js';
import type { Change, Item, Key } from '../../ruleset/types.js';
import type { Backend, ChangeResult, Counters, Trace, TraceFilter } from '../backend.js';
import type { Operation } from './cells.js';
import { CounterReader } from './counters.js';
import { Image } from './image.js';
import { Lowering } from './lowering.js';
import { activeImageAt, type MemoryPlan, wordsOf } from './memory.js';
import { type LinkPlan, OpenLinks } from './open-links.js';
import type { Neighbor } from './routes.js';
import type { Runner } from './runner.js';
import { Tracer } from './tracer.js';

export class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly lost: Promise<Error>;
  readonly #words: Uint32Array;
  readonly #lowering: Lowering;
  readonly #images: readonly [Image, Image];
  readonly #links: OpenLinks;
  readonly #counters: CounterReader;
  readonly #tracer: Tracer;
  #active = 0;
  #generation = 1;
  /** Something in memory is not as it was written: the next transaction writes both images anew. */
  #damaged = false;
  #neighbors: readonly Neighbor[] = [];
  /** One thing at a time, in the order asked for. */
  readonly #turns = new Turns();

  constructor(
    readonly plan: MemoryPlan,
    memory: WebAssembly.Memory,
    readonly runner: Runner,
    /** Those of further workers: their images are this one's. */
    others: readonly WebAssembly.Memory[] = [],
  ) {
    this.lost = runner.lost;
    this.#words = wordsOf(memory);
    this.#lowering = new Lowering(plan.image);
    const [first, second] = plan.images;
    this.#images = [new Image(this.#words, first, plan.image), new Image(this.#words, second, plan.image)];
    this.#links = new OpenLinks(runner);
    this.#counters = new CounterReader([memory, ...others]);
    this.#tracer = new Tracer([memory, ...others], this.#lowering);
  }

  apply(changes: readonly Change[]): Promise<readonly ChangeResult[]> {
    return this.#turns.take(() => this.#apply(changes));
  }

  dump(): Promise<ReadonlyMap<Key, Item>> {
    return this.#turns.take(async () => {
      const found = new Map<Key, Item>();
      const headers = this.#images.every((image) => image.headerHolds());
      for (const [key, item] of this.#lowering.items) if (headers && this.#holds(item)) found.set(key, item);
      if (found.size < this.#lowering.items.size || !headers) this.#damaged = true;
      return found;
    });
  }

  counters(): Promise<Counters> {
    return this.#turns.take(async () => {
      const ports = [...this.#lowering.ports.indexes()].map(([port]) => port);
      // While the worker is being replaced there is nobody to ask; its counters start anew then.
      const lost = await this.runner.feedCounters(ports).catch(() => []);
      return this.#counters.read(this.#lowering, new Map(ports.map((port, i) => [port, lost[i]])));
    });
  }

  trace(filter: TraceFilter): Promise<Trace> {
    return this.#turns.take(async () => this.#tracer.start(filter));
  }

  async close(): Promise<void> {
    await this.#turns.take(() => this.runner.close());
  }

  async #apply(changes: readonly Change[]): Promise<readonly ChangeResult[]> {
    if (changes.length === 0) return [];
    for (const change of changes) {
      const item = this.#lowering.items.get(change.key);
      if (item !== undefined && !this.#holds(concerned(item, change))) this.#damaged = true;
    }
    let links: LinkPlan;
    try {
      const { operations, fresh } = this.#lowering.plan(changes);
      links = this.#links.plan(this.#lowering.ports);
      await links.open();
      this.#counters.restart(fresh);
      await this.#publish(operations);
    } catch (error) {
      this.#lowering.rollback();
      return failed(changes, error);
    }
    this.#lowering.commit();
    await links.finish();
    const neighbors = this.#lowering.routes.neighbors();
    if (neighbors !== this.#neighbors) this.runner.setNeighbors(neighbors);
    this.#neighbors = neighbors;
    return changes.map(({ key }) => ({ key, error: null }));
  }

  async #publish(operations: readonly Operation[]): Promise<void> {
    const rebuild = this.#damaged ? this.#lowering.cells.everything() : null;
    const write = (image: Image): void => {
      if (rebuild !== null) image.reset();
      image.play(rebuild ?? operations);
      image.noteTunnels(rebuild ?? operations, this.#generation);
      image.generation = this.#generation;
    };
    this.#generation = (this.#generation + 1) >>> 0;
    const spare = this.#images[1 - this.#active] as Image;
    const old = this.#images[this.#active] as Image;
    write(spare);
    Atomics.store(this.#words, activeImageAt(this.plan) >>> 2, spare.base);
    this.#active = 1 - this.#active;
    await this.runner.quiesce();
    write(old);
    this.#damaged = false;
  }

  /** True if all an item lowered to lies in both images as written. */
  #holds(item: Item): boolean {
    return this.#lowering.unitsOf(item).every((id) => {
      const unit = this.#lowering.cells.get(id);
      return unit === undefined || this.#images.every((image) => image.holds(unit));
    });
  }
}

/** What a change is about: of a set only what goes, where that is known. What stays is looked at when all is read back. */
function concerned(item: Item, change: Change): Item {
  if (change.type !== 'update' || change.delta === undefined || change.old !== item) return item;
  return { kind: 'addressset', key: item.key, addresses: change.delta.removed, blocks: [] };
}

/**
 * Nothing is in force. The change to blame carries the error: that of the item the error names, or the one that removed what
 * that item needs; all of them when it is about none of them (the data plane is lost, say).
 */
function failed(changes: readonly Change[], error: unknown): ChangeResult[] {
  const known = error instanceof PteropusError ? error : undefined;
  const about = [known?.object, known?.value].find((name) => changes.some(({ key }) => key === name));
  const name = error instanceof Error ? error.name : 'Error';
  const told = { name, message: errorText(error), retryable: known?.retryable ?? false };
  return changes.map(({ key }) => ({ key, error: about === undefined || about === key ? told : null }));
}
