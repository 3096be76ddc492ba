/**
 * How changes cross between the agent and the data plane's process: an address set, or a service of many backends, that both sides know
 * goes as what came and went. Each has the name of its version; a delta says which version it is from, and the other side refuses one from a version that it does not
 * have, so that it is sent whole.
 */
import { PteropusError } from '../../common/errors.js';
import { changedSet } from '../../ruleset/address-versions.js';
import {
  changedService,
  hasManyBackends,
  type ServiceDelta,
  serviceDelta,
} from '../../ruleset/service-deltas.js';
import type { AddressDelta, AddressSetItem, Change, Item, Key, ServiceItem } from '../../ruleset/types.js';
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
  | {
      readonly type: 'backends';
      readonly key: Key;
      readonly delta: ServiceDelta;
      readonly base: string;
      readonly version: string;
    }
  | { readonly type: 'remove'; readonly key: Key };

/** A delta is from a version of an item that is not there. Nothing was applied; whole items would be. */
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
  readonly #known = new Map<Key, Known<AddressSetItem | ServiceItem>>();
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
      if (change.type === 'update' && change.old === known?.item) {
        const { old, item } = change;
        const delta = old.kind === 'service' && item.kind === 'service' ? serviceDelta(old, item) : null;
        if (delta !== null) return { type: 'backends', key, delta, base: known.version, version };
      }
      return { type: 'put', item: change.item, version };
    });
  }

  /** `sent`, written for `changes`, is in force. */
  applied(changes: readonly Change[], sent: readonly WireChange[]): void {
    for (const [i, change] of changes.entries()) {
      const written = sent[i];
      const item = change.type === 'remove' ? null : deltaItem(change.item);
      if (item !== null && written !== undefined && written.type !== 'remove') {
        this.#known.set(change.key, { item, version: written.version });
      } else this.#known.delete(change.key);
    }
  }

  /** Sends whole items from here on. */
  forget(): void {
    this.#known.clear();
  }
}

/** The item, if later changes of it may go as deltas. */
function deltaItem(item: Item): AddressSetItem | ServiceItem | null {
  if (item.kind === 'addressset') return item;
  return item.kind === 'service' && hasManyBackends(item) ? item : null;
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
      const isThere = !now.has(key) && this.#known.get(key)?.version === wire.base;
      if (isThere && wire.type === 'delta' && old?.kind === 'addressset') {
        const { delta } = wire;
        const item = changedSet(old, delta);
        now.set(key, item);
        return [{ type: 'update', key, item, old, delta }];
      }
      if (isThere && wire.type === 'backends' && old?.kind === 'service') {
        const item = changedService(old, wire.delta);
        now.set(key, item);
        return [{ type: 'update', key, item, old }];
      }
      throw new LostBaseError('is not there in the version that changes', { object: key, value: wire.base });
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
