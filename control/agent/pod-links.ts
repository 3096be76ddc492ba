/**
 * Links of wired pods, as they are and as they should be. A pod with the right to can change its own link, and most runtimes never ask
 * CHECK: what is found is told, not undone, since it may be meant. Only the MTU is ours, and follows the configuration.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { errorText } from '../common/errors.js';
import type { PodRecord } from './journal.js';
import type { LinkDriver } from './links.js';
import { type NodeState, podKey } from './node-state.js';
import type { AgentProblem } from './problem-report.js';

export class PodLinks {
  /** `NAMESPACE/NAME` of a pod -> what is wrong with its link. */
  #found: ReadonlyMap<string, readonly string[]> = new Map();
  #looking: Promise<void> | null = null;

  constructor(
    private readonly links: LinkDriver,
    private readonly state: NodeState,
    private readonly log: (line: string) => void,
  ) {}

  /** As the last look found it; of pods that are still here. */
  get problems(): readonly AgentProblem[] {
    const here = new Set(this.state.pods().map(({ pod }) => podKey(pod)));
    return [...this.#found].flatMap(([name, messages]) =>
      here.has(name)
        ? messages.map((message) => ({
            source: 'node' as const,
            object: `Pod ${name}`,
            field: null,
            message,
          }))
        : [],
    );
  }

  /** Compares each link with what it was made as; new findings are logged. Who asks meanwhile waits for the same look. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  /** Pods that were wired under another MTU, or by an earlier release, get links as of today; a new MTU is logged, and what refuses. */
  async renew(): Promise<void> {
    for (const record of this.#told()) {
      const name = podKey(record.pod);
      const spec = this.state.linkSpec(record);
      try {
        if (await this.links.renewPod(spec)) this.log(`pod ${name} has an MTU of ${spec.mtu} now`);
      } catch (error) {
        this.log(`pod ${name} keeps its link as it was: ${errorText(error)}`);
      }
    }
  }

  async #look(): Promise<void> {
    const found = new Map<string, readonly string[]>();
    for (const record of this.#told()) {
      // A look takes a millisecond a pod, and others have things to do.
      await turn();
      const messages = await this.links.checkPod(this.state.linkSpec(record));
      // It may have been unwired meanwhile.
      if (messages.length > 0 && this.state.pod(record.pod) === record)
        found.set(podKey(record.pod), messages);
    }
    for (const [name, messages] of found) {
      const before = new Set(this.#found.get(name));
      for (const message of messages) if (!before.has(message)) this.log(`pod ${name}: ${message}`);
    }
    this.#found = found;
  }

  /** Of a pod that was only found in the data plane (the journal was lost) nobody knows where its link is. */
  #told(): readonly PodRecord[] {
    return this.state.pods().filter(({ netns }) => netns !== '');
  }
}
