/** Connections that rules decided. The ACL plugin counts a rule's hits; packets of a connection it knows hit none. */
import type { ObjectKey, VppObject } from '../objects/types.js';
import type { InForce } from '../observe.js';
import { Growth } from './growth.js';
import type { Sample } from './sample.js';

/** What counters and traces need of an ACL: the notes of its object, one for each rule. */
export interface NotedRules {
  readonly rules: readonly NotedRule[];
}

export interface NotedRule {
  /** `NetworkPolicy shop/web spec.ingress[0]`, or what it is that needs no policy. */
  readonly text: string;
  readonly allowed: boolean;
}

/** The notes of an ACL; null: the object is none, or has none. */
export function notedRules({ kind, notes }: VppObject): readonly NotedRule[] | null {
  if (kind !== 'acl' || typeof notes !== 'object' || notes === null || !('rules' in notes)) return null;
  return (notes as NotedRules).rules;
}

export class RuleCounter {
  readonly #growth = new Growth();
  #totals = new Map<string, number>();

  /** Text of each rule in force → connections. Rules of one text are one rule. */
  add(sample: Sample, { objects, handles }: InForce): Record<string, number> {
    const totals = new Map<string, number>();
    const kept = new Set<string>();
    const count = (key: ObjectKey, index: number, rules: readonly NotedRule[]): void => {
      const hits = sample.acls.get(index) ?? [];
      for (const [rule, { text }] of rules.entries()) {
        kept.add(`${key} ${rule}`);
        // A list that is changed may get another number, and another rule the place of this one.
        const grown = this.#growth.of(`${key} ${rule}`, hits[rule] ?? 0, `${index} ${text}`);
        totals.set(text, (totals.get(text) ?? this.#totals.get(text) ?? 0) + grown);
      }
    };
    for (const object of objects.values()) {
      const rules = notedRules(object);
      const index = rules === null ? undefined : handles.find(object.key);
      if (rules !== null && index !== undefined) count(object.key, index, rules);
    }
    this.#growth.keep(kept);
    this.#totals = totals;
    return Object.fromEntries(totals);
  }
}
