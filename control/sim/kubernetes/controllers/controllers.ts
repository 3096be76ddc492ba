/** All that the simulator plays beside a real API server. */
import type { ClusterConfig } from '../../../compiler/input.js';
import { BalancerController } from './balancers.js';
import type { Controller, ControllerParts } from './controller.js';
import { Kubelet, type Sandboxes } from './kubelet.js';
import { NamespaceController } from './namespaces.js';
import { Scheduler } from './scheduler.js';
import { SliceController } from './slices.js';
import { WorkloadController } from './workloads.js';

export interface Played {
  readonly driver: Sandboxes;
  /** Node -> its addresses on the underlay. */
  readonly nodes: ReadonlyMap<string, readonly string[]>;
  readonly config: ClusterConfig;
}

export class Controllers {
  readonly kubelet: Kubelet;
  readonly #all: ReadonlyMap<string, Controller>;

  constructor(parts: ControllerParts, { driver, nodes, config }: Played) {
    this.kubelet = new Kubelet(parts, { sandboxes: driver, nodes });
    this.#all = new Map<string, Controller>([
      ['workloads', new WorkloadController(parts)],
      ['scheduler', new Scheduler(parts)],
      ['kubelet', this.kubelet],
      ['endpoints', new SliceController(parts)],
      ['namespaces', new NamespaceController(parts)],
      ['load balancers', new BalancerController(parts, config)],
    ]);
  }

  /** Who has something left to do, in a line; null = nobody. */
  waiting(): string | null {
    for (const [name, { idle }] of this.#all) if (!idle) return `${name} have work`;
    return null;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all.values()].map((controller) => controller.close()));
  }
}
