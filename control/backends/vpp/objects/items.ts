/** The items in force, with what a transaction does to them: worked out whole, then committed or rolled back. */
import { sameItem } from '../../../ruleset/canonical.js';
import type { Change, Item, ItemKind, Key } from '../../../ruleset/types.js';
import { DanglingReferenceError } from '../../errors.js';
import { type Ledger, TrackedIndex, TrackedMap } from '../../ledger.js';

type Of<T extends ItemKind> = Extract<Item, { kind: T }>;

export class Items {
  readonly #items: TrackedMap<Key, Item>;
  readonly #kinds: TrackedIndex<ItemKind, Key>;
  /** Key -> items that refer to it. */
  readonly #referrers: TrackedIndex<Key, Key>;
  /** Lists that were asked for since the kind last changed. */
  readonly #lists = new Map<ItemKind, readonly Item[]>();

  constructor(private readonly ledger: Ledger) {
    this.#items = new TrackedMap(ledger);
    this.#kinds = new TrackedIndex(ledger);
    this.#referrers = new TrackedIndex(ledger);
  }

  get size(): number {
    return this.#items.size;
  }

  get(key: Key): Item | undefined {
    return this.#items.get(key);
  }

  values(): Iterable<Item> {
    return this.#items.values();
  }

  ofKind<T extends ItemKind>(kind: T): readonly Of<T>[] {
    let list = this.#lists.get(kind);
    if (list === undefined) {
      list = [...this.#kinds.get(kind)].flatMap((key) => this.#items.get(key) ?? []);
      this.#lists.set(kind, list);
    }
    return list as readonly Of<T>[];
  }

  /** Keys of the items that refer to this one. */
  referrers(key: Key): ReadonlySet<Key> {
    return this.#referrers.get(key);
  }

  /** Takes the changes; returns the keys of the items that are not what they were, with what they were. */
  change(changes: readonly Change[]): ReadonlyMap<Key, Item | undefined> {
    const before = new Map<Key, Item | undefined>();
    for (const change of changes) {
      const old = this.#items.get(change.key);
      if (!before.has(change.key)) before.set(change.key, old);
      this.#put(change.key, old, change.type === 'remove' ? undefined : change.item);
    }
    for (const [key, old] of before) {
      const now = this.#items.get(key);
      if (old === now || (old !== undefined && now !== undefined && sameItem(old, now))) before.delete(key);
    }
    return before;
  }

  /** Every reference, of a changed item or to a removed one, that leads nowhere. */
  dangling(changed: Iterable<Key>): readonly DanglingReferenceError[] {
    const found: DanglingReferenceError[] = [];
    const look = (item: Item, among: (key: Key) => boolean): void => {
      for (const { field, key, kind } of referencesOf(item)) {
        if (!among(key) || this.#items.get(key)?.kind === kind) continue;
        found.push(new DanglingReferenceError(item.key, field, key));
      }
    };
    const keys = new Set(changed);
    for (const key of keys) {
      const item = this.#items.get(key);
      if (item !== undefined) look(item, () => true);
      else {
        for (const referrer of this.#referrers.get(key)) {
          const from = keys.has(referrer) ? undefined : this.#items.get(referrer);
          if (from !== undefined) look(from, (about) => about === key);
        }
      }
    }
    return found;
  }

  #put(key: Key, old: Item | undefined, now: Item | undefined): void {
    for (const kind of new Set([old?.kind, now?.kind])) {
      if (kind === undefined) continue;
      this.#lists.delete(kind);
      this.ledger.note(() => this.#lists.delete(kind));
    }
    if (old !== undefined) {
      for (const reference of referencesOf(old)) this.#referrers.delete(reference.key, key);
    }
    if (now === undefined) {
      this.#items.delete(key);
      if (old !== undefined) this.#kinds.delete(old.kind, key);
      return;
    }
    this.#items.set(key, now);
    this.#kinds.add(now.kind, key);
    for (const reference of referencesOf(now)) this.#referrers.add(reference.key, key);
  }
}

interface Reference {
  readonly field: string;
  readonly key: Key;
  readonly kind: ItemKind;
}

/** What an item cannot be judged without. A route may be there before its interface: it drops until then. */
function referencesOf(item: Item): readonly Reference[] {
  if (item.kind === 'policy') {
    return item.rules.flatMap(({ peers }, i) =>
      (peers ?? []).map((key) => ({ field: `rules[${i}].peers`, key, kind: 'addressset' as const })),
    );
  }
  if (item.kind !== 'endpoint') return [];
  const judges = (['ingress', 'egress'] as const).flatMap((field) => {
    const key = item[field];
    return key === null ? [] : [{ field, key, kind: 'policy' as const }];
  });
  return [{ field: 'interface', key: item.interface, kind: 'interface' }, ...judges];
}
