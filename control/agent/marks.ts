import type { Change } from '../ruleset/types.js';

const MARKS = { add: '+', update: '~', remove: '-' } as const;

/** Changes as a record keeps them: `+key`, `~key`, `-key`. */
export function changeMarks(changes: readonly Change[]): readonly string[] {
  return changes.map((change) => MARKS[change.type] + change.key);
}
