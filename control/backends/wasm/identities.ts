/**
 * Address -> identity: the class of all addresses that are in the same address sets. The longest known prefix decides: every
 * prefix named by a set (an address, a block, an except) is known, and its class holds for the addresses whose longest known
 * prefix it is. Identity 0 is "in no set". An address that joins a set changes one prefix; a block changes those inside it.
 */
import { createHash } from 'node:crypto';
import { SPACE_IDENTITY } from '../../../dataplane-as/layout/index.js';
import { withoutEnds } from '../../common/ends.js';
import type { AddressBlock, AddressDelta, AddressSetItem, Key } from '../../ruleset/types.js';
import { type Ledger, References, type Restorable, TrackedIndex, TrackedMap } from '../ledger.js';
import { containsPrefix, isPrefix6, type Prefix, parsePrefix, prefixName, widen } from './bytes6.js';
import type { UnitId } from './cells.js';
import type { LongestPrefix } from './lpm.js';
import { IndexPool } from './pools.js';

/** Why a set knows a prefix: a member address (`block` null), a block, or an except of that block. */
interface Mark {
  readonly set: Key;
  readonly text: string;
  readonly block: string | null;
  readonly except: boolean;
}

type State = Pick<Known, 'marks' | 'membership'>;

/** A prefix that some set knows. */
class Known implements Restorable<null, State> {
  marks: readonly Mark[] = [];
  /** Name of its class: the keys of the sets that hold it, joined; '' = identity 0; null = not settled yet. */
  membership: string | null = null;
  #noted: number;

  constructor(
    readonly ledger: Ledger,
    readonly id: PrefixId,
    readonly prefix: Prefix,
  ) {
    this.#noted = ledger.transaction;
  }

  /** To be called before a change. */
  note(): void {
    if (this.#noted === this.ledger.transaction) return;
    this.#noted = this.ledger.transaction;
    const { marks, membership } = this;
    this.ledger.noteOld(this, null, { marks, membership });
  }

  restore(_key: null, { marks, membership }: State): void {
    this.marks = marks;
    this.membership = membership;
  }
}

/** An identity came into being or ceased to be. */
export interface IdentityEvent {
  readonly type: 'born' | 'gone';
  readonly identity: number;
  readonly sets: readonly Key[];
}

/** What a word of the trie can hold. */
export const MAX_IDENTITIES = 2 ** 24;
const SEPARATOR = '\n';
/** So many are compared with each prefix; of more, those are looked up that a prefix could be inside. */
const FEW_BLOCKS = 8;

export class Identities {
  readonly #known: TrackedMap<PrefixId, Known>;
  /** How many known prefixes there are of each length. */
  readonly #lengths: TrackedMap<number, References>;
  readonly #classes: IndexPool;
  readonly #bySet: TrackedIndex<Key, number>;
  #dirty = new Set<Known>();
  /** Blocks that came, went or changed since the last `settle`, by name: the classes of all prefixes inside them may be others. */
  #blocks = new Map<PrefixId, Prefix>();

  constructor(
    readonly ledger: Ledger,
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
    const part = (addresses: readonly string[], blocks: readonly AddressBlock[] = []): AddressSetItem => {
      return { kind: 'addressset', key, addresses, blocks };
    };
    let [was, is] = [old, now];
    if (delta !== null) [was, is] = [part(delta.removed), part(delta.added)];
    else if (old !== undefined && now !== undefined) {
      const [gone, come] = withoutEnds(old.addresses, now.addresses);
      const [closed, opened] = withoutEnds(old.blocks, now.blocks, sameBlock);
      [was, is] = [part(gone, closed), part(come, opened)];
    }
    if (isEmpty(was) || isEmpty(is)) {
      eachMark(was, (prefix, mark) => this.#mark(prefix, mark, false));
      eachMark(is, (prefix, mark) => this.#mark(prefix, mark, true));
      return;
    }
    const [gone, come] = differ(marksOf(was), marksOf(is));
    for (const { prefix, mark } of gone) this.#mark(prefix, mark, false);
    for (const { prefix, mark } of come) this.#mark(prefix, mark, true);
  }

  /** The units that hold a set's addresses, for reading them back. */
  unitsOf(item: AddressSetItem): UnitId[] {
    return marksOf(item).flatMap(({ prefix }): UnitId[] => {
      return [unitOf(prefix), ...this.lpm.unitsOf(SPACE_IDENTITY, prefix)];
    });
  }

  /** Works out the classes of all prefixes touched since the last call, and what that did to the identities, in order. */
  settle(): IdentityEvent[] {
    const events: IdentityEvent[] = [];
    this.#markInside();
    for (const known of this.#dirty) {
      const empty = known.marks.length === 0;
      const membership = empty ? '' : this.#membershipOf(known);
      if (membership !== known.membership) {
        const identity = this.#enter(membership, known, events);
        if (known.membership !== null) this.#leave(known.membership, events);
        if (!empty)
          this.lpm.set(unitOf(known.prefix), ownerOf(known), SPACE_IDENTITY, known.prefix, identity);
      }
      if (empty) this.#forget(known);
      else {
        known.note();
        known.membership = membership;
      }
    }
    this.#dirty = new Set();
    return events;
  }

  /** Forgets what was noted since the last `settle` (the transaction was rolled back). */
  discard(): void {
    this.#dirty = new Set();
    this.#blocks = new Map();
  }

  #mark(prefix: Prefix, mark: Mark, add: boolean): void {
    const id = idOf(prefix);
    let known = this.#known.get(id);
    if (known === undefined) {
      known = new Known(this.ledger, id, prefix);
      this.#known.set(id, known);
      const length = lengthId(prefix);
      const references = this.#lengths.get(length);
      if (references === undefined) this.#lengths.set(length, new References(this.ledger));
      else references.add(1);
    }
    known.note();
    const others = known.marks.length === 0 ? NO_MARKS : known.marks.filter((one) => !isSame(one, mark));
    known.marks = add ? [...others, mark] : others;
    this.#dirty.add(known);
    if (mark.block !== null) this.#blocks.set(id, prefix);
  }

  /** Every known prefix inside a changed block is looked at again. */
  #markInside(): void {
    const blocks = this.#blocks;
    if (blocks.size === 0) return;
    this.#blocks = new Map();
    const few = blocks.size <= FEW_BLOCKS ? [...blocks.values()] : null;
    const lengths = new Set([...blocks.values()].map(lengthId));
    for (const known of this.#known.values()) {
      const inside =
        few === null
          ? isInside(known.prefix, blocks, lengths)
          : few.some((block) => containsPrefix(block, known.prefix));
      if (inside) this.#dirty.add(known);
    }
  }

  #forget(known: Known): void {
    this.#known.delete(known.id);
    this.#lengths.get(lengthId(known.prefix))?.add(-1);
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

  /** The sets, sorted and joined, that hold the addresses whose longest known prefix this is. */
  #membershipOf(known: Known): string {
    const around = this.#around(known);
    const only = around.length === 1 && known.marks.length === 1 ? known.marks[0] : undefined;
    // What nearly all are: an address in one set.
    if (only !== undefined && !only.except) return only.set;
    const sets = new Set<Key>();
    const blocks = new Map<string, Key>();
    const excepts = new Set<string>();
    for (const { marks } of around) {
      for (const { set, block, except } of marks) {
        if (block === null) sets.add(set);
        else if (except) excepts.add(`${set} ${block}`);
        else blocks.set(`${set} ${block}`, set);
      }
    }
    for (const [block, set] of blocks) if (!excepts.has(block)) sets.add(set);
    return [...sets].sort().join(SEPARATOR);
  }

  /** A known prefix and those around it. */
  #around(known: Known): readonly Known[] {
    const { prefix } = known;
    const family = isPrefix6(prefix) ? SIX : 0;
    const around = [known];
    for (const [id, references] of this.#lengths) {
      const length = id - family;
      if (references.count === 0 || length < 0 || length >= prefix.length) continue;
      const outer = this.#known.get(idOf(widen(prefix, length)));
      if (outer !== undefined) around.push(outer);
    }
    return around;
  }
}

function splitMembership(membership: string): readonly Key[] {
  if (membership.includes(SEPARATOR)) return membership.split(SEPARATOR);
  return membership === '' ? [] : [membership];
}

/** Whether a prefix is one of the blocks, which have these lengths, or inside one. */
function isInside(
  prefix: Prefix,
  blocks: ReadonlyMap<PrefixId, Prefix>,
  lengths: ReadonlySet<number>,
): boolean {
  const family = isPrefix6(prefix) ? SIX : 0;
  for (const id of lengths) {
    const length = id - family;
    if (length >= 0 && length <= prefix.length && blocks.has(idOf(widen(prefix, length)))) return true;
  }
  return false;
}

/** Lengths of IPv6 prefixes are counted from here on; those of IPv4 are below. */
const SIX = 64;

function lengthId(prefix: Prefix): number {
  return prefix.length + (isPrefix6(prefix) ? SIX : 0);
}

/** Unique over both families. A single IPv4 address is a small number, which is the quickest to look up, and there are many. */
type PrefixId = string | number;

function idOf(prefix: Prefix): PrefixId {
  if (isPrefix6(prefix)) return prefixName(prefix);
  return prefix.length === 32 ? prefix.host | 0 : (prefix.length + 1) * 2 ** 32 + prefix.host;
}

function unitOf(prefix: Prefix): UnitId {
  if (!isPrefix6(prefix) && prefix.length === 32) return prefix.host | 0;
  return `identity ${prefixName(prefix)}`;
}

function ownerOf(known: Known): Key {
  return known.marks[0]?.set ?? 'addressset';
}

function isSame(a: Mark, b: Mark): boolean {
  return a.set === b.set && a.text === b.text && a.block === b.block && a.except === b.except;
}

interface Marked {
  readonly prefix: Prefix;
  readonly mark: Mark;
}

const NO_MARKS: readonly Mark[] = [];

function isEmpty(item: AddressSetItem | undefined): boolean {
  return item === undefined || (item.addresses.length === 0 && item.blocks.length === 0);
}

/** Every prefix a set knows. */
function marksOf(item: AddressSetItem | undefined): readonly Marked[] {
  const marks: Marked[] = [];
  eachMark(item, (prefix, mark) => marks.push({ prefix, mark }));
  return marks;
}

function eachMark(item: AddressSetItem | undefined, take: (prefix: Prefix, mark: Mark) => void): void {
  if (item === undefined) return;
  const { key: set } = item;
  const add = (text: string, block: string | null, except: boolean): void => {
    take(parsePrefix(text), { set, text, block, except });
  };
  for (const address of item.addresses) add(address, null, false);
  for (const { cidr, except } of item.blocks) {
    const block = nameOf(cidr, except);
    add(cidr, block, false);
    for (const inner of except) add(inner, block, true);
  }
}

/** Blocks of equal cidr and different excepts are different blocks. Each except says its block's name: that of thousands is a hash. */
function nameOf(cidr: string, except: readonly string[]): string {
  const text = except.join('-');
  if (except.length <= FEW_BLOCKS) return `${cidr}-${text}`;
  return `${cidr}-${createHash('sha256').update(text).digest('base64')}`;
}

function sameBlock(a: AddressBlock, b: AddressBlock): boolean {
  return (
    a.cidr === b.cidr &&
    a.except.length === b.except.length &&
    a.except.every((inner, i) => inner === b.except[i])
  );
}

/** What of two versions of a set's marks only one has. */
function differ(before: readonly Marked[], after: readonly Marked[]): [Marked[], Marked[]] {
  const name = ({ mark: { text, block, except } }: Marked) =>
    `${text} ${block ?? ''} ${except ? 'except' : ''}`;
  const [had, has] = [new Set(before.map(name)), new Set(after.map(name))];
  return [before.filter((one) => !has.has(name(one))), after.filter((one) => !had.has(name(one)))];
}
