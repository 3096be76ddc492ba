/**
 * Pods wired here that the store does not know: policies that could select them keep them closed, since nobody can tell their labels.
 * For a moment that is so at each start and end of a pod. For longer it means that ksr does not write, and nothing else would say
 * why these pods have no traffic.
 */
import { BARE_NAMESPACE } from './cni-handler.js';
import { type NodeState, podKey } from './node-state.js';
import type { AgentProblem } from './problem-report.js';

const MESSAGE = 'is not in the store, so policies that could select it keep it closed; does ksr run?';

export class UnknownPods {
  /** Unknown at the last look. */
  #suspects: ReadonlySet<string> = new Set();
  /** Unknown at the last two. */
  #told: ReadonlySet<string> = new Set();

  constructor(
    private readonly state: NodeState,
    private readonly log: (line: string) => void,
  ) {}

  /** Those that were unknown for longer, and still are. */
  get problems(): readonly AgentProblem[] {
    const unknown = this.#unknown();
    return [...this.#told]
      .filter((name) => unknown.has(name))
      .map((name) => ({ source: 'node', object: `Pod ${name}`, field: null, message: MESSAGE }));
  }

  /** Called now and then; who is found a second time is logged. */
  look(): void {
    const unknown = this.#unknown();
    const told = new Set([...unknown].filter((name) => this.#suspects.has(name)));
    for (const name of told) if (!this.#told.has(name)) this.log(`pod ${name} ${MESSAGE}`);
    this.#suspects = unknown;
    this.#told = told;
  }

  #unknown(): ReadonlySet<string> {
    const { state } = this;
    const known = ({ namespace, name }: { readonly namespace: string; readonly name: string }): boolean =>
      namespace === BARE_NAMESPACE || state.model.get('Pod', namespace, name) !== undefined;
    return new Set(state.pods().flatMap(({ pod }) => (known(pod) ? [] : [podKey(pod)])));
  }
}
