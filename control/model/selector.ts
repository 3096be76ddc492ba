/** Label selectors, plainly: one selector against one set of labels (metav1.LabelSelectorAsSelector). */
import type { LabelSelector, SelectorOperator } from '../objects/types.js';

export type Labels = Readonly<Record<string, string>>;

export interface Requirement {
  readonly key: string;
  readonly operator: SelectorOperator;
  /** Sorted, each once. */
  readonly values: readonly string[];
}

/**
 * A selector as a list of requirements that all hold, in canonical order: equal meaning written differently gives equal
 * lists in the usual cases (matchLabels or In with one value, order, repeats). Empty = everything.
 */
export function requirementsOf(selector: LabelSelector): readonly Requirement[] {
  let known = KNOWN.get(selector);
  if (known === undefined) {
    known = normalize(selector);
    KNOWN.set(selector, known);
  }
  return known;
}

/** Objects are never changed in place, so a selector is taken apart once. */
const KNOWN = new WeakMap<LabelSelector, readonly Requirement[]>();

function normalize(selector: LabelSelector): readonly Requirement[] {
  const all: Requirement[] = Object.entries(selector.matchLabels).map(([key, value]) => ({
    key,
    operator: 'In',
    values: [value],
  }));
  for (const { key, operator, values } of selector.matchExpressions) {
    all.push({ key, operator, values: [...new Set(values)].sort() });
  }
  const keyed = new Map(all.map((requirement) => [JSON.stringify(requirement), requirement]));
  return [...keyed].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, requirement]) => requirement);
}

/** An absent key satisfies NotIn and DoesNotExist. */
export function holds({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

export function matches(selector: LabelSelector, labels: Labels): boolean {
  return requirementsOf(selector).every((requirement) => holds(requirement, labels));
}
