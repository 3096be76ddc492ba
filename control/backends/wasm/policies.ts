/**
 * Policies: a row for what holds for everybody, and (policy, identity) pairs where something else holds. Equal port sets are
 * shared. A change of identities touches only the pairs of the policies that ask about their sets.
 */
import * as L from '../../../dataplane-as/layout.js';
import type { Key, Origin, PolicyItem } from '../../ruleset/types.js';
import type { CellStore } from './cells.js';
import { DanglingReferenceError } from './errors.js';
import { type FlatRule, flatten, keyRanges, type PortSet } from './flatten.js';
import type { Identities, IdentityEvent } from './identities.js';
import { type Ledger, TrackedIndex, TrackedMap } from './ledger.js';
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

/** `NetworkPolicy shop/allow-web spec.ingress[0]` */
export function originText({ kind, namespace, name, field }: Origin): string {
  return `${kind} ${namespace === null ? '' : `${namespace}/`}${name}${field === null ? '' : ` ${field}`}`;
}

export class Policies {
  readonly #compiled: TrackedMap<Key, Compiled>;
  readonly #byPeer: TrackedIndex<Key, Key>;
  readonly #indexes: IndexPool;
  readonly #rules: IndexPool;
  readonly #portSets: IndexPool;
  readonly #intervals: SpanPool;
  readonly #spans: TrackedMap<string, Span>;

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
    this.#portSets = new IndexPool(ledger, 'port sets', 0, size.portSets);
    this.#intervals = new SpanPool(ledger, 'port intervals', size.intervals);
    this.#spans = new TrackedMap(ledger);
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
  unitsOf(key: Key): string[] {
    const policy = this.#compiled.get(key);
    if (policy === undefined) return [];
    const units = [`policy ${key}`, `portset ${policy.fallback.id}`];
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

  #holdPortSet(portSet: PortSet, owner: Key): number {
    const { index, fresh } = this.#portSets.acquire(portSet.id, owner);
    if (!fresh) return index;
    const span = this.#intervals.allocate(portSet.intervals.length, owner);
    this.#spans.set(portSet.id, span);
    const rows = [
      {
        at: this.cells.plan.portSets + index * L.PORTSET_SIZE,
        words: [span.first, span.size, portSet.action, portSet.rule],
      },
      {
        at: this.cells.plan.intervals + span.first * L.INTERVAL_SIZE,
        words: portSet.intervals.flatMap((i) => [i.from, i.to, i.action, i.rule]),
      },
    ];
    this.cells.set(`portset ${portSet.id}`, { owner, rows: rows.filter((row) => row.words.length > 0) });
    return index;
  }

  #dropPortSet({ id }: PortSet): void {
    if (!this.#portSets.release(id)) return;
    const span = this.#spans.get(id);
    if (span !== undefined) this.#intervals.release(span);
    this.#spans.delete(id);
    this.cells.set(`portset ${id}`, null);
  }
}

function pairUnit(policy: Compiled, identity: number): string {
  return `pair ${policy.index} ${identity}`;
}
