import { getOrMake } from './label-index.js';
import { holds, type Labels, type Requirement } from './selector.js';

/** Where so few selectors are, each is asked; where there are more, they are told apart by one more requirement. */
const FEW = 4;

/** By a requirement with more values than this nothing is told apart further: a selector is filed under each. */
const MOST_VALUES = 8;

/** Selectors that have some requirements in common, which hold for whoever comes here. */
class Node<Id> {
  /** How many selectors are here and below; one that is filed under several values counts for each. */
  size = 0;
  /** With the requirements that are left to ask. */
  readonly here = new Map<Id, readonly Requirement[]>();
  /** Key -> value -> selectors that need it as well. */
  readonly byValue = new Map<string, Map<string, Node<Id>>>();
  /** Key -> selectors that need it as well, with any value. */
  readonly byKey = new Map<string, Node<Id>>();

  constructor(
    readonly parent: Node<Id> | null,
    readonly key: string,
    /** null = any. */
    readonly value: string | null,
  ) {}

  /** How many selectors are filed under the requirement already; infinite for one that nothing can be filed under. */
  load({ key, operator, values }: Requirement): number {
    if (operator === 'Exists') return this.byKey.get(key)?.size ?? 0;
    if (operator !== 'In') return Number.POSITIVE_INFINITY;
    const byValue = this.byValue.get(key);
    return values.reduce((sum, value) => sum + (byValue?.get(value)?.size ?? 0), 0);
  }

  /** A label has one value, so that a selector filed under several values is still found once. */
  below({ key, operator, values }: Requirement): readonly Node<Id>[] {
    if (operator === 'Exists') return [getOrMake(this.byKey, key, () => new Node<Id>(this, key, null))];
    const byValue = getOrMake(this.byValue, key, () => new Map<string, Node<Id>>());
    return values.map((value) => getOrMake(byValue, value, () => new Node<Id>(this, key, value)));
  }

  /** Takes out what is below, so that labels long gone cost nothing. */
  prune({ key, value }: Node<Id>): void {
    if (value === null) {
      this.byKey.delete(key);
      return;
    }
    const byValue = this.byValue.get(key);
    byValue?.delete(value);
    if (byValue?.size === 0) this.byValue.delete(key);
  }
}

/**
 * Many selectors, asked by labels: which of them match? The inverse of `LabelIndex`. Each selector is filed under one of its
 * requirements that needs a label to be there, the one with the fewest others at that time, and where many have that one in common,
 * under another one; so a question costs little more than there are selectors that match.
 */
export class SelectorIndex<Id> {
  private readonly root = new Node<Id>(null, '', null);
  /** Where each is filed. */
  private readonly entries = new Map<Id, readonly Node<Id>[]>();

  get size(): number {
    return this.entries.size;
  }

  /** Adds a selector, or changes it. */
  put(id: Id, requirements: readonly Requirement[]): void {
    this.delete(id);
    const nodes: Node<Id>[] = [];
    file(this.root, id, requirements, nodes);
    this.entries.set(id, nodes);
  }

  delete(id: Id): void {
    for (const node of this.entries.get(id) ?? []) {
      node.here.delete(id);
      for (let at: Node<Id> | null = node; at !== null; at = at.parent) {
        if (--at.size === 0) at.parent?.prune(at);
      }
    }
    this.entries.delete(id);
  }

  ids(): Iterable<Id> {
    return this.entries.keys();
  }

  /** Selectors that match, in no particular order; the list is the caller's. */
  matching(labels: Labels): Id[] {
    const found: Id[] = [];
    collect(this.root, Object.keys(labels), labels, found);
    return found;
  }
}

function file<Id>(node: Node<Id>, id: Id, requirements: readonly Requirement[], nodes: Node<Id>[]): void {
  // At the root all are told apart: it is asked with everything.
  const chosen = node.parent === null || node.here.size >= FEW ? leastUsed(node, requirements) : null;
  if (chosen !== null) {
    const left = requirements.filter((requirement) => requirement !== chosen);
    for (const child of node.below(chosen)) file(child, id, left, nodes);
    return;
  }
  node.here.set(id, requirements);
  nodes.push(node);
  for (let at: Node<Id> | null = node; at !== null; at = at.parent) at.size++;
}

function leastUsed<Id>(node: Node<Id>, requirements: readonly Requirement[]): Requirement | null {
  let chosen: Requirement | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const requirement of requirements) {
    if (node.parent !== null && requirement.values.length > MOST_VALUES) continue;
    const load = node.load(requirement);
    if (load >= least) continue;
    chosen = requirement;
    least = load;
  }
  return chosen;
}

function collect<Id>(node: Node<Id>, keys: readonly string[], labels: Labels, found: Id[]): void {
  if (node.here.size > 0) {
    for (const [id, requirements] of node.here) if (allHold(requirements, labels)) found.push(id);
  }
  if (node.byValue.size > 0) {
    for (const key of keys) {
      const child = node.byValue.get(key)?.get(labels[key] ?? '');
      if (child !== undefined) collect(child, keys, labels, found);
    }
  }
  if (node.byKey.size === 0) return;
  for (const key of keys) {
    const child = node.byKey.get(key);
    if (child !== undefined) collect(child, keys, labels, found);
  }
}

function allHold(requirements: readonly Requirement[], labels: Labels): boolean {
  for (const requirement of requirements) if (!holds(requirement, labels)) return false;
  return true;
}
