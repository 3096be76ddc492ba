/**
 * The order in which VPP is told: waves of actions that do not wait for one another. New objects come before old ones go, so that
 * traffic always finds one of them; an object goes first only if another cannot be made beside it. What lets packets in comes when all
 * that judges and leads them is there. Pure, and printable.
 */
import { type Comparison, compare, type Fate } from './compare.js';
import { PlanError } from './errors.js';
import type { ObjectKey, VppObject } from './types.js';

export type Action =
  | { readonly type: 'create'; readonly object: VppObject }
  | { readonly type: 'update'; readonly object: VppObject; readonly old: VppObject }
  | { readonly type: 'remove'; readonly object: VppObject };

export interface Plan {
  readonly waves: readonly (readonly Action[])[];
}

interface Step {
  readonly action: Action;
  /** Steps that wait for this one. */
  readonly next: Step[];
  waits: number;
  /** A removal that a creation waits for. */
  early: boolean;
}

/** What must be done so that VPP holds what it shall of these objects. Throws PlanError. */
export function planObjects(keys: Iterable<ObjectKey>, what: Comparison): Plan {
  const all = [...keys];
  const remade = new Set<ObjectKey>();
  for (;;) {
    const { waves, stuck } = wavesOf(stepsOf(compare(all, what, remade), what));
    if (stuck.length === 0) return { waves };
    // What is changed in place may need what can only come when it has let go of something else: it goes for a moment.
    const updates = stuck.filter(({ type }) => type === 'update');
    if (updates.length === 0) {
      throw new PlanError(
        'objects wait for one another',
        stuck.map(({ object }) => object.key),
      );
    }
    for (const { object } of updates) remade.add(object.key);
  }
}

function stepsOf(fates: ReadonlyMap<ObjectKey, Fate>, what: Comparison): readonly Step[] {
  const puts = new Map<ObjectKey, Step>();
  const removes = new Map<ObjectKey, Step>();
  for (const [key, fate] of fates) {
    const { put, remove } = actionsOf(fate);
    if (put !== null) puts.set(key, step(put));
    if (remove !== null) removes.set(key, step(remove));
  }
  for (const [key, put] of puts) {
    waitFor(put, removes.get(key));
    for (const need of put.action.object.needs) {
      waitFor(put, puts.get(need));
      if (!puts.has(need) && (what.there(need) === undefined || removes.has(need))) {
        throw new PlanError('an object needs what is not there', [key, need]);
      }
    }
  }
  for (const [key, remove] of removes) {
    for (const dependent of what.dependents(key)) {
      // What is removed goes before what it needs; what is changed in place lets go of it.
      const earlier = removes.get(dependent) ?? puts.get(dependent);
      if (earlier !== undefined) waitFor(remove, earlier);
      else if (!puts.has(key) && what.wanted(dependent)?.needs.includes(key) === true) {
        throw new PlanError('an object would lose what it needs', [dependent, key]);
      }
    }
  }
  keepClaimsApart(puts, removes);
  return [...puts.values(), ...removes.values()];
}

/** One action a line. */
export function formatPlan({ waves }: Plan): string {
  return waves
    .map((wave, i) => wave.map(({ type, object }) => `${i + 1} ${type} ${object.key}\n`).join(''))
    .join('');
}

function actionsOf({ type, old, now }: Fate): {
  readonly put: Action | null;
  readonly remove: Action | null;
} {
  const remove: Action | null =
    old === undefined || type === 'update' || type === 'create' ? null : { type: 'remove', object: old };
  if (now === undefined) return { put: null, remove };
  if (type === 'update' && old !== undefined) return { put: { type, object: now, old }, remove };
  return { put: { type: 'create', object: now }, remove };
}

function step(action: Action): Step {
  return { action, next: [], waits: 0, early: false };
}

function waitFor(later: Step, earlier: Step | undefined): void {
  if (earlier === undefined || earlier === later) return;
  earlier.next.push(later);
  later.waits++;
}

/** Who takes a claim waits until its old holder has let go of it. */
function keepClaimsApart(puts: ReadonlyMap<ObjectKey, Step>, removes: ReadonlyMap<ObjectKey, Step>): void {
  const holders = new Map<string, Step>();
  for (const remove of removes.values()) {
    for (const claim of remove.action.object.claims ?? []) holders.set(claim, remove);
  }
  for (const put of puts.values()) {
    if (put.action.type !== 'update') continue;
    const { object, old } = put.action;
    for (const claim of old.claims ?? []) if (!object.claims?.includes(claim)) holders.set(claim, put);
  }
  if (holders.size === 0) return;
  for (const put of puts.values()) {
    for (const claim of put.action.object.claims ?? []) {
      const holder = holders.get(claim);
      if (holder?.action.object.key !== put.action.object.key) waitFor(put, holder);
    }
  }
}

/** Waves, and the actions that never get their turn. */
function wavesOf(steps: readonly Step[]): { readonly waves: Action[][]; readonly stuck: readonly Action[] } {
  markEarly(steps);
  const waves: Action[][] = [];
  const ready: Step[][] = [[], [], [], [], [], []];
  const add = (one: Step): void => {
    ready[rankOf(one)]?.push(one);
  };
  for (const one of steps) if (one.waits === 0) add(one);
  for (;;) {
    const rank = ready.findIndex((list) => list.length > 0);
    if (rank < 0) break;
    const wave = ready[rank] ?? [];
    ready[rank] = [];
    waves.push(wave.map(({ action }) => action));
    for (const { next } of wave) for (const one of next) if (--one.waits === 0) add(one);
  }
  const stuck = steps.filter(({ waits }) => waits > 0).map(({ action }) => action);
  return { waves, stuck };
}

/** Of those that are ready, the ones of the lowest rank have their turn. */
function rankOf({ action, early }: Step): number {
  const late = action.object.late === true;
  if (action.type !== 'remove') return late && action.type === 'create' ? 3 : 0;
  return (early ? 1 : 4) + (late ? 0 : 1);
}

/** Marks the removals that a creation waits for, directly or through others. */
function markEarly(steps: readonly Step[]): void {
  const before = new Map<Step, Step[]>();
  for (const one of steps) {
    if (one.action.type !== 'remove') continue;
    for (const later of one.next) {
      const known = before.get(later);
      if (known === undefined) before.set(later, [one]);
      else known.push(one);
    }
  }
  const open = steps.filter(({ action }) => action.type !== 'remove');
  const seen = new Set(open);
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    for (const earlier of before.get(one) ?? []) {
      if (seen.has(earlier)) continue;
      seen.add(earlier);
      earlier.early = true;
      open.push(earlier);
    }
  }
}
