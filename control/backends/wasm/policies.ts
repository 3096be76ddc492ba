/**
 * Policies: a row for what holds for everybody, and (policy, identity) pairs where something else holds. Equal port sets are
 * shared. A change of identities touches only the pairs of the policies that ask about their sets.
 */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Key, Origin, PolicyItem } from '../../ruleset/types.js';
import { DanglingReferenceError } from '../errors.js';
import { type Ledger, TrackedIndex, TrackedMap } from '../ledger.js';
import { type CellStore, FIRST_PAIR_UNIT, type UnitId } from './cells.js';
import { type FlatRule, flatten, keyRanges } from './flatten.js';
import { type Identities, type IdentityEvent, MAX_IDENTITIES } from './identities.js';
import { type PeerChange, peerChanges } from './peer-changes.js';
import { IndexPool } from './pools.js';
import { type PortSet, PortSets, sameWords, unitOf } from './port-sets.js';

interface Compiled {
  readonly item: PolicyItem;
  readonly index: number;
  /** All, by their places. */
  readonly rules: readonly NumberedRule[];
  /** Those with peers, by each of their peers. */
  readonly rulesOf: TrackedMap<Key, NumberedRule[]>;
  /** Those for everybody. */
  readonly open: readonly NumberedRule[];
  readonly ruleNames: readonly string[];
  readonly denied: number | null;
  readonly fallback: PortSet;
  /** Identity -> port set, where it differs from `fallback`. */
  readonly pairs: TrackedMap<number, PortSet>;
  /** Asked-about sets -> lines of the port set; a cache, never rolled back as it depends on the item alone, each of which has its own. */
  readonly byPeers: Map<string, Uint32Array>;
}

/** A rule and its place among those of its policy. */
interface NumberedRule extends FlatRule {
  readonly place: number;
}

/** `NetworkPolicy shop/allow-web spec.ingress[0]` */
function originText({ kind, namespace, name, field }: Origin): string {
  return `${kind} ${namespace === null ? '' : `${namespace}/`}${name}${field === null ? '' : ` ${field}`}`;
}

export class Policies {
  readonly #compiled: TrackedMap<Key, Compiled>;
  /** Address set -> indexes of the policies that ask about it. */
  readonly #byPeer: TrackedIndex<Key, number>;
  readonly #indexes: IndexPool;
  readonly #rules: IndexPool;
  readonly #portSets: PortSets;

  constructor(
    readonly ledger: Ledger,
    readonly cells: CellStore,
    readonly identities: Identities,
    /** Told of each rule id that begins to mean something new. */
    readonly onFreshRule: (rule: number) => void,
  ) {
    const { size } = cells.plan;
    this.#compiled = new TrackedMap(ledger);
    this.#byPeer = new TrackedIndex(ledger);
    this.#indexes = new IndexPool(ledger, 'policies', 1, size.policies);
    this.#rules = new IndexPool(ledger, 'rules', L.RULE_FIRST, L.MAX_RULES);
    this.#portSets = new PortSets(ledger, cells);
  }

  /** Index of a policy, undefined when there is none of that key. */
  indexOf(key: Key): number | undefined {
    return this.#indexes.get(key);
  }

  keyOf(index: number): Key | undefined {
    return this.#indexes.nameOf(index);
  }

  /** `NetworkPolicy shop/web spec.ingress[0]`, `default deny (…)`; undefined when the id means nothing. */
  ruleText(rule: number): string | undefined {
    const name = this.#rules.nameOf(rule);
    return name?.slice(name.indexOf(' ') + 1);
  }

  /** Ids of the rules in use. */
  *rules(): Iterable<number> {
    for (const [rule] of this.#rules.entries()) yield rule;
  }

  /** Brings the pairs of all policies in line with identities that came and went. */
  follow(events: readonly IdentityEvent[]): void {
    for (const { type, identity, sets } of events) {
      const indexes = new Set(sets.flatMap((set) => [...this.#byPeer.get(set)]));
      for (const index of indexes) {
        const policy = this.#compiled.get(this.#indexes.nameOf(index) ?? '');
        if (policy === undefined) continue;
        if (type === 'gone') this.#unpair(policy, identity);
        else this.#pair(policy, identity, sets);
      }
    }
  }

  remove(key: Key): void {
    const policy = this.#compiled.get(key);
    if (policy === undefined) return;
    for (const identity of [...policy.pairs.keys()]) this.#unpair(policy, identity);
    this.#portSets.drop(policy.fallback);
    this.cells.set(`policy ${key}`, null);
    for (const name of policy.ruleNames) this.#rules.release(name);
    for (const set of policy.rulesOf.keys()) this.#byPeer.delete(set, policy.index);
    this.#compiled.delete(key);
    this.#indexes.release(key);
  }

  /**
   * Adds a policy, or replaces the one of its key (keeping its index). `from` is another one to make it of, which goes with this
   * (`replacements`).
   */
  put(item: PolicyItem, isSet: (key: Key) => boolean, from: Key = item.key): void {
    const old = this.#compiled.get(from);
    const changes = old === undefined ? null : peerChanges(old.item, item);
    if (old !== undefined && changes !== null) {
      if (from !== item.key) this.#rename(old, item.key);
      this.#changePeers({ ...old, item, byPeers: new Map() }, changes, isSet);
      return;
    }
    if (from !== item.key) this.remove(from);
    const { index } = this.#indexes.acquire(item.key, item.key);
    this.remove(item.key);
    const policy = this.#compile(item, index, isSet);
    this.#compiled.set(item.key, policy);
    this.#writeRow(policy);
    const asked = new Set<number>();
    for (const set of policy.rulesOf.keys()) {
      this.#byPeer.add(set, index);
      for (const identity of this.identities.of(set)) asked.add(identity);
    }
    for (const identity of asked) this.#pair(policy, identity, this.identities.setsOf(identity));
  }

  /** The units of a policy, for reading it back. */
  unitsOf(key: Key): UnitId[] {
    const policy = this.#compiled.get(key);
    if (policy === undefined) return [];
    const units: UnitId[] = [`policy ${key}`, unitOf(policy.fallback)];
    for (const [identity, portSet] of policy.pairs) {
      units.push(pairUnit(policy, identity), unitOf(portSet));
    }
    return units;
  }

  #writeRow({ item: { key }, index, fallback }: Compiled): void {
    const at = this.cells.plan.policies + index * L.POLICY_SIZE + L.POLICY_DEFAULT_PORTSET;
    this.cells.set(`policy ${key}`, { owner: key, rows: [{ at, words: [fallback.span.first] }] });
  }

  /** A policy goes, and its index belongs to another key. */
  #rename({ item }: Compiled, key: Key): void {
    this.#indexes.rename(item.key, key);
    this.#compiled.delete(item.key);
    this.cells.set(`policy ${item.key}`, null);
  }

  /** Replaces a policy by one that differs from it by a few peers. */
  #changePeers(policy: Compiled, changes: readonly PeerChange[], isSet: (key: Key) => boolean): void {
    const { item, rulesOf } = policy;
    const { key } = item;
    this.#compiled.set(key, policy);
    this.#writeRow(policy);
    const affected = new Set<number>();
    for (const { place, peer, comes } of changes) {
      const rule = policy.rules[place];
      if (rule === undefined) continue;
      if (comes && !isSet(peer)) throw new DanglingReferenceError(key, `rules[${place}].peers`, peer);
      const others = (rulesOf.get(peer) ?? []).filter((other) => other !== rule);
      const rules = comes ? [...others, rule].sort(byPlace) : others;
      if (rules.length > 0) {
        rulesOf.set(peer, rules);
        this.#byPeer.add(peer, policy.index);
      } else {
        rulesOf.delete(peer);
        this.#byPeer.delete(peer, policy.index);
      }
      for (const identity of this.identities.of(peer)) affected.add(identity);
    }
    for (const identity of affected) {
      this.#unpair(policy, identity);
      this.#pair(policy, identity, this.identities.setsOf(identity));
    }
  }

  #compile(item: PolicyItem, index: number, isSet: (key: Key) => boolean): Compiled {
    const ruleNames: string[] = [];
    const hold = (name: string): number => {
      const { index: rule, fresh } = this.#rules.acquire(name, item.key);
      if (fresh) this.onFreshRule(rule);
      ruleNames.push(name);
      return rule;
    };
    const rulesOf = new TrackedMap<Key, NumberedRule[]>(this.ledger, true);
    const rules: NumberedRule[] = [];
    const open: NumberedRule[] = [];
    for (const [place, { tier, action, peers, ports, origin }] of item.rules.entries()) {
      const rule = hold(`${action} ${originText(origin)}`);
      const numbered = { tier, action, ranges: keyRanges(ports), rule, place };
      rules.push(numbered);
      if (peers === null) open.push(numbered);
      for (const peer of peers ?? []) {
        if (!isSet(peer)) throw new DanglingReferenceError(item.key, `rules[${place}].peers`, peer);
        const others = rulesOf.get(peer);
        if (others === undefined) rulesOf.add(peer, [numbered]);
        else if (others.at(-1) !== numbered) others.push(numbered);
      }
    }
    const isolating = item.isolatedBy.map(originText).join(', ');
    const denied =
      isolating === '' ? null : hold(`deny default deny (${item.direction} isolated by ${isolating})`);
    const fallback = this.#portSets.hold(flatten(open, denied), item.key);
    const pairs = new TrackedMap<number, PortSet>(this.ledger, true);
    return { item, index, rules, rulesOf, open, ruleNames, denied, fallback, pairs, byPeers: new Map() };
  }

  #pair(policy: Compiled, identity: number, sets: readonly Key[]): void {
    const asked = sets.length === 1 ? sets : sets.filter((set) => policy.rulesOf.has(set));
    const name = asked.join();
    let words = policy.byPeers.get(name);
    if (words === undefined) {
      words = flatten(rulesFor(policy, asked), policy.denied);
      policy.byPeers.set(name, words);
    }
    if (sameWords(words, policy.fallback.words)) return;
    const portSet = this.#portSets.hold(words, policy.item.key);
    policy.pairs.set(identity, portSet);
    const entry = { table: 'pairs', a: policy.index, b: identity, value: portSet.span.first } as const;
    this.cells.set(pairUnit(policy, identity), { owner: policy.item.key, entries: [entry] });
  }

  #unpair(policy: Compiled, identity: number): void {
    const portSet = policy.pairs.get(identity);
    if (portSet === undefined) return;
    policy.pairs.delete(identity);
    this.#portSets.drop(portSet);
    this.cells.set(pairUnit(policy, identity), null);
  }
}

/** A policy's rules for addresses that are in these sets, in order. */
function rulesFor({ rulesOf, open }: Compiled, sets: readonly Key[]): readonly FlatRule[] {
  const [only] = sets;
  if (only !== undefined && sets.length === 1 && open.length === 0) return rulesOf.get(only) ?? open;
  const rules = new Set(open);
  for (const set of sets) for (const rule of rulesOf.get(set) ?? []) rules.add(rule);
  return [...rules].sort(byPlace);
}

function byPlace(a: NumberedRule, b: NumberedRule): number {
  return a.place - b.place;
}

/** Numbers are quicker than names, and there are many pairs. */
function pairUnit(policy: Compiled, identity: number): UnitId {
  return FIRST_PAIR_UNIT + policy.index * MAX_IDENTITIES + identity;
}
