/** Lets ADD wait for its pod's object, which may reach the store after the runtime has called. */
import type { PodRef } from '../ruleset/types.js';
import type { NodeState } from './node-state.js';

export class PodAwaited {
  #waiting: (() => void)[] = [];

  constructor(
    private readonly state: NodeState,
    /** How long ADD waits before it wires the pod closed, milliseconds. */
    private readonly waitMs: number,
  ) {}

  /**
   * Waits for the pod's object. False: what is known is an earlier pod of that name, whose labels may be others. A pod
   * that stays unknown is fine: the compiler keeps it closed as long as any policy could select it.
   */
  async known(pod: PodRef, uid: string | null): Promise<boolean> {
    const deadline = performance.now() + this.waitMs;
    for (;;) {
      const known = this.state.knows(pod, uid);
      const left = deadline - performance.now();
      if (known === 'known' || left <= 0) return known !== 'earlier';
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Objects came: who waits looks again. */
  look(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
