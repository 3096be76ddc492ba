import type { Model } from '../model/model.js';
import { type Problem, problemsOf, problemText } from '../model/problems.js';
import type { KubeObject, ObjectEvent } from '../objects/types.js';
import { keyOf, OBJECTS_PREFIX } from './objects.js';

/** Something that is wrong, for REST and metrics. */
export interface AgentProblem {
  /** object: one that does less than its author may expect; store: an entry that cannot be read; dataplane: an item it refuses. */
  readonly source: 'object' | 'store' | 'dataplane' | 'node';
  /** `KIND NAMESPACE/NAME`, a key of the store, or the key of an item. */
  readonly object: string | null;
  readonly field: string | null;
  readonly message: string;
}

/** Kinds that problemsOf knows problems of. */
const KINDS = ['ClusterNetworkPolicy', 'Service', 'Pod'] as const;

/** Objects come and go, and each has problems of its own: beyond this all is forgotten, and told once more. */
const MOST_TOLD = 10_000;

/** Tells of objects that are accepted but do less than their authors may expect: each thing once, until it is put right. */
export class ProblemReport {
  #told = new Set<string>();
  /** Keys of the store that cannot be used, and why. */
  readonly #unreadable = new Map<string, string>();

  constructor(
    private readonly externalIPCIDRs: readonly string[],
    private readonly log: (line: string) => void,
  ) {}

  /** A listing begins: what cannot be read in it will be told again. */
  listing(): void {
    this.#unreadable.clear();
  }

  unreadable(key: string, reason: string): void {
    this.#unreadable.set(key, reason);
    this.log(`${key} in the store cannot be used: ${reason}`);
  }

  /** All objects, after a listing. */
  all(objects: Iterable<KubeObject>): void {
    const told = this.#told;
    this.#told = new Set();
    this.#tell(objects, told);
  }

  /** Objects that changed. ClusterNetworkPolicies are looked at together: their priorities may meet. */
  changed(events: readonly ObjectEvent[], model: Model): void {
    if (this.#told.size > MOST_TOLD) this.#told = new Set();
    const objects = events.flatMap((event) => (event.type === 'put' ? [event.object] : []));
    if (this.#unreadable.size > 0) for (const event of events) this.#unreadable.delete(storeKey(event));
    const others = objects.filter(({ kind }) => kind !== 'ClusterNetworkPolicy');
    const policies = others.length < objects.length ? model.all('ClusterNetworkPolicy') : [];
    this.#tell([...others, ...policies], this.#told);
  }

  /** All that is wrong now with objects and entries of the store. */
  list(model: Model): readonly AgentProblem[] {
    const objects = KINDS.flatMap((kind): readonly KubeObject[] => [...model.all(kind)]);
    return [
      ...[...this.#unreadable].map(([object, message]) => {
        return { source: 'store' as const, object, field: null, message };
      }),
      ...problemsOf(objects, this.externalIPCIDRs).map(ofObject),
    ];
  }

  #tell(objects: Iterable<KubeObject>, told: ReadonlySet<string>): void {
    for (const problem of problemsOf(objects, this.externalIPCIDRs)) {
      const text = problemText(problem);
      if (!told.has(text) && !this.#told.has(text)) this.log(text);
      this.#told.add(text);
    }
  }
}

function ofObject({ object: { kind, metadata }, field, message }: Problem): AgentProblem {
  const name = metadata.namespace === null ? metadata.name : `${metadata.namespace}/${metadata.name}`;
  return { source: 'object', object: `${kind} ${name}`, field, message };
}

function storeKey(event: ObjectEvent): string {
  if (event.type === 'put') return keyOf(event.object);
  return `${OBJECTS_PREFIX}${event.kind}/${event.namespace ?? ''}/${event.name}`;
}
