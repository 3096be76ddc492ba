/** What is in force but for a part that the data plane at hand cannot do (`Backend.shortfalls`). */
import type { Backend } from '../backends/backend.js';
import type { Change, Item, Key } from '../ruleset/types.js';

/** Key of each item that has one, and the text. */
export function* shortfallsOf(
  backend: Backend | null,
  items: Iterable<Item>,
): Generator<readonly [Key, string]> {
  for (const item of items) for (const text of backend?.shortfalls?.(item) ?? []) yield [item.key, text];
}

/** Lines for the log about what is new: items change often in what has nothing to do with it. */
export function* newShortfalls(backend: Backend | null, changes: readonly Change[]): Generator<string> {
  for (const change of changes) {
    if (change.type === 'remove') continue;
    const old = change.type === 'update' ? [change.old] : [];
    const known = new Set([...shortfallsOf(backend, old)].map(([, text]) => text));
    for (const [key, text] of shortfallsOf(backend, [change.item])) {
      if (!known.has(text)) yield `${key} is in force but for this: ${text}`;
    }
  }
}
