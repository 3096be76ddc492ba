/**
 * Address -> identity: the class of all addresses that are in the same address sets. The longest known prefix decides: every
 * prefix named by a set (an address, a block, an except) is known, and its class holds for the addresses whose longest known
 * prefix it is. Identity 0 is "in no set". An address that joins a set changes one prefix; a block changes those inside it.
 */
import { SPACE_IDENTITY } from '../../../dataplane-as/layout.js';
import type { AddressDelta, AddressSetItem, Key } from '../../ruleset/types.js';
import { type Ledger, TrackedIndex, TrackedMap } from '../ledger.js';
import { containsPrefix, isPrefix6, type Prefix, parsePrefix, prefixName, widen } from './bytes6.js';
import type { LongestPrefix } from './lpm.js';
import { IndexPool } from './pools.js';

/** Why a set knows a prefix: a member address (`block` null), a block, or an except of that block. */
interface Mark {
  readonly set: Key;
  readonly block: string | null;
  readonly except: boolean;
}

interface Known {
  readonly prefix: Prefix;
  readonly marks: ReadonlyMap<string, Mark>;
  /** Name of its class: the keys of the sets that hold it, joined; '' = identity 0; null = not settled yet. */
  readonly membership: string | null;
}

/** An identity came into being or ceased to be. */
export interface IdentityEvent {
  readonly type: 'born' | 'gone';
  readonly identity: number;
  readonly sets: readonly Key[];
}

/** What a word of the trie can hold. */
const MAX_IDENTITIES = 2 ** 24;
const SEPARATOR = '\n';

export class Identities {
  readonly #known: TrackedMap<string, Known>;
  readonly #lengths: TrackedMap<number, number>;
  readonly #classes: IndexPool;
  readonly #bySet: TrackedIndex<Key, number>;
  #dirty = new Set<string>();

  constructor(
    ledger: Ledger,
    readonly lpm: LongestPrefix,
  ) {
    this.#known = new TrackedMap(ledger);
    this.#lengths = new TrackedMap(ledger);
    this.#classes = new IndexPool(ledger, 'identities', 1, MAX_IDENTITIES);
    this.#bySet = new TrackedIndex(ledger);
  }

  /** Identities whose addresses are in the set. */
  of(set: Key): ReadonlySet<number> {
    return this.#bySet.get(set);
  }

  /** The sets that hold an identity's addresses. */
  setsOf(identity: number): readonly Key[] {
    return splitMembership(this.#classes.nameOf(identity) ?? '');
  }

  /** Notes the change of one set; `settle` works it out. With a delta only the addresses that came or went are looked at. */
  update(
    old: AddressSetItem | undefined,
    now: AddressSetItem | undefined,
    delta: AddressDelta | null = null,
  ): void {
    const key = (now ?? old)?.key ?? '';
    // No copy of the item: its addresses may not have been laid out yet.
    const part = (addresses: readonly string[]): AddressSetItem => {
      return { kind: 'addressset', key, addresses, blocks: [] };
    };
    const before = marksOf(delta === null ? old : part(delta.removed));
    const after = marksOf(delta === null ? now : part(delta.added));
    for (const [id, { prefix, mark }] of before) if (!after.has(id)) this.#mark(prefix, id, mark, false);
    for (const [id, { prefix, mark }] of after) if (!before.has(id)) this.#mark(prefix, id, mark, true);
  }

  /** The units that hold a set's addresses, for reading them back. */
  unitsOf(item: AddressSetItem): string[] {
    return [...marksOf(item).values()].flatMap(({ prefix }) => {
      return [unitOf(prefix), ...this.lpm.unitsOf(SPACE_IDENTITY, prefix)];
    });
  }

  /** Works out the classes of all prefixes touched since the last call, and what that did to the identities, in order. */
  settle(): IdentityEvent[] {
    const events: IdentityEvent[] = [];
    for (const id of this.#dirty) {
      const known = this.#known.get(id);
      if (known === undefined) continue;
      const empty = known.marks.size === 0;
      const membership = empty ? '' : this.#membershipOf(known.prefix).join(SEPARATOR);
      if (membership !== known.membership) {
        const identity = this.#enter(membership, known, events);
        if (known.membership !== null) this.#leave(known.membership, events);
        if (!empty)
          this.lpm.set(unitOf(known.prefix), ownerOf(known), SPACE_IDENTITY, known.prefix, identity);
      }
      if (empty) this.#forget(id, known);
      else this.#known.set(id, { ...known, membership });
    }
    this.#dirty = new Set();
    return events;
  }

  /** Forgets what was noted since the last `settle` (the transaction was rolled back). */
  discard(): void {
    this.#dirty = new Set();
  }

  #mark(prefix: Prefix, id: string, mark: Mark, add: boolean): void {
    const name = prefixName(prefix);
    const known = this.#known.get(name) ?? { prefix, marks: new Map<string, Mark>(), membership: null };
    if (!this.#known.has(name)) {
      this.#lengths.set(lengthId(prefix), (this.#lengths.get(lengthId(prefix)) ?? 0) + 1);
    }
    const marks = new Map(known.marks);
    if (add) marks.set(id, mark);
    else marks.delete(id);
    this.#known.set(name, { ...known, marks });
    this.#dirty.add(name);
    if (mark.block === null) return;
    for (const [other, { prefix: inner }] of this.#known) {
      if (containsPrefix(prefix, inner)) this.#dirty.add(other);
    }
  }

  #forget(id: string, known: Known): void {
    this.#known.delete(id);
    const length = lengthId(known.prefix);
    this.#lengths.set(length, (this.#lengths.get(length) ?? 1) - 1);
    this.lpm.delete(unitOf(known.prefix), SPACE_IDENTITY, known.prefix);
  }

  #enter(membership: string, known: Known, events: IdentityEvent[]): number {
    if (membership === '') return 0;
    const { index, fresh } = this.#classes.acquire(membership, ownerOf(known));
    if (!fresh) return index;
    const sets = splitMembership(membership);
    for (const set of sets) this.#bySet.add(set, index);
    events.push({ type: 'born', identity: index, sets });
    return index;
  }

  #leave(membership: string, events: IdentityEvent[]): void {
    const identity = this.#classes.get(membership);
    if (identity === undefined || !this.#classes.release(membership)) return;
    const sets = splitMembership(membership);
    for (const set of sets) this.#bySet.delete(set, identity);
    events.push({ type: 'gone', identity, sets });
  }

  /** The sets, sorted, that hold the addresses whose longest known prefix this is. */
  #membershipOf(prefix: Prefix): Key[] {
    const sets = new Set<Key>();
    const blocks = new Map<string, Key>();
    const excepts = new Set<string>();
    const family = isPrefix6(prefix) ? SIX : 0;
    for (const [id, count] of this.#lengths) {
      const length = id - family;
      if (count === 0 || length < 0 || length > prefix.length) continue;
      const outer = this.#known.get(prefixName(widen(prefix, length)));
      for (const { set, block, except } of outer?.marks.values() ?? []) {
        if (block === null) sets.add(set);
        else if (except) excepts.add(`${set} ${block}`);
        else blocks.set(`${set} ${block}`, set);
      }
    }
    for (const [block, set] of blocks) if (!excepts.has(block)) sets.add(set);
    return [...sets].sort();
  }
}

function splitMembership(membership: string): readonly Key[] {
  return membership === '' ? [] : membership.split(SEPARATOR);
}

/** Lengths of IPv6 prefixes are counted from here on; those of IPv4 are below. */
const SIX = 64;

function lengthId(prefix: Prefix): number {
  return prefix.length + (isPrefix6(prefix) ? SIX : 0);
}

function unitOf(prefix: Prefix): string {
  return `identity ${prefixName(prefix)}`;
}

function ownerOf(known: Known): Key {
  for (const { set } of known.marks.values()) return set;
  return 'addressset';
}

/** Every prefix a set knows, by a name that is unique over all sets. */
function marksOf(item: AddressSetItem | undefined): Map<string, { prefix: Prefix; mark: Mark }> {
  const marks = new Map<string, { prefix: Prefix; mark: Mark }>();
  if (item === undefined) return marks;
  const add = (text: string, block: string | null, except: boolean): void => {
    const prefix = parsePrefix(text);
    const id = `${item.key} ${text} ${block ?? ''} ${except ? 'except' : ''}`;
    marks.set(id, { prefix, mark: { set: item.key, block, except } });
  };
  for (const address of item.addresses) add(address, null, false);
  for (const { cidr, except } of item.blocks) {
    // Blocks of equal cidr and different excepts are different blocks.
    const block = `${cidr}-${except.join('-')}`;
    add(cidr, block, false);
    for (const inner of except) add(inner, block, true);
  }
  return marks;
}
