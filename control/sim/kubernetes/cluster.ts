/**
 * A simulated cluster whose objects live in a real API server. Manifests are applied to it; controllers and kubelets of ours
 * act on what it says; everything network follows it by way of ksr, etcd and the agents.
 */
import { rangesOf } from '../../compiler/input.js';
import type { Pod } from '../../objects/types.js';
import type { ClusterSpec, Difference, SimulatedCluster } from '../cluster.js';
import { desiredState } from '../desired.js';
import type { ManifestSet } from '../manifest-set.js';
import type { ClusterState } from '../matrix/state.js';
import { remarkLines } from '../remarks.js';
import { nodeObject, nodeState } from '../world.js';
import { Applier } from './applier.js';
import { ApiCache } from './cache.js';
import type { ControlPlane } from './control-plane.js';
import { Controllers } from './controllers/controllers.js';
import { registerNode } from './nodes.js';
import { Settling } from './settling.js';
import { stateOf } from './state.js';

export class KubernetesCluster implements SimulatedCluster {
  #cache: ApiCache | null = null;
  #controllers: Controllers | null = null;
  #settling: Settling | null = null;
  #applier: Applier | null = null;
  #remarked: ReadonlySet<string> = new Set();
  /** Changes are brought in one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(
    readonly spec: ClusterSpec,
    readonly plane: ControlPlane,
  ) {}

  async start(): Promise<void> {
    const { driver, nodes, config, progress, signal } = this.spec;
    const started = performance.now();
    // The driver starts the control plane once the cluster's name is its own.
    await driver.start();
    const { api } = this.plane;
    await Promise.all(nodes.map((node) => registerNode(api, config, nodes, node)));
    const cache = await ApiCache.start(api, progress);
    this.#cache = cache;
    const addresses = new Map(
      nodes.map((node) => {
        const { address, address6 } = nodeState(config, nodes, node);
        return [node, address6 === undefined ? [address] : [address, address6]];
      }),
    );
    this.#controllers = new Controllers({ api, cache, log: progress }, { driver, nodes: addresses, config });
    const serviceCIDRs = rangesOf(config).map(({ serviceCIDR }) => serviceCIDR);
    this.#applier = new Applier(api, cache, { serviceCIDRs, nodes });
    const { externalIPCIDRs } = config;
    this.#settling = new Settling({
      cache,
      controllers: this.#controllers,
      driver,
      nodes,
      externalIPCIDRs,
      signal,
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    progress(`${nodes.length} nodes are up on feed ${driver.feed} (${seconds} s)`);
    progress(`export KUBECONFIG=${this.plane.kubeconfig}`);
  }

  bring(set: ManifestSet): Promise<Difference> {
    const next = this.#queue.then(
      () => this.#bring(set),
      () => this.#bring(set),
    );
    this.#queue = next.catch(() => undefined);
    return next;
  }

  get state(): ClusterState {
    const { nodes, config, outside, outsidePorts } = this.spec;
    const addresses = nodes.map((name) => nodeState(config, nodes, name, this.spec.driver.vpp));
    return stateOf(this.cache, addresses, { addresses: outside, ports: outsidePorts });
  }

  /** What the API says now. */
  get cache(): ApiCache {
    if (this.#cache === null) throw new Error('the cluster was not started');
    return this.#cache;
  }

  /** Resolves when what the API has now is in force everywhere. Throws NotConvergedError, ApiError. */
  async settled(): Promise<void> {
    const seen = await this.cache.mark();
    await this.#settling?.settled([], seen);
  }

  async close(): Promise<void> {
    await this.#queue;
    await this.#controllers?.close();
    this.#settling?.close();
    await this.#cache?.close();
    await this.spec.driver.close();
    await this.plane.stop();
  }

  async #bring(set: ManifestSet): Promise<Difference> {
    const { nodes, config, progress } = this.spec;
    const started = performance.now();
    const known = nodes.map((node) => nodeObject(config, nodes, node));
    this.#remark(desiredState(set, known, config).warnings);
    const before = this.#running();
    const written = (await this.#applier?.bring(set)) ?? [];
    await this.#settling?.settled(written);
    const after = this.#running();
    const added = [...after].filter((uid) => !before.has(uid)).length;
    if (added > 0)
      progress(`${after.size} pods run (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    return {
      objects: written.length,
      podsAdded: added,
      podsRemoved: [...before].filter((uid) => !after.has(uid)).length,
      millis: performance.now() - started,
    };
  }

  #running(): ReadonlySet<string> {
    const runs = ({ status }: Pod) => status.phase === 'Running';
    return new Set(
      this.cache
        .typedAll('Pod')
        .filter(runs)
        .map(({ metadata }) => metadata.uid ?? ''),
    );
  }

  /** What was said once is not said again with every change. */
  #remark(warnings: readonly string[]): void {
    for (const line of remarkLines(warnings.filter((text) => !this.#remarked.has(text)))) {
      this.spec.progress(line);
    }
    this.#remarked = new Set(warnings);
  }
}
