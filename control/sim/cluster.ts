/**
 * Plays the API server and the controllers over a driver: brings the manifests' objects into the store, starts and wires
 * pods, publishes EndpointSlices. Changed manifests are compared with what is there and only the difference is applied.
 */
import type { ClusterConfig } from '../compiler/input.js';
import { toJson } from '../objects/json.js';
import { storedKey } from '../objects/stored-keys.js';
import type { KubeObject, Pod } from '../objects/types.js';
import type { PodRef } from '../ruleset/types.js';
import type { Operation } from '../store/store.js';
import { type Desired, desiredState } from './desired.js';
import type { Driver, DriverSpec } from './driver.js';
import { endpointSlices } from './endpoints.js';
import type { Planned } from './expand.js';
import { checkpoint } from './interrupted.js';
import { running } from './load.js';
import type { ManifestSet } from './manifest-set.js';
import type { ClusterState } from './matrix/state.js';
import { remarkLines } from './remarks.js';
import { nodeObject, nodeState } from './world.js';

export interface ClusterSpec {
  readonly driver: Driver;
  readonly nodes: readonly string[];
  readonly config: ClusterConfig;
  readonly outside: readonly string[];
  readonly outsidePorts: DriverSpec['outsidePorts'];
  readonly progress: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** What one `bring` did. */
export interface Difference {
  readonly objects: number;
  readonly podsAdded: number;
  readonly podsRemoved: number;
  readonly millis: number;
}

/** A cluster the simulator can bring to what manifests say. */
export interface SimulatedCluster {
  /** Starts its nodes. */
  start(): Promise<void>;
  /** Makes the cluster what the manifests say; resolves when every node has it in force. */
  bring(set: ManifestSet): Promise<Difference>;
  /** What runs now. */
  readonly state: ClusterState;
  close(): Promise<void>;
}

/** Most changes in one store transaction, as etcd bounds them. */
const BATCH = 100;

const podName = (pod: Pod) => `${pod.metadata.namespace}/${pod.metadata.name}`;
const refOf = (pod: Pod): PodRef => ({
  namespace: pod.metadata.namespace ?? 'default',
  name: pod.metadata.name,
});

export class Cluster implements SimulatedCluster {
  /** Store key -> JSON of what we put there. */
  readonly #stored = new Map<string, string>();
  /** Wired pods by name, as they run. */
  readonly #running = new Map<string, Planned>();
  #desired: Desired | null = null;
  #rawPolicies: readonly unknown[] = [];
  #remarked: ReadonlySet<string> = new Set();
  /** Changes are brought in one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(readonly spec: ClusterSpec) {}

  /** Starts the driver. */
  async start(): Promise<void> {
    const { driver, nodes, config, progress } = this.spec;
    const started = performance.now();
    await driver.start();
    checkpoint(this.spec.signal);
    progress(`${nodes.length} nodes are up on feed ${driver.feed} (${seconds(started)})`);
    await this.#write(nodes.map((node) => nodeObject(config, nodes, node)));
  }

  /** Makes the cluster what the manifests say; resolves when every node has it in force. */
  bring(set: ManifestSet): Promise<Difference> {
    const next = this.#queue.then(
      () => this.#bring(set),
      () => this.#bring(set),
    );
    this.#queue = next.catch(() => undefined);
    return next;
  }

  /** What runs now. */
  get state(): ClusterState {
    const { nodes, config, outside, outsidePorts } = this.spec;
    const { namespaces = [], services = [], policies = [], slices = [] } = this.#desired ?? {};
    const pods = [...this.#running.values()].sort((a, b) => (podName(a.pod) < podName(b.pod) ? -1 : 1));
    return {
      nodes: nodes.map((name) => nodeState(config, nodes, name, this.spec.driver.vpp)),
      namespaces,
      pods,
      services,
      slices: endpointSlices(
        services,
        pods.map(({ pod }) => pod),
        slices,
      ),
      policies,
      rawPolicies: this.#rawPolicies,
      outside: { addresses: outside, ports: outsidePorts },
    };
  }

  async close(): Promise<void> {
    await this.#queue;
    await this.spec.driver.close();
  }

  async #bring(set: ManifestSet): Promise<Difference> {
    const { driver, nodes, config, progress } = this.spec;
    const started = performance.now();
    const nodeObjects = nodes.map((node) => nodeObject(config, nodes, node));
    const placed = new Map([...this.#running].map(([name, { pod }]) => [name, pod.spec.nodeName ?? '']));
    const desired = desiredState(set, nodeObjects, config, placed);
    const wanted = new Map(desired.pods.map((planned) => [podName(planned.pod), planned]));
    const gone = [...this.#running.values()].filter(({ pod }) => {
      const next = wanted.get(podName(pod));
      return next === undefined || !sameSandbox(pod, next.pod);
    });
    // New labels or annotations do not need a new sandbox.
    for (const [name, { pod }] of this.#running) {
      const next = wanted.get(name);
      if (next !== undefined && sameSandbox(pod, next.pod)) {
        this.#running.set(name, { ...next, pod: running(next.pod, pod.status.podIPs) });
      }
    }
    const leaving = new Set(gone.map(({ pod }) => podName(pod)));
    const arriving = desired.pods.filter(
      ({ pod }) => leaving.has(podName(pod)) || !this.#running.has(podName(pod)),
    );
    this.#desired = desired;
    this.#rawPolicies = rawPolicies(set);
    this.#remark(desired.warnings);

    // Policies, Services and new pods' labels come first, so that they are known when the pods are wired.
    let changes = 0;
    let revision = 0;
    const publish = async (objects: readonly KubeObject[]) => {
      const written = await this.#write([...nodeObjects, ...objects]);
      changes += written.changes;
      revision = written.revision ?? revision;
    };
    const stay = [...this.#running.values()].map(({ pod }) =>
      leaving.has(podName(pod)) ? terminating(pod) : pod,
    );
    const fresh = arriving.filter(({ pod }) => !leaving.has(podName(pod))).map(({ pod }) => pod);
    await publish(this.#objects(desired, [...stay, ...fresh]));
    if (gone.length + arriving.length > 0) {
      if (revision > 0) await driver.settled(revision);
      await this.#removePods(gone);
      await this.#addPods(arriving);
      await publish(
        this.#objects(
          desired,
          [...this.#running.values()].map(({ pod }) => pod),
        ),
      );
      if (arriving.length > 0) progress(`${this.#running.size} pods run (${seconds(started)})`);
    }
    if (revision > 0) await driver.settled(revision);
    return {
      objects: changes,
      podsAdded: arriving.length,
      podsRemoved: gone.length,
      millis: performance.now() - started,
    };
  }

  /** What was said once is not said again with every change. */
  #remark(warnings: readonly string[]): void {
    for (const line of remarkLines(warnings.filter((text) => !this.#remarked.has(text)))) {
      this.spec.progress(line);
    }
    this.#remarked = new Set(warnings);
  }

  /** What is gone is forgotten at once: if another one cannot go now, the next change tries that one alone again. */
  async #removePods(pods: readonly Planned[]): Promise<void> {
    const results = await Promise.allSettled(
      pods.map(async ({ pod }) => {
        await this.spec.driver.removePod(refOf(pod));
        this.#running.delete(podName(pod));
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** The driver bounds how many are made at a time. */
  async #addPods(pods: readonly Planned[]): Promise<void> {
    checkpoint(this.spec.signal);
    const results = await Promise.allSettled(
      pods.map(async (planned) => {
        const addresses = await this.spec.driver.addPod(planned.pod);
        this.#running.set(podName(planned.pod), { ...planned, pod: running(planned.pod, addresses) });
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    checkpoint(this.spec.signal);
    if (failed !== undefined) throw failed.reason;
  }

  #objects(desired: Desired, pods: readonly Pod[]): readonly KubeObject[] {
    const { namespaces, services, policies, slices } = desired;
    return [...namespaces, ...services, ...policies, ...pods, ...endpointSlices(services, pods, slices)];
  }

  /** Makes the store hold exactly these objects; revision null = nothing to change. */
  async #write(objects: readonly KubeObject[]): Promise<{ changes: number; revision: number | null }> {
    const wanted = new Map(objects.map((object) => [storedKey(object), toJson(object)]));
    const operations: Operation[] = [];
    for (const [key, value] of wanted) {
      if (this.#stored.get(key) !== value) operations.push({ type: 'put', key, value });
    }
    for (const key of this.#stored.keys()) if (!wanted.has(key)) operations.push({ type: 'delete', key });
    let revision: number | null = null;
    for (let i = 0; i < operations.length; i += BATCH) {
      const batch = operations.slice(i, i + BATCH);
      revision = (await this.spec.driver.store.transact([], batch)).revision;
      for (const operation of batch) {
        if (operation.type === 'put') this.#stored.set(operation.key, operation.value);
        else this.#stored.delete(operation.key);
      }
    }
    return { changes: operations.length, revision };
  }
}

/** Whether a running pod can stay what the manifests now say. */
function sameSandbox(old: Pod, next: Pod): boolean {
  return JSON.stringify(old.spec) === JSON.stringify(next.spec);
}

function terminating(pod: Pod): Pod {
  return { ...pod, status: { ...pod.status, ready: false, terminating: true } };
}

/** Policies as they were read. */
function rawPolicies(set: ManifestSet): readonly unknown[] {
  return [...set.items.values()]
    .filter(({ object }) => object?.kind === 'NetworkPolicy' || object?.kind === 'ClusterNetworkPolicy')
    .map(({ document }) => document.value);
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
