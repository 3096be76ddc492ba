/** Applies as much of a transaction as the data plane takes: what it refuses is left out, with all that depends on it. Pure. */
import type { Change, Item, Key, Ruleset } from '../ruleset/types.js';

/** Keys of the items an item cannot do without. */
export function references(item: Item): readonly Key[] {
  switch (item.kind) {
    case 'route':
      if (item.target.type === 'interface') return [item.target.interface];
      return item.target.type === 'tunnel' ? [item.target.tunnel] : [];
    case 'policy':
      return item.rules.flatMap((rule) => rule.peers ?? []);
    case 'endpoint':
      return [item.interface, item.ingress, item.egress].filter((key) => key !== null);
    default:
      return [];
  }
}

/** The same, and of a pod's interface what judges the pod: who is wired without it could reach everyone, and be reached. */
function needsOf(item: Item): readonly Key[] {
  if (item.kind !== 'interface' || item.pod === null) return references(item);
  return [`endpoint/${item.pod.namespace}/${item.pod.name}`];
}

/**
 * The changes without those of `refused`, and without any that would leave an item without what it refers to: an item that
 * needs a refused one stays as it was, and what an item that stays still needs is not removed.
 */
export function withoutRefused(
  applied: Ruleset,
  changes: readonly Change[],
  refused: ReadonlySet<Key>,
): readonly Change[] {
  const left = new Map(changes.filter(({ key }) => !refused.has(key)).map((change) => [change.key, change]));
  const after = (key: Key): Item | undefined => {
    const change = left.get(key);
    if (change === undefined) return applied.get(key);
    return change.type === 'remove' ? undefined : change.item;
  };
  const keys = new Set([...applied.keys(), ...left.keys()]);
  for (let again = true; again; ) {
    again = false;
    for (const key of keys) {
      const item = after(key);
      if (item === undefined) continue;
      for (const needed of needsOf(item)) {
        if (after(needed) !== undefined) continue;
        // Either the needed item is on its way out, or this one came too early.
        const drop = left.get(needed)?.type === 'remove' ? needed : key;
        if (left.delete(drop)) again = true;
      }
    }
  }
  return changes.filter(({ key }) => left.has(key));
}
