/** What is wanted of VPP, what it holds, and the way from one to the other. */
import type { Change, Item, Key } from '../../ruleset/types.js';
import { Ledger } from '../ledger.js';
import type { VppApi } from './api/api.js';
import { typed } from './api/typed.js';
import { blameFaults, type Failures, type Fault } from './objects/blame.js';
import { PlanError, UnsupportedError } from './objects/errors.js';
import { HandleTable } from './objects/handles.js';
import { damaged } from './objects/look.js';
import { type Missing, missingOf } from './objects/missing.js';
import { type Plan, planObjects } from './objects/plan.js';
import { ReadOnce } from './objects/read-once.js';
import { type Reading, readAll, readKinds } from './objects/reading.js';
import { type Rendered, Rendering } from './objects/render.js';
import { sameObject } from './objects/same.js';
import { type Failure, type Sending, sendPlan } from './objects/send.js';
import { There } from './objects/there.js';
import type { Descriptor, ObjectKey, Renderer, VppContext, VppOptions } from './objects/types.js';
import type { InForce } from './observe.js';

/** So often a transaction is planned anew because VPP held something else than was known. */
const MOST_ROUNDS = 3;

export interface EngineSpec {
  readonly api: VppApi;
  readonly options: VppOptions;
  readonly renderers: readonly Renderer[];
  /** In the order in which they are read. */
  readonly descriptors: readonly Descriptor[];
  readonly log: (line: string) => void;
  /** Kinds that `looksRight` looks at, instead of those it does. */
  readonly lookedAt?: ReadonlySet<string>;
  /** Waits so many milliseconds; a timer when absent. */
  readonly wait?: (milliseconds: number) => Promise<void>;
}

export class Engine {
  readonly vpp: VppContext & { readonly handles: HandleTable };
  readonly missing: readonly Missing[];
  readonly rendering: Rendering;
  readonly #there = new There();
  readonly #ledger = new Ledger();
  readonly #reading: Reading;
  readonly #sending: Sending;
  /** Whether `there` is what VPP holds; false before it was first read, and when an outcome is unknown. */
  #known = false;
  /** VPP holds something else than what is in force: the next plan looks at everything. */
  #stale = false;
  /** Whether the last plan left nothing of that. */
  #mended = true;
  /** Objects the transaction at hand may have changed. */
  readonly #planned = new Set<ObjectKey>();
  #lost: Error | null = null;

  constructor(private readonly spec: EngineSpec) {
    const { api, options, renderers, descriptors } = spec;
    this.vpp = { api: typed(api), options, handles: new HandleTable() };
    this.missing = missingOf(api, descriptors);
    const cannot = new Set(this.missing.map(({ kind }) => kind));
    const able = descriptors.filter(({ kind }) => !cannot.has(kind));
    const once = new ReadOnce(api);
    const vpp = { ...this.vpp, api: typed(once) };
    this.#reading = { vpp, once, descriptors: able, there: this.#there };
    this.rendering = new Rendering(renderers, options, this.#ledger);
    this.#sending = {
      vpp: this.vpp,
      descriptors: new Map(able.map((descriptor) => [descriptor.kind, descriptor])),
      there: this.#there,
      wait: spec.wait ?? ((milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))),
      lost: () => this.#lost !== null,
    };
    void api.lost.then((reason) => {
      this.#lost = reason;
    });
  }

  /** Whether what VPP holds is known, and is what is in force. */
  get sound(): boolean {
    return this.#known && !this.#stale;
  }

  get known(): boolean {
    return this.#known;
  }

  /** Takes items as in force without telling VPP. Returns the keys of those that can no longer be rendered. */
  adopt(items: Iterable<Item>): readonly Key[] {
    let left = [...items];
    const refused: Key[] = [];
    while (left.length > 0) {
      const { failures } = this.render(
        left.map((item) => ({ type: 'add', key: item.key, item })),
        [],
      );
      if (failures.size === 0) break;
      refused.push(...failures.keys());
      left = left.filter(({ key }) => !failures.has(key));
    }
    this.#ledger.commit();
    return refused;
  }

  /** Reads all that VPP holds of ours. */
  async read(): Promise<void> {
    this.#known = false;
    await readAll(this.#reading);
    this.#known = true;
    const differences = this.differences();
    this.#stale = differences.length > 0;
    if (!this.#stale || this.rendering.items.size === 0) return;
    const more = differences.length > 5 ? `, and ${differences.length - 5} more` : '';
    this.spec.log(`VPP does not hold what was put in: ${differences.slice(0, 5).join(', ')}${more}`);
  }

  /** Whether what a look costs little to see is as it was put in. */
  async looksRight(): Promise<boolean> {
    return (await damaged(this.#reading, this.rendering.wanted.values(), this.spec.lookedAt)).length === 0;
  }

  /** Whether VPP holds all an item asks for, as far as is known. */
  holds(item: Item): boolean {
    for (const key of this.rendering.objectsOf(item.key)) if (!this.#isAsWanted(key)) return false;
    return true;
  }

  /** Objects that VPP does not hold as they were put in, a word for each. */
  differences(): readonly string[] {
    const { wanted } = this.rendering;
    const missing = [...wanted.keys()].flatMap((key) => {
      if (this.#isAsWanted(key)) return [];
      return [`${key} ${this.#there.get(key) === undefined ? 'is missing' : 'is another'}`];
    });
    const left = [...this.#there.keys()].filter((key) => wanted.get(key) === undefined);
    return [...missing, ...left.map((key) => `${key} is nobody's`)];
  }

  /** Works changes out. When something is wrong with them they are taken back at once. */
  render(changes: readonly Change[], silent: readonly Key[]): Rendered {
    const rendered = this.rendering.change(changes, silent);
    const failures = new Map(rendered.failures);
    const lacking = [...rendered.touched.keys()].flatMap((key) => {
      const lack = this.#lackOf(key);
      return lack === undefined ? [] : [{ key, error: new UnsupportedError(key, lack.kind, lack.messages) }];
    });
    for (const [key, error] of this.blame(changes, rendered, lacking)) failures.set(key, error);
    if (failures.size > 0) this.rollback();
    return { touched: rendered.touched, failures };
  }

  /** Changes that what is wrong with objects is the fault of. */
  blame(changes: readonly Change[], rendered: Rendered, faults: readonly Fault[]): Failures {
    return blameFaults(changes, rendered, faults, (key) => this.rendering.ownersOf(key));
  }

  /**
   * Makes VPP hold what was rendered. Returns what it refuses of these objects and of what they need, after nothing else that
   * helps was found; then not all is done, and `takeBack` follows. Throws PlanError (nothing was sent) and when VPP is lost.
   */
  async carryOut(touched: Iterable<ObjectKey>): Promise<readonly Failure[]> {
    const keys = this.#withNeeds(touched);
    this.#planned.clear();
    this.#mended = !this.#stale || (await this.#mend(keys));
    let refused: readonly Failure[] = [];
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const plan = round === 0 ? this.#plan(keys) : this.#planOrNull(keys);
      if (plan === null) return refused;
      // What VPP refused because it had been done, or undone, behind our back is not asked for again.
      const again = refused.filter((failure) => isPartOf(plan, failure));
      if (again.length > 0) return again;
      for (const key of keysOf(plan)) keys.add(key);
      refused = await this.#send(plan);
      if (refused.length === 0) return [];
      await this.#readAgain(refused);
    }
    return refused;
  }

  /** What the last `carryOut` changed is made as it was before. Throws when VPP is lost. */
  async takeBack(): Promise<void> {
    this.rollback();
    const plan = this.#planOrNull(this.#withNeeds(this.#planned));
    const left = plan === null ? [] : await this.#send(plan);
    if (plan !== null && left.length === 0) return;
    this.#tell('cannot be taken back', left);
    this.#known = false;
  }

  /** VPP holds what was rendered, these objects among it. */
  commit(touched: Iterable<ObjectKey>): void {
    this.#ledger.commit();
    for (const key of touched) this.#isAsWanted(key);
    this.#stale = !this.#mended;
  }

  rollback(): void {
    this.#ledger.rollback();
  }

  inForce(): InForce {
    const { rendering, vpp } = this;
    return {
      ...vpp,
      items: rendering.items,
      objects: rendering.wanted,
      ownersOf: (key) => rendering.ownersOf(key),
    };
  }

  /** Everything at once, the touched objects among it. False: VPP refuses some of it, and the touched ones go on alone. */
  async #mend(touched: ReadonlySet<ObjectKey>): Promise<boolean> {
    const keys = new Set([...touched, ...this.rendering.wanted.keys(), ...this.#there.keys()]);
    const plan = this.#planOrNull(keys);
    if (plan === null) return false;
    const refused = await this.#send(plan);
    if (refused.length === 0) return true;
    await this.#readAgain(refused);
    const others = refused.filter(({ action }) => !touched.has(action.object.key));
    if (others.length > 0) this.#tell('cannot be mended', others);
    return false;
  }

  #plan(keys: Iterable<ObjectKey>): Plan {
    const { wanted } = this.rendering;
    return planObjects(keys, {
      wanted: (key) => wanted.get(key),
      there: (key) => this.#there.get(key),
      dependents: (key) => this.#there.dependents(key),
      canUpdate: (kind) => this.#sending.descriptors.get(kind)?.update !== undefined,
    });
  }

  #planOrNull(keys: Iterable<ObjectKey>): Plan | null {
    try {
      return this.#plan(keys);
    } catch (error) {
      if (!(error instanceof PlanError)) throw error;
      this.spec.log(error.message);
      return null;
    }
  }

  /** What VPP refused; then not all is done. Throws when VPP is lost. */
  async #send(plan: Plan): Promise<readonly Failure[]> {
    for (const key of keysOf(plan)) this.#planned.add(key);
    const failures = await sendPlan(plan, this.#sending);
    if (failures.length > 0) await this.#throwIfLost();
    return failures;
  }

  #withNeeds(keys: Iterable<ObjectKey>): Set<ObjectKey> {
    const all = new Set(keys);
    for (const key of all) for (const need of this.rendering.wanted.get(key)?.needs ?? []) all.add(need);
    return all;
  }

  #tell(what: string, failures: readonly Failure[]): void {
    this.spec.log(`${what}: ${failures.map(({ error }) => error.message).join('; ')}`);
  }

  #isAsWanted(key: ObjectKey): boolean {
    const [wanted, there] = [this.rendering.wanted.get(key), this.#there.get(key)];
    if (wanted === undefined || there === undefined || !sameObject(wanted, there)) return false;
    // What was read says less than what is wanted: nothing of needs that VPP does not know.
    if (wanted !== there) this.#there.set(wanted);
    return true;
  }

  #lackOf(key: ObjectKey): Missing | undefined {
    const kind = this.rendering.wanted.get(key)?.kind;
    return this.missing.length === 0 ? undefined : this.missing.find((lack) => lack.kind === kind);
  }

  /** Whoever fails half-way may leave half of it behind; and what was refused may be there, or gone, already. */
  async #readAgain(failures: readonly Failure[]): Promise<void> {
    const kinds = new Set(failures.map(({ action }) => action.object.kind));
    await readKinds(this.#reading, kinds);
    for (const { key, kind } of [...this.#there.values()]) {
      if (kinds.has(kind) && !this.#isAsWanted(key)) this.#planned.add(key);
    }
  }

  /** The end of the connection is known a little after the requests it failed. */
  async #throwIfLost(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#lost !== null) throw this.#lost;
  }
}

function* keysOf({ waves }: Plan): Iterable<ObjectKey> {
  for (const wave of waves) for (const { object } of wave) yield object.key;
}

function isPartOf({ waves }: Plan, { action }: Failure): boolean {
  return waves.some((wave) =>
    wave.some(({ type, object }) => type === action.type && object.key === action.object.key),
  );
}
