/** What is wanted of VPP, what it holds, and the way from one to the other. */
import type { Change, Item, Key } from '../../ruleset/types.js';
import { Ledger } from '../wasm/ledger.js';
import type { VppApi } from './api/api.js';
import { blameFaults, type Failures, type Fault } from './objects/blame.js';
import { UnsupportedError } from './objects/errors.js';
import { HandleTable } from './objects/handles.js';
import { type Missing, missingOf } from './objects/missing.js';
import { type Plan, planObjects } from './objects/plan.js';
import { type Rendered, Rendering } from './objects/render.js';
import { sameObject } from './objects/same.js';
import { type Failure, type Sending, sendPlan } from './objects/send.js';
import { There } from './objects/there.js';
import type { Descriptor, ObjectKey, Renderer, VppContext, VppOptions } from './objects/types.js';
import type { InForce } from './observe.js';

export interface EngineSpec {
  readonly api: VppApi;
  readonly options: VppOptions;
  readonly renderers: readonly Renderer[];
  /** In the order in which they are read. */
  readonly descriptors: readonly Descriptor[];
  readonly log: (line: string) => void;
  /** Waits so many milliseconds; a timer when absent. */
  readonly wait?: (milliseconds: number) => Promise<void>;
}

export class Engine {
  readonly vpp: VppContext & { readonly handles: HandleTable };
  readonly missing: readonly Missing[];
  readonly rendering: Rendering;
  readonly #there = new There();
  readonly #ledger = new Ledger();
  readonly #descriptors: readonly Descriptor[];
  readonly #sending: Sending;
  /** Whether `there` is what VPP holds; false before it was first read, and when an outcome is unknown. */
  #known = false;
  /** VPP holds something else than what is in force: the next plan looks at everything. */
  #stale = false;
  #lost: Error | null = null;

  constructor(private readonly spec: EngineSpec) {
    const { api, options, renderers, descriptors } = spec;
    this.vpp = { api, options, handles: new HandleTable() };
    this.missing = missingOf(api, descriptors);
    const cannot = new Set(this.missing.map(({ kind }) => kind));
    this.#descriptors = descriptors.filter(({ kind }) => !cannot.has(kind));
    this.rendering = new Rendering(renderers, options, this.#ledger);
    this.#sending = {
      vpp: this.vpp,
      descriptors: new Map(this.#descriptors.map((descriptor) => [descriptor.kind, descriptor])),
      there: this.#there,
      wait: spec.wait ?? ((milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))),
      lost: () => this.#lost !== null,
    };
    void api.lost.then((reason) => {
      this.#lost = reason;
    });
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
    this.vpp.handles.clear();
    this.#there.clear();
    for (const descriptor of this.#descriptors) await this.#readKind(descriptor);
    this.#known = true;
    const { wanted } = this.rendering;
    this.#stale = [...this.#there.keys()].some((key) => wanted.get(key) === undefined);
    for (const [key] of wanted) this.#stale ||= !this.#isAsWanted(key);
  }

  /** Whether VPP holds all an item asks for, as far as is known. */
  holds(item: Item): boolean {
    for (const key of this.rendering.objectsOf(item.key)) if (!this.#isAsWanted(key)) return false;
    return true;
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

  /** What is to be done about these objects, or about all of them if VPP does not hold what is in force. Throws PlanError. */
  plan(touched: Iterable<ObjectKey>): Plan {
    const { wanted } = this.rendering;
    const keys = this.#stale ? new Set([...wanted.keys(), ...this.#there.keys()]) : touched;
    return planObjects(keys, {
      wanted: (key) => wanted.get(key),
      there: (key) => this.#there.get(key),
      dependents: (key) => this.#there.dependents(key),
      canUpdate: (kind) => this.#sending.descriptors.get(kind)?.update !== undefined,
    });
  }

  /** What VPP refused; then not all is done. Throws when VPP is lost. */
  async send(plan: Plan): Promise<readonly Failure[]> {
    const failures = await sendPlan(plan, this.#sending);
    if (failures.length > 0) await this.#throwIfLost();
    return failures;
  }

  /** What a plan changed is made as it was before. Throws when VPP is lost. */
  async takeBack(plan: Plan, failures: readonly Failure[]): Promise<void> {
    this.rollback();
    const kinds = new Set(failures.map(({ action }) => action.object.kind));
    // Whoever fails half-way may leave half of it behind.
    for (const descriptor of this.#descriptors) {
      if (kinds.has(descriptor.kind)) await this.#readAnew(descriptor);
    }
    const keys = new Set([
      ...plan.waves.flatMap((wave) => wave.map(({ object }) => object.key)),
      ...[...this.#there.values()].flatMap(({ kind, key }) => (kinds.has(kind) ? [key] : [])),
    ]);
    try {
      const left = await this.send(this.plan(keys));
      if (left.length === 0) return;
      this.spec.log(`cannot be taken back: ${left.map(({ error }) => error.message).join('; ')}`);
    } catch (error) {
      await this.#throwIfLost();
      this.spec.log(`cannot be taken back: ${String(error)}`);
    }
    this.#known = false;
  }

  /** VPP holds what was rendered, these objects among it. */
  commit(touched: Iterable<ObjectKey>): void {
    this.#ledger.commit();
    for (const key of touched) this.#isAsWanted(key);
    this.#stale = false;
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

  async #readKind(descriptor: Descriptor): Promise<void> {
    for (const object of await descriptor.read(this.vpp)) this.#there.set(object);
  }

  async #readAnew(descriptor: Descriptor): Promise<void> {
    for (const { kind, key } of [...this.#there.values()]) {
      if (kind !== descriptor.kind) continue;
      this.#there.delete(key);
      this.vpp.handles.delete(key);
    }
    await this.#readKind(descriptor);
  }

  /** The end of the connection is known a little after the requests it failed. */
  async #throwIfLost(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#lost !== null) throw this.#lost;
  }
}
