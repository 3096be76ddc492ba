/** A cloud: gives Services of type LoadBalancer their addresses. */
import type { ClusterConfig } from '../../../compiler/input.js';
import { assignServices } from '../../services.js';
import { LOAD_BALANCER_CIDR } from '../../world.js';
import { WorkQueue } from '../queue.js';
import { type Controller, type ControllerParts, pathOf } from './controller.js';

const EVERYTHING = 'services';

export class BalancerController implements Controller {
  readonly #queue: WorkQueue;

  constructor(
    private readonly parts: ControllerParts,
    private readonly config: ClusterConfig,
  ) {
    const reconcile = () => this.#reconcile();
    this.#queue = new WorkQueue({ name: 'load balancers', reconcile, parallel: 1, log: parts.log });
    this.#queue.add(EVERYTHING);
    parts.cache.listen(({ kind, object }) => {
      if (kind === 'Service' && object?.spec?.['type'] === 'LoadBalancer') this.#queue.add(EVERYTHING);
    });
  }

  get idle(): boolean {
    return this.#queue.idle;
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  async #reconcile(): Promise<void> {
    const { api, cache } = this.parts;
    const services = cache.typedAll('Service').filter(({ spec }) => spec.type === 'LoadBalancer');
    const assigned = assignServices(services, {
      serviceCIDR: this.config.serviceCIDR,
      loadBalancerCIDR: LOAD_BALANCER_CIDR,
    }).services;
    for (const { metadata, status } of assigned) {
      const raw = cache.get('Service', `${metadata.namespace}/${metadata.name}`);
      if (raw === undefined) continue;
      const now = cache.typed(raw);
      const ips = status.loadBalancer.map(({ ip }) => ip);
      if (now?.kind === 'Service' && now.status.loadBalancer.map(({ ip }) => ip).join() === ips.join())
        continue;
      const loadBalancer = { ingress: status.loadBalancer };
      await api.patch(`${pathOf('Service', raw)}/status`, { status: { loadBalancer } });
    }
  }
}
