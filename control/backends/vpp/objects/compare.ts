/** What must be done to each object so that VPP holds what it shall. Pure. */
import { sameObject } from './same.js';
import type { ObjectKey, VppObject } from './types.js';

export interface Comparison {
  wanted(key: ObjectKey): VppObject | undefined;
  there(key: ObjectKey): VppObject | undefined;
  /** Keys of the objects there that need this one. */
  dependents(key: ObjectKey): Iterable<ObjectKey>;
  /** Whether objects of this kind can be changed in place. */
  canUpdate(kind: string): boolean;
}

/** What becomes of an object that does not stay as it is. `remake`: removed, then created anew. */
export interface Fate {
  readonly type: 'create' | 'update' | 'remake' | 'remove';
  readonly old: VppObject | undefined;
  readonly now: VppObject | undefined;
}

/**
 * The fates of these objects, and of all that need one of them that is made anew. An object that is as it shall be has none.
 * `remade` are not changed in place, even if they could be.
 */
export function compare(
  keys: Iterable<ObjectKey>,
  what: Comparison,
  remade: ReadonlySet<ObjectKey> = new Set(),
): ReadonlyMap<ObjectKey, Fate> {
  const fates = new Map<ObjectKey, Fate>();
  const fresh: ObjectKey[] = [];
  for (const key of keys) {
    const fate = fateOf(key, what, remade);
    if (fate === null) continue;
    fates.set(key, fate);
    if (fate.type === 'create' || fate.type === 'remake') fresh.push(key);
  }
  for (let key = fresh.pop(); key !== undefined; key = fresh.pop()) {
    for (const dependent of what.dependents(key)) {
      const type = fates.get(dependent)?.type;
      if (type === 'remake' || type === 'remove') continue;
      const [old, now] = [what.there(dependent), what.wanted(dependent)];
      // One that will not need it any more can still let go of it in place.
      if (old === undefined || now === undefined || (type === 'update' && !now.needs.includes(key))) continue;
      fates.set(dependent, { type: 'remake', old, now });
      fresh.push(dependent);
    }
  }
  return fates;
}

function fateOf(key: ObjectKey, what: Comparison, remade: ReadonlySet<ObjectKey>): Fate | null {
  const [old, now] = [what.there(key), what.wanted(key)];
  if (now === undefined) return old === undefined ? null : { type: 'remove', old, now };
  if (old === undefined) return { type: 'create', old, now };
  if (sameObject(old, now)) return null;
  const inPlace = old.kind === now.kind && what.canUpdate(now.kind) && !remade.has(key);
  return { type: inPlace ? 'update' : 'remake', old, now };
}
