/**
 * Pods of this node of which store and node tell different things. They are in the store or wired here, and not both: for a moment that
 * is so at each start and end of a pod. For longer nothing else would say why such a pod has no traffic: policies that could select it
 * keep a pod closed whose labels nobody knows, since ksr does not write; and a pod that another plugin wired, or that lost its link, has
 * none of ours. Or they share an address with another pod.
 */
import type { Pod } from '../objects/types.js';
import { BARE_NAMESPACE } from './cni-handler.js';
import { type NodeState, podKey } from './node-state.js';
import type { AgentProblem } from './problem-report.js';
import { sharedAddresses } from './shared-addresses.js';

const UNKNOWN = 'is not in the store, so policies that could select it keep it closed; does ksr run?';
const UNWIRED = 'runs on this node and is not wired here: it has no network of ours until it is made anew';

export class UnknownPods {
  /** `NAMESPACE/NAME` -> what is wrong, at the last look. */
  #suspects: ReadonlyMap<string, string> = new Map();
  /** At the last two. */
  #told: ReadonlyMap<string, string> = new Map();

  constructor(
    private readonly state: NodeState,
    private readonly log: (line: string) => void,
  ) {}

  /** What was so for longer, and still is. */
  get problems(): readonly AgentProblem[] {
    // All pods of the cluster are looked through.
    if (this.#told.size === 0) return [];
    return both(this.#told, this.#find()).map(([name, message]) => ({
      ...{ source: 'node', object: `Pod ${name}`, field: null, message },
    }));
  }

  /** Called now and then; what is found a second time is logged. */
  look(): void {
    const found = this.#find();
    const told = new Map(both(this.#suspects, found));
    for (const [name, message] of told)
      if (this.#told.get(name) !== message) this.log(`pod ${name} ${message}`);
    this.#suspects = found;
    this.#told = told;
  }

  #find(): ReadonlyMap<string, string> {
    const { model, identity } = this.state;
    const found = new Map(sharedAddresses(this.state));
    for (const { pod } of this.state.pods()) {
      if (pod.namespace === BARE_NAMESPACE) continue;
      if (model.get('Pod', pod.namespace, pod.name) === undefined) found.set(podKey(pod), UNKNOWN);
    }
    for (const pod of model.all('Pod')) {
      const ref = { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name };
      if (pod.spec.nodeName !== identity.record.metadata.name || !hasNetwork(pod)) continue;
      if (this.state.pod(ref) === undefined) found.set(podKey(ref), UNWIRED);
    }
    return found;
  }
}

function hasNetwork({ spec, status }: Pod): boolean {
  return !spec.hostNetwork && status.phase === 'Running' && status.podIPs.length > 0 && !status.terminating;
}

function both(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): readonly (readonly [string, string])[] {
  return [...now].filter(([name, message]) => before.get(name) === message);
}
