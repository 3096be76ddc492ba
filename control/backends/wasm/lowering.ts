/**
 * From changes of items to operations on an image. Knows every item that is in force and what each has put where; a
 * transaction is worked out whole, and either committed or rolled back whole. No memory is touched here.
 */
import type { AddressDelta, Change, Item, Key } from '../../ruleset/types.js';
import { DanglingReferenceError } from '../errors.js';
import { Ledger, TrackedMap } from '../ledger.js';
import { CellStore, type Operation, type UnitId } from './cells.js';
import { Identities } from './identities.js';
import type { ImagePlan } from './image-plan.js';
import { LongestPrefix } from './lpm.js';
import { replacements } from './peer-changes.js';
import { Policies } from './policies.js';
import { Ports } from './ports.js';
import { Routes } from './routes.js';
import { Services } from './services.js';
import { putSnat, unitsOfSnat } from './snat.js';

/** Table indexes that mean something new from now on: their counters start anew. */
export interface FreshIndexes {
  readonly ports: number[];
  readonly rules: number[];
  readonly services: number[];
}

interface Step {
  readonly old: Item | undefined;
  readonly now: Item | undefined;
  /** Says the same of an address set, where it was given for just this step. */
  readonly delta: AddressDelta | null;
}

type Of<K extends Item['kind']> = Extract<Item, { kind: K }>;

export class Lowering {
  readonly ledger = new Ledger();
  readonly cells: CellStore;
  readonly lpm: LongestPrefix;
  readonly ports: Ports;
  readonly routes: Routes;
  readonly identities: Identities;
  readonly policies: Policies;
  readonly services: Services;
  readonly items: TrackedMap<Key, Item>;
  #fresh: FreshIndexes = { ports: [], rules: [], services: [] };

  constructor(plan: ImagePlan) {
    const { ledger } = this;
    this.items = new TrackedMap(ledger);
    this.cells = new CellStore(ledger, plan);
    this.lpm = new LongestPrefix(ledger, this.cells);
    this.ports = new Ports(ledger, this.cells, (port) => this.#fresh.ports.push(port));
    this.routes = new Routes(ledger, this.cells, this.lpm, this.ports);
    this.identities = new Identities(ledger, this.lpm);
    this.policies = new Policies(ledger, this.cells, this.identities, (rule) => this.#fresh.rules.push(rule));
    this.services = new Services(ledger, this.cells, this.lpm, (service) =>
      this.#fresh.services.push(service),
    );
  }

  /**
   * Works a transaction out. Throws TableFullError or DanglingReferenceError (object = the item's key); the caller then
   * rolls back.
   */
  plan(changes: readonly Change[]): { readonly operations: Operation[]; readonly fresh: FreshIndexes } {
    this.#fresh = { ports: [], rules: [], services: [] };
    const all = this.#coalesce(changes);
    const steps = byKind(all);
    this.#links(steps);
    this.#policies(steps, all);
    for (const { old, now } of ofKind(steps, 'service')) {
      if (now === undefined && old !== undefined) this.services.remove(old.key);
    }
    for (const { now } of ofKind(steps, 'service')) if (now !== undefined) this.services.put(now);
    for (const { old, now } of ofKind(steps, 'snat')) putSnat(this.cells, this.lpm, old, now);
    this.lpm.settle();
    return { operations: this.cells.finish(), fresh: this.#fresh };
  }

  commit(): void {
    this.ledger.commit();
  }

  rollback(): void {
    this.ledger.rollback();
    this.cells.discard();
    this.routes.discard();
    this.identities.discard();
    this.lpm.discard();
  }

  /** Ids of the units an item lowered to. */
  unitsOf(item: Item): UnitId[] {
    switch (item.kind) {
      case 'node':
        return ['special'];
      case 'interface':
        return [`port ${item.key}`, `target ${item.key}`, 'special'];
      case 'route':
        return this.routes.unitsOfRoute(item.key);
      case 'tunnel':
        return this.routes.unitsOfTunnel(item.key);
      case 'addressset':
        return this.identities.unitsOf(item);
      case 'policy':
        return this.policies.unitsOf(item.key);
      case 'endpoint':
        return [`endpoint ${item.key}`];
      case 'service':
        return this.services.unitsOf(item.key);
      case 'healthcheck':
        return [];
      case 'snat':
        return unitsOfSnat(this.lpm, item);
    }
  }

  /** Each key once, with what it was before the transaction and what it is after. */
  #coalesce(changes: readonly Change[]): Step[] {
    const before = new Map<Key, Item | undefined>();
    const deltas = new Map<Key, AddressDelta>();
    for (const change of changes) {
      const old = this.items.get(change.key);
      if (before.has(change.key)) deltas.delete(change.key);
      else {
        before.set(change.key, old);
        // A delta is one from the item it was made from, and from no other.
        if (change.type === 'update' && change.delta !== undefined && change.old === old) {
          deltas.set(change.key, change.delta);
        }
      }
      if (change.type === 'remove') this.items.delete(change.key);
      else this.items.set(change.key, change.item);
    }
    return [...before].map(([key, old]) => {
      return { old, now: this.items.get(key), delta: deltas.get(key) ?? null };
    });
  }

  #links(steps: Steps): void {
    const interfaces = ofKind(steps, 'interface');
    // New ones first: an index given up in this transaction is not taken again in it, as its link is still open.
    for (const { now } of interfaces) if (now !== undefined) this.ports.put(now);
    for (const { old, now } of interfaces)
      if (now === undefined && old !== undefined) this.ports.remove(old.key);
    for (const { old, now } of interfaces) this.routes.interfaceChanged((now ?? old)?.key ?? '');
    for (const { old, now } of ofKind(steps, 'route')) {
      if (now !== undefined) this.routes.putRoute(now);
      else if (old !== undefined) this.routes.removeRoute(old.key);
    }
    for (const { old, now } of ofKind(steps, 'tunnel')) {
      if (now !== undefined) this.routes.putTunnel(now);
      else if (old !== undefined) this.routes.removeTunnel(old.key);
    }
    this.routes.settle();
    const node = this.items.get('node');
    if (interfaces.length > 0 || steps.has('node'))
      this.ports.writeSpecial(node?.kind === 'node' ? node : undefined);
  }

  #policies(steps: Steps, all: readonly Step[]): void {
    for (const { old, now, delta } of ofKind(steps, 'addressset')) this.identities.update(old, now, delta);
    const events = this.identities.settle();
    const policies = ofKind(steps, 'policy');
    this.policies.follow(events);
    const gone = policies.flatMap(({ old, now }) => (now === undefined && old !== undefined ? [old] : []));
    const come = policies.flatMap(({ old, now }) => (old === undefined && now !== undefined ? [now] : []));
    const replaced = replacements(gone, come);
    const kept = new Set(replaced.values());
    for (const old of gone) if (!kept.has(old)) this.policies.remove(old.key);
    const isSet = (key: Key): boolean => this.items.get(key)?.kind === 'addressset';
    for (const { now } of policies) {
      if (now !== undefined) this.policies.put(now, isSet, replaced.get(now.key)?.key);
    }
    this.#checkReferences(all, isSet);
    for (const { old, now } of ofKind(steps, 'endpoint')) {
      if (now === undefined && old !== undefined) this.ports.removeEndpoint(old.key);
    }
    for (const { now } of ofKind(steps, 'endpoint')) {
      if (now !== undefined) this.ports.putEndpoint(now, (key) => this.policies.indexOf(key));
    }
  }

  /** Items outside the transaction must not be left referring to what it removed. */
  #checkReferences(steps: readonly Step[], isSet: (key: Key) => boolean): void {
    const gone = new Set(
      steps.flatMap(({ old, now }) => (now === undefined && old !== undefined ? [old.key] : [])),
    );
    if (gone.size === 0) return;
    for (const item of this.items.values()) {
      if (item.kind === 'endpoint') this.#checkEndpoint(item, gone);
      else if (item.kind === 'policy') {
        for (const [i, rule] of item.rules.entries()) {
          const peer = rule.peers?.find((key) => gone.has(key) && !isSet(key));
          if (peer !== undefined) throw new DanglingReferenceError(item.key, `rules[${i}].peers`, peer);
        }
      }
    }
  }

  #checkEndpoint(item: Of<'endpoint'>, gone: ReadonlySet<Key>): void {
    for (const field of ['interface', 'ingress', 'egress'] as const) {
      const key = item[field];
      if (key !== null && gone.has(key)) throw new DanglingReferenceError(item.key, field, key);
    }
  }
}

/** By kind of item. A key never changes its kind: the kind is its first part. */
type Steps = ReadonlyMap<Item['kind'], readonly Step[]>;

function byKind(steps: readonly Step[]): Steps {
  const found = new Map<Item['kind'], Step[]>();
  for (const step of steps) {
    const kind = (step.now ?? step.old)?.kind;
    if (kind === undefined) continue;
    const others = found.get(kind);
    if (others === undefined) found.set(kind, [step]);
    else others.push(step);
  }
  return found;
}

interface StepOf<K extends Item['kind']> {
  readonly old: Of<K> | undefined;
  readonly now: Of<K> | undefined;
  readonly delta: AddressDelta | null;
}

function ofKind<K extends Item['kind']>(steps: Steps, kind: K): readonly StepOf<K>[] {
  return (steps.get(kind) ?? NO_STEPS) as readonly StepOf<K>[];
}

const NO_STEPS: readonly Step[] = [];
