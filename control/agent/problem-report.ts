import type { Model } from '../model/model.js';
import { problemsOf, problemText } from '../model/problems.js';
import type { KubeObject } from '../objects/types.js';

/** Tells of objects that are accepted but do less than their authors may expect: each thing once, until it is put right. */
export class ProblemReport {
  #told = new Set<string>();

  constructor(
    private readonly externalIPCIDRs: readonly string[],
    private readonly log: (line: string) => void,
  ) {}

  /** All objects, after a listing. */
  all(objects: Iterable<KubeObject>): void {
    const told = this.#told;
    this.#told = new Set();
    this.#tell(objects, told);
  }

  /** Objects that changed. ClusterNetworkPolicies are looked at together: their priorities may meet. */
  changed(objects: readonly KubeObject[], model: Model): void {
    const others = objects.filter(({ kind }) => kind !== 'ClusterNetworkPolicy');
    const policies = others.length < objects.length ? model.all('ClusterNetworkPolicy') : [];
    this.#tell([...others, ...policies], this.#told);
  }

  #tell(objects: Iterable<KubeObject>, told: ReadonlySet<string>): void {
    for (const problem of problemsOf(objects, this.externalIPCIDRs)) {
      const text = problemText(problem);
      if (!told.has(text) && !this.#told.has(text)) this.log(text);
      this.#told.add(text);
    }
  }
}
