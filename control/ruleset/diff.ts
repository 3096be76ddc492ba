/** From one ruleset to another in single steps. */
import { PteropusError } from '../common/errors.js';
import { compareText, sameItem } from './canonical.js';
import type { Change, Item, ItemKind, Key, Ruleset } from './types.js';

/** Whatever an item refers to comes before it. */
const ORDER: Readonly<Record<ItemKind, number>> = {
  node: 0,
  interface: 1,
  tunnel: 2,
  route: 3,
  addressset: 4,
  policy: 5,
  endpoint: 6,
  service: 7,
  healthcheck: 8,
  snat: 9,
};

/**
 * The changes that turn `old` into `wanted`, in an order in which each step finds what it refers to: additions and
 * updates first, dependencies before dependents; then removals, dependents before dependencies. Deterministic.
 */
export function diffRulesets(old: Ruleset, wanted: Ruleset): readonly Change[] {
  const puts: Change[] = [];
  const removes: Change[] = [];
  for (const item of wanted.values()) {
    const before = old.get(item.key);
    if (before === undefined) puts.push({ type: 'add', key: item.key, item });
    else if (!sameItem(before, item)) puts.push({ type: 'update', key: item.key, item, old: before });
  }
  for (const item of old.values()) {
    if (!wanted.has(item.key)) removes.push({ type: 'remove', key: item.key, old: item });
  }
  return inOrder(puts, removes);
}

/**
 * As `diffRulesets`, if the two differ in no other keys than these. A change that says just this step is taken as it is, with its
 * delta.
 */
export function changesOf(
  keys: ReadonlyMap<Key, Change | null>,
  old: Ruleset,
  wanted: Ruleset,
): readonly Change[] {
  const puts: Change[] = [];
  const removes: Change[] = [];
  for (const [key, change] of keys) {
    const before = old.get(key);
    const item = wanted.get(key);
    if (item === undefined) {
      if (before !== undefined) removes.push({ type: 'remove', key, old: before });
    } else if (before === undefined) puts.push({ type: 'add', key, item });
    else if (change?.type === 'update' && change.old === before && change.item === item) puts.push(change);
    else if (!sameItem(before, item)) puts.push({ type: 'update', key, item, old: before });
  }
  return inOrder(puts, removes);
}

/** The order `diffRulesets` gives: additions and updates, then removals. Sorts the lists given. */
export function inOrder(puts: Change[], removes: Change[]): readonly Change[] {
  return [...puts.sort((a, b) => compareChanges(a, b)), ...removes.sort((a, b) => compareChanges(b, a))];
}

function compareChanges(a: Change, b: Change): number {
  return ORDER[itemOf(a).kind] - ORDER[itemOf(b).kind] || compareText(a.key, b.key);
}

function itemOf(change: Change): Item {
  return change.type === 'remove' ? change.old : change.item;
}

/** A step does not fit the ruleset it is applied to: what it says was there is not. */
export class ChangeMismatchError extends PteropusError {}

/** The ruleset after the changes; the given one stays as it is. Throws ChangeMismatchError. */
export function applyChanges(ruleset: Ruleset, changes: readonly Change[]): Ruleset {
  const result = new Map<Key, Item>(ruleset);
  for (const change of changes) {
    const before = result.get(change.key);
    const expected = change.type === 'add' ? undefined : change.old;
    const fits =
      expected === undefined || before === undefined ? expected === before : sameItem(expected, before);
    if (!fits)
      throw new ChangeMismatchError(`cannot ${change.type}: something else is there`, { object: change.key });
    if (change.type === 'remove') result.delete(change.key);
    else result.set(change.key, change.item);
  }
  return result;
}

/** The changes that undo these, last first. */
export function invertChanges(changes: readonly Change[]): readonly Change[] {
  return changes.toReversed().map((change): Change => {
    if (change.type === 'add') return { type: 'remove', key: change.key, old: change.item };
    if (change.type === 'remove') return { type: 'add', key: change.key, item: change.old };
    return { type: 'update', key: change.key, item: change.old, old: change.item };
  });
}
