/**
 * How changes cross between the agent and the data plane's process: an address set that both sides know goes as what came and went. Each
 * set has the name of its version; a delta says which version it is from, and the other side refuses one from a version that it does not
 * have, so that the set is sent whole.
 */
import { PteropusError } from '../../common/errors.js';
import { changedSet } from '../../ruleset/address-versions.js';
import type { AddressDelta, AddressSetItem, Change, Item, Key } from '../../ruleset/types.js';
import type { ChangeResult } from '../backend.js';

export type WireChange =
  /** Added, or in place of what has the key. */
  | { readonly type: 'put'; readonly item: Item; readonly version: string }
  | {
      readonly type: 'delta';
      readonly key: Key;
      readonly delta: AddressDelta;
      readonly base: string;
      readonly version: string;
    }
  | { readonly type: 'remove'; readonly key: Key };

/** A delta is from a version of a set that is not there. Nothing was applied; whole sets would be. */
export class LostBaseError extends PteropusError {}

export function keyOf(change: WireChange): Key {
  return change.type === 'put' ? change.item.key : change.key;
}

interface Known<I extends Item> {
  readonly item: I;
  readonly version: string;
}

/** The agent's side: what it has sent, and the data plane has in force. */
export class ChangeWriter {
  readonly #known = new Map<Key, Known<AddressSetItem>>();
  #versions = 0;

  /** `name` is this writer's alone among all that ever write to one data plane. */
  constructor(private readonly name: string) {}

  write(changes: readonly Change[]): readonly WireChange[] {
    const seen = new Set<Key>();
    return changes.map((change): WireChange => {
      const { key } = change;
      // Of several changes of one key in a transaction, the later ones are not from what is in force.
      const known = seen.has(key) ? undefined : this.#known.get(key);
      seen.add(key);
      if (change.type === 'remove') return { type: 'remove', key };
      const version = `${this.name} ${++this.#versions}`;
      if (change.type === 'update' && change.delta !== undefined && change.old === known?.item) {
        return { type: 'delta', key, delta: change.delta, base: known.version, version };
      }
      return { type: 'put', item: change.item, version };
    });
  }

  /** `sent`, written for `changes`, is in force. */
  applied(changes: readonly Change[], sent: readonly WireChange[]): void {
    for (const [i, change] of changes.entries()) {
      const written = sent[i];
      const isSet = change.type !== 'remove' && change.item.kind === 'addressset';
      if (isSet && written !== undefined && written.type !== 'remove') {
        this.#known.set(change.key, { item: change.item, version: written.version });
      } else this.#known.delete(change.key);
    }
  }

  /** Sends whole sets from here on. */
  forget(): void {
    this.#known.clear();
  }
}

/** The data plane's side: what it has in force, from whomever it came. */
export class ChangeReader {
  readonly #known = new Map<Key, Known<Item>>();

  /** Changes for a backend. Throws LostBaseError. */
  read(sent: readonly WireChange[]): readonly Change[] {
    const now = new Map<Key, Item | undefined>();
    return sent.flatMap((wire): readonly Change[] => {
      const key = keyOf(wire);
      const old = now.has(key) ? now.get(key) : this.#known.get(key)?.item;
      if (wire.type === 'remove') {
        now.set(key, undefined);
        return old === undefined ? [] : [{ type: 'remove', key, old }];
      }
      if (wire.type === 'put') {
        const { item } = wire;
        now.set(key, item);
        return [old === undefined ? { type: 'add', key, item } : { type: 'update', key, item, old }];
      }
      const { delta } = wire;
      if (now.has(key) || old?.kind !== 'addressset' || this.#known.get(key)?.version !== wire.base) {
        throw new LostBaseError('is not there in the version that changes', {
          object: key,
          value: wire.base,
        });
      }
      const item = changedSet(old, delta);
      now.set(key, item);
      return [{ type: 'update', key, item, old, delta }];
    });
  }

  /** Takes note of what became of `sent`, read as `changes`. */
  applied(sent: readonly WireChange[], changes: readonly Change[], results: readonly ChangeResult[]): void {
    // Either all of a transaction is in force or nothing.
    if (results.some(({ error }) => error !== null)) return;
    const versions = new Map<Key, string>();
    for (const wire of sent) {
      if (wire.type !== 'remove') versions.set(keyOf(wire), wire.version);
    }
    for (const change of changes) {
      const version = versions.get(change.key);
      if (change.type === 'remove' || version === undefined) this.#known.delete(change.key);
      else this.#known.set(change.key, { item: change.item, version });
    }
  }
}
