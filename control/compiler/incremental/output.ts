import { sameItem } from '../../ruleset/canonical.js';
import { inOrder } from '../../ruleset/diff.js';
import type { AddressDelta, AddressSetItem, Change, Item, Key, Ruleset } from '../../ruleset/types.js';

interface Pending {
  /** null = removed. */
  readonly item: Item | null;
  readonly delta?: { readonly from: Item; readonly delta: AddressDelta };
}

/** The ruleset as it stands, and what one event does to it. */
export class Output {
  readonly #items = new Map<Key, Item>();
  /**
   * Put away rather than cleared, as all that only lives for one event: a table that was cleared leads to the one after it, and once one
   * has grown old, the engine keeps all that come after it.
   */
  #pending = new Map<Key, Pending>();

  /** As of the last `take`. */
  get ruleset(): Ruleset {
    return this.#items;
  }

  put(item: Item): void {
    this.#pending.set(item.key, { item });
  }

  remove(key: Key): void {
    this.#pending.set(key, { item: null });
  }

  /** Puts a set that differs from `old` by `delta`. */
  updateSet(old: AddressSetItem, item: AddressSetItem, delta: AddressDelta): void {
    this.#pending.set(item.key, { item, delta: { from: old, delta } });
  }

  /** What was put and removed since the last call, as changes, in the order of `diffRulesets`; what is as it was is left out. */
  take(): readonly Change[] {
    const puts: Change[] = [];
    const removes: Change[] = [];
    const pending = this.#pending;
    if (pending.size === 0) return [];
    this.#pending = new Map();
    for (const [key, { item, delta }] of pending) {
      const old = this.#items.get(key);
      if (item === null) {
        if (old === undefined) continue;
        removes.push({ type: 'remove', key, old });
        this.#items.delete(key);
        continue;
      }
      if (old === undefined) puts.push({ type: 'add', key, item });
      else if (delta?.from === old) puts.push({ type: 'update', key, item, old, delta: delta.delta });
      else if (!sameItem(old, item)) puts.push({ type: 'update', key, item, old });
      else continue;
      this.#items.set(key, item);
    }
    return inOrder(puts, removes);
  }
}
