/**
 * From items to the objects VPP shall hold. Each renderer's answer for each item is kept with what it asked for, so that a changed
 * item renders anew only itself and those whose answers it changed. Pure: a transaction is committed or rolled back whole.
 */
import { PteropusError } from '../../../common/errors.js';
import type { Change, Item, ItemKind, Key } from '../../../ruleset/types.js';
import { type Ledger, TrackedIndex, TrackedMap } from '../../ledger.js';
import { RenderError } from './errors.js';
import { Items } from './items.js';
import { sameObject, sameValue } from './same.js';
import type { ObjectKey, Renderer, View, VppObject, VppOptions } from './types.js';

/** One renderer's answer for one item. */
interface Unit {
  readonly item: Key;
  readonly objects: ReadonlyMap<ObjectKey, VppObject>;
  readonly keys: ReadonlySet<Key>;
  readonly kinds: ReadonlySet<ItemKind>;
}

type UnitId = string;

/** What a transaction changes, and whose fault it would be. */
export interface Rendered {
  /** Objects that may not be what they were -> changes that led to it. */
  readonly touched: ReadonlyMap<ObjectKey, ReadonlySet<Key>>;
  /** Key of a change -> what is wrong with it. Not empty: the transaction is to be rolled back. */
  readonly failures: ReadonlyMap<Key, PteropusError>;
}

/** An object a transaction may change. */
interface Touch {
  readonly causes: Set<Key>;
  /** Units that want it new or otherwise than before. */
  readonly by: UnitId[];
}

export class Rendering {
  readonly items: Items;
  /** What VPP shall hold. */
  readonly wanted: TrackedMap<ObjectKey, VppObject>;
  readonly #units: TrackedMap<UnitId, Unit>;
  readonly #unitsOf: TrackedIndex<Key, UnitId>;
  readonly #owners: TrackedIndex<ObjectKey, UnitId>;
  readonly #readersOfKey: TrackedIndex<Key, UnitId>;
  readonly #readersOfKind: TrackedIndex<ItemKind, UnitId>;
  readonly #renderersOf = new Map<ItemKind, readonly number[]>();

  constructor(
    private readonly renderers: readonly Renderer[],
    private readonly options: VppOptions,
    ledger: Ledger,
  ) {
    this.items = new Items(ledger);
    this.wanted = new TrackedMap(ledger);
    this.#units = new TrackedMap(ledger);
    this.#unitsOf = new TrackedIndex(ledger);
    this.#owners = new TrackedIndex(ledger);
    this.#readersOfKey = new TrackedIndex(ledger);
    this.#readersOfKind = new TrackedIndex(ledger);
  }

  /** Keys of the objects an item has part in. */
  *objectsOf(item: Key): Iterable<ObjectKey> {
    for (const id of this.#unitsOf.get(item)) {
      yield* this.#units.get(id)?.objects.keys() ?? [];
    }
  }

  /** Keys of the items that have part in an object. */
  ownersOf(object: ObjectKey): readonly Key[] {
    return [...this.#owners.get(object)].flatMap((id) => this.#units.get(id)?.item ?? []);
  }

  /** Works the changes out. `silent`: items removed beside them, whose referrers are not asked. */
  change(changes: readonly Change[], silent: readonly Key[] = []): Rendered {
    const failures = new Failures(changes);
    const changed = new Map(this.items.change(changes));
    for (const error of this.items.dangling(changes.map(({ key }) => key))) failures.note(error);
    const gone = this.items.change(silent.flatMap((key) => removal(this.items.get(key))));
    const touched = new Map<ObjectKey, Touch>();
    if (failures.byKey.size > 0) return { touched: new Map(), failures: failures.byKey };
    for (const [id, causes] of this.#dirty([...changed, ...gone])) {
      failures.of(causes, () => this.#renderAnew(id, causes, touched));
    }
    for (const [key, { causes, by }] of touched) failures.of(causes, () => this.#settle(key, by));
    const causes = new Map([...touched].map(([key, touch]) => [key, touch.causes]));
    return { touched: causes, failures: failures.byKey };
  }

  /** Units to be rendered anew, with the changed items that make it necessary. */
  #dirty(changed: Iterable<readonly [Key, Item | undefined]>): ReadonlyMap<UnitId, ReadonlySet<Key>> {
    const dirty = new Map<UnitId, Set<Key>>();
    const add = (id: UnitId, cause: Key): void => {
      const causes = dirty.get(id);
      if (causes === undefined) dirty.set(id, new Set([cause]));
      else causes.add(cause);
    };
    for (const [key, old] of changed) {
      const kind = (this.items.get(key) ?? old)?.kind;
      if (kind === undefined) continue;
      for (const renderer of this.#renderersFor(kind)) add(`${renderer} ${key}`, key);
      for (const id of this.#readersOfKey.get(key)) add(id, key);
      for (const id of this.#readersOfKind.get(kind)) add(id, key);
    }
    return dirty;
  }

  #renderersFor(kind: ItemKind): readonly number[] {
    let found = this.#renderersOf.get(kind);
    if (found === undefined) {
      found = this.renderers.flatMap(({ kinds }, i) => (kinds.includes(kind) ? [i] : []));
      this.#renderersOf.set(kind, found);
    }
    return found;
  }

  #renderAnew(id: UnitId, causes: ReadonlySet<Key>, touched: Map<ObjectKey, Touch>): void {
    const space = id.indexOf(' ');
    const key = id.slice(space + 1);
    const renderer = this.renderers[Number(id.slice(0, space))];
    const item = this.items.get(key);
    const old = this.#units.get(id);
    const now = item === undefined || renderer === undefined ? undefined : this.#render(renderer, item);
    this.#follow(id, this.#readersOfKey, old?.keys, now?.keys);
    this.#follow(id, this.#readersOfKind, old?.kinds, now?.kinds);
    const touch = (object: ObjectKey): Touch => {
      const known = touched.get(object) ?? { causes: new Set(), by: [] };
      for (const cause of causes) known.causes.add(cause);
      touched.set(object, known);
      return known;
    };
    for (const [object, wanted] of now?.objects ?? []) {
      const before = old?.objects.get(object);
      if (before === undefined) this.#owners.add(object, id);
      if (before === undefined || !sameEntirely(before, wanted)) touch(object).by.push(id);
    }
    for (const object of old?.objects.keys() ?? []) {
      if (now?.objects.has(object)) continue;
      this.#owners.delete(object, id);
      touch(object);
    }
    if (now !== undefined) this.#units.set(id, now);
    else this.#units.delete(id);
    if (now === undefined) this.#unitsOf.delete(key, id);
    else this.#unitsOf.add(key, id);
  }

  #render(renderer: Renderer, item: Item): Unit {
    const keys = new Set<Key>();
    const kinds = new Set<ItemKind>();
    const { items, options } = this;
    const view: View = {
      options,
      get: (key) => {
        keys.add(key);
        return items.get(key);
      },
      all: (kind) => {
        kinds.add(kind);
        return items.ofKind(kind);
      },
    };
    const objects = new Map<ObjectKey, VppObject>();
    for (const object of renderer.render(item, view)) {
      const twin = objects.get(object.key);
      if (twin === undefined) objects.set(object.key, object);
      else if (!sameObject(twin, object)) throw new RenderError(`wants two kinds of ${object.key}`, item.key);
    }
    return { item: item.key, objects, keys, kinds };
  }

  #follow<T>(
    id: UnitId,
    readers: TrackedIndex<T, UnitId>,
    old: ReadonlySet<T> = new Set(),
    now: ReadonlySet<T> = new Set(),
  ): void {
    for (const key of old) if (!now.has(key)) readers.delete(key, id);
    for (const key of now) if (!old.has(key)) readers.add(key, id);
  }

  /** What an object is to be, by all who have part in it. Throws RenderError when they do not agree. */
  #settle(key: ObjectKey, by: readonly UnitId[]): void {
    const owners = this.#owners.get(key);
    const old = this.wanted.get(key);
    if (owners.size === 0) {
      if (old !== undefined) this.wanted.delete(key);
      return;
    }
    // Those who want it as before agree with one another.
    let settled = owners.size > by.length ? old : undefined;
    for (const id of by) {
      const unit = this.#units.get(id);
      const object = unit?.objects.get(key);
      if (unit === undefined || object === undefined) continue;
      if (settled === undefined) settled = object;
      else if (!sameObject(settled, object)) {
        const other = this.ownersOf(key).find((item) => item !== unit.item);
        throw new RenderError(`wants another ${key} than ${other}`, unit.item);
      } else if (!object.needs.every((need) => settled?.needs.includes(need))) {
        settled = { ...settled, needs: [...new Set([...settled.needs, ...object.needs])] };
      }
    }
    if (settled !== undefined && settled !== old) this.wanted.set(key, settled);
  }
}

function removal(item: Item | undefined): readonly Change[] {
  return item === undefined ? [] : [{ type: 'remove', key: item.key, old: item }];
}

function sameEntirely(a: VppObject, b: VppObject): boolean {
  return (
    sameObject(a, b) &&
    sameValue(a.needs, b.needs) &&
    sameValue(a.claims, b.claims) &&
    sameValue(a.notes, b.notes)
  );
}

/** Whose fault errors are: of the change they are about, else of those that led to them. Of each, the first error is told. */
class Failures {
  readonly byKey = new Map<Key, PteropusError>();
  readonly #keys: ReadonlySet<unknown>;

  constructor(changes: readonly Change[]) {
    this.#keys = new Set(changes.map(({ key }) => key));
  }

  of(causes: ReadonlySet<Key>, work: () => void): void {
    try {
      work();
    } catch (error) {
      // An item a renderer stumbles over is refused like one that cannot be: all others are none the worse.
      const known = error instanceof PteropusError;
      this.note(
        known ? error : new PteropusError(`a renderer failed: ${String(error)}`, { cause: error }),
        causes,
      );
    }
  }

  note(error: PteropusError, causes: ReadonlySet<Key> = new Set()): void {
    const about = [error.object, error.value].filter((name) => this.#keys.has(name)).slice(0, 1);
    const led = about.length > 0 ? about : [...causes].filter((key) => this.#keys.has(key));
    for (const key of led.length > 0 ? led : this.#keys) {
      if (!this.byKey.has(key as Key)) this.byKey.set(key as Key, error);
    }
  }
}
