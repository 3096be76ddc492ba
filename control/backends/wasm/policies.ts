/**
 * Policies: a row for what holds for everybody, and (policy, identity) pairs where something else holds. Equal port sets are
 * shared. A change of identities touches only the pairs of the policies that ask about their sets.
 */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Key, Origin, PolicyItem } from '../../ruleset/types.js';
import { DanglingReferenceError } from '../errors.js';
import { type Ledger, References, TrackedIndex, TrackedMap } from '../ledger.js';
import { type CellStore, FIRST_PAIR_UNIT, type UnitId } from './cells.js';
import { type FlatRule, flatten, keyRanges, type PortSet } from './flatten.js';
import { type Identities, type IdentityEvent, MAX_IDENTITIES } from './identities.js';
import { IndexPool, type Span, SpanPool } from './pools.js';

interface Compiled {
  readonly item: PolicyItem;
  readonly index: number;
  readonly peers: ReadonlySet<Key>;
  readonly rules: readonly (FlatRule & { readonly peers: readonly Key[] | null })[];
  readonly ruleNames: readonly string[];
  readonly denied: number | null;
  readonly fallback: PortSet;
  /** Identity -> port set, where it differs from `fallback`. */
  readonly pairs: TrackedMap<number, PortSet>;
  /** Asked-about sets -> port set; a cache, never rolled back as it depends on the item alone. */
  readonly byPeers: Map<string, PortSet>;
}

const PORTSET_WORDS = L.PORTSET_SIZE / 4;

/** `NetworkPolicy shop/allow-web spec.ingress[0]` */
export function originText({ kind, namespace, name, field }: Origin): string {
  return `${kind} ${namespace === null ? '' : `${namespace}/`}${name}${field === null ? '' : ` ${field}`}`;
}

export class Policies {
  readonly #compiled: TrackedMap<Key, Compiled>;
  readonly #byPeer: TrackedIndex<Key, Key>;
  readonly #indexes: IndexPool;
  readonly #rules: IndexPool;
  readonly #lines: SpanPool;
  /** Port sets in use, by what they say. */
  readonly #portSets: TrackedMap<string, { readonly span: Span; readonly references: References }>;

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
    this.#lines = new SpanPool(ledger, 'port set lines', size.portLines);
    this.#portSets = new TrackedMap(ledger);
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
      const keys = new Set(sets.flatMap((set) => [...this.#byPeer.get(set)]));
      for (const key of keys) {
        const policy = this.#compiled.get(key);
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
    this.#dropPortSet(policy.fallback);
    this.cells.set(`policy ${key}`, null);
    for (const name of policy.ruleNames) this.#rules.release(name);
    for (const set of policy.peers) this.#byPeer.delete(set, key);
    this.#compiled.delete(key);
    this.#indexes.release(key);
  }

  /** Adds a policy, or replaces the one of its key (keeping its index). */
  put(item: PolicyItem, isSet: (key: Key) => boolean): void {
    const { index } = this.#indexes.acquire(item.key, item.key);
    this.remove(item.key);
    const policy = this.#compile(item, index, isSet);
    this.#compiled.set(item.key, policy);
    for (const set of policy.peers) this.#byPeer.add(set, item.key);
    const words = [this.#holdPortSet(policy.fallback, item.key)];
    const at = this.cells.plan.policies + index * L.POLICY_SIZE + L.POLICY_DEFAULT_PORTSET;
    this.cells.set(`policy ${item.key}`, { owner: item.key, rows: [{ at, words }] });
    const asked = new Set([...policy.peers].flatMap((set) => [...this.identities.of(set)]));
    for (const identity of asked) this.#pair(policy, identity, this.identities.setsOf(identity));
  }

  /** The units of a policy, for reading it back. */
  unitsOf(key: Key): UnitId[] {
    const policy = this.#compiled.get(key);
    if (policy === undefined) return [];
    const units: UnitId[] = [`policy ${key}`, `portset ${policy.fallback.id}`];
    for (const [identity, portSet] of policy.pairs) {
      units.push(pairUnit(policy, identity), `portset ${portSet.id}`);
    }
    return units;
  }

  #compile(item: PolicyItem, index: number, isSet: (key: Key) => boolean): Compiled {
    const ruleNames: string[] = [];
    const hold = (name: string): number => {
      const { index: rule, fresh } = this.#rules.acquire(name, item.key);
      if (fresh) this.onFreshRule(rule);
      ruleNames.push(name);
      return rule;
    };
    const rules = item.rules.map((rule, i) => {
      for (const peer of rule.peers ?? []) {
        if (!isSet(peer)) throw new DanglingReferenceError(item.key, `rules[${i}].peers`, peer);
      }
      const id = hold(`${rule.action} ${originText(rule.origin)}`);
      return { ...rule, ranges: keyRanges(rule.ports), rule: id };
    });
    const isolating = item.isolatedBy.map(originText).join(', ');
    const denied =
      isolating === '' ? null : hold(`deny default deny (${item.direction} isolated by ${isolating})`);
    const peers = new Set(rules.flatMap((rule) => rule.peers ?? []));
    const fallback = flatten(
      rules.filter((rule) => rule.peers === null),
      denied,
    );
    const pairs = new TrackedMap<number, PortSet>(this.ledger);
    return { item, index, peers, rules, ruleNames, denied, fallback, pairs, byPeers: new Map() };
  }

  #pair(policy: Compiled, identity: number, sets: readonly Key[]): void {
    const asked = sets.filter((set) => policy.peers.has(set));
    const name = asked.join();
    let portSet = policy.byPeers.get(name);
    if (portSet === undefined) {
      const matching = policy.rules.filter(
        (r) => r.peers === null || r.peers.some((peer) => asked.includes(peer)),
      );
      portSet = flatten(matching, policy.denied);
      policy.byPeers.set(name, portSet);
    }
    if (portSet.id === policy.fallback.id) return;
    policy.pairs.set(identity, portSet);
    const value = this.#holdPortSet(portSet, policy.item.key);
    const entry = { table: 'pairs', a: policy.index, b: identity, value } as const;
    this.cells.set(pairUnit(policy, identity), { owner: policy.item.key, entries: [entry] });
  }

  #unpair(policy: Compiled, identity: number): void {
    const portSet = policy.pairs.get(identity);
    if (portSet === undefined) return;
    policy.pairs.delete(identity);
    this.#dropPortSet(portSet);
    this.cells.set(pairUnit(policy, identity), null);
  }

  /** The index of a port set's first line. */
  #holdPortSet(portSet: PortSet, owner: Key): number {
    const held = this.#portSets.get(portSet.id);
    if (held !== undefined) {
      held.references.add(1);
      return held.span.first;
    }
    const words = portSetWords(portSet);
    const span = this.#lines.allocate(words.length / PORTSET_WORDS, owner);
    this.#portSets.set(portSet.id, { span, references: new References(this.ledger) });
    const at = this.cells.plan.portSets + span.first * L.PORTSET_SIZE;
    this.cells.set(`portset ${portSet.id}`, { owner, rows: [{ at, words }] });
    return span.first;
  }

  #dropPortSet({ id }: PortSet): void {
    const held = this.#portSets.get(id);
    if (held === undefined) return;
    if (held.references.count > 1) {
      held.references.add(-1);
      return;
    }
    this.#portSets.delete(id);
    this.#lines.release(held.span);
    this.cells.set(`portset ${id}`, null);
  }
}

/** A port set as lines of the image (PORTSET_SIZE in dataplane-as/layout); at least one. */
export function portSetWords({ intervals, action, rule }: PortSet): Uint32Array {
  const lines = Math.max(1, Math.ceil(intervals.length / L.PORTSET_INTERVALS));
  const words = new Uint32Array(lines * PORTSET_WORDS);
  for (let line = 0; line < lines; line++) {
    const at = line * PORTSET_WORDS;
    words.fill(L.PORTSET_NO_FROM, at, at + L.PORTSET_INTERVALS);
    for (let i = 0; i < L.PORTSET_INTERVALS; i++) {
      const interval = intervals[line * L.PORTSET_INTERVALS + i];
      if (interval === undefined) break;
      words[at + L.PORTSET_FROM / 4 + i] = interval.from;
      words[at + L.PORTSET_TO / 4 + i] = interval.to;
      words[at + L.PORTSET_VERDICT / 4 + i] = verdictWord(interval.action, interval.rule);
    }
    words[at + L.PORTSET_VERDICT / 4 + L.PORTSET_INTERVALS] = verdictWord(action, rule);
  }
  words[L.PORTSET_LINES / 4] = lines;
  return words;
}

function verdictWord(action: number, rule: number): number {
  return ((action === L.ACTION_ALLOW ? L.VERDICT_ALLOW : 0) | rule) >>> 0;
}

/** Numbers are quicker than names, and there are many pairs. */
function pairUnit(policy: Compiled, identity: number): UnitId {
  return FIRST_PAIR_UNIT + policy.index * MAX_IDENTITIES + identity;
}
