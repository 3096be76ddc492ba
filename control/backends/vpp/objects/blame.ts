/** Which changes a refusal is the fault of. Pure. */
import type { PteropusError } from '../../../common/errors.js';
import type { Change, Key } from '../../../ruleset/types.js';
import type { ChangeResult } from '../../backend.js';
import type { Rendered } from './render.js';
import type { ObjectKey } from './types.js';

/** Key of a change -> what is wrong with it. */
export type Failures = ReadonlyMap<Key, PteropusError>;

/** Something is wrong with an object. */
export interface Fault {
  readonly key: ObjectKey;
  readonly error: PteropusError;
}

/**
 * Of the changes that touched the object; else of those whose items have part in it; else of all. The first fault of
 * each is told.
 */
export function blameFaults(
  changes: readonly Change[],
  { touched }: Pick<Rendered, 'touched'>,
  faults: readonly Fault[],
  ownersOf: (object: ObjectKey) => readonly Key[],
): Failures {
  const all = new Set(changes.map(({ key }) => key));
  const blamed = new Map<Key, PteropusError>();
  for (const { key, error } of faults) {
    const among = (keys: Iterable<Key>): Key[] => [...keys].filter((name) => all.has(name));
    const causes = among(touched.get(key) ?? []);
    const owners = causes.length > 0 ? causes : among(ownersOf(key));
    for (const cause of owners.length > 0 ? owners : all) if (!blamed.has(cause)) blamed.set(cause, error);
  }
  return blamed;
}

export function resultsOf(changes: readonly Change[], failures: Failures): readonly ChangeResult[] {
  return changes.map(({ key }) => {
    const error = failures.get(key);
    if (error === undefined) return { key, error: null };
    return { key, error: { name: error.name, message: error.message, retryable: error.retryable } };
  });
}
