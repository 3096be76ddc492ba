/** A running simulation: the manifests as they now are, and the cluster that follows them. */
import type { PodFeed } from '../agent/pod-feed.js';
import type { TraceStep } from '../backends/backend.js';
import { InvalidInputError } from '../common/errors.js';
import type { EndpointSlice } from '../objects/types.js';
import type { PodRef } from '../ruleset/types.js';
import { Cluster, type ClusterSpec, type Difference, type SimulatedCluster } from './cluster.js';
import { desiredState } from './desired.js';
import type { Driver, DriverSpec, Feed, Probe, ProbeResult } from './driver.js';
import { checkpoint } from './interrupted.js';
import {
  type InputText,
  type ManifestItem,
  ManifestReader,
  type ManifestSet,
  readInputs,
} from './manifest-set.js';
import type { Cell } from './matrix/cell.js';
import { expectCells } from './matrix/expected.js';
import { familiesOf, inFamily, withSharedRows } from './matrix/family.js';
import { measure } from './matrix/measure.js';
import { type PlanOptions, planMatrix } from './matrix/plan.js';
import type { ClusterState } from './matrix/state.js';
import { remarkLines } from './remarks.js';
import { configOf, nodeNames, nodeObject, outsideAddresses, outsidePorts, outsideRoutes } from './world.js';

export interface SessionSpec {
  readonly name: string;
  readonly feed: Feed;
  readonly podFeed?: PodFeed;
  readonly workers?: number;
  /** Names of the nodes whose data plane is a VPP. */
  readonly vpp?: readonly string[];
  /** Pods, nodes, the outside host and Services that ask for it have IPv6 addresses too. */
  readonly dualStack?: boolean;
  readonly nodes: number;
  /** -f arguments. */
  readonly files: readonly string[];
  readonly runDir: string;
  /** Take objects from a real API server: the one this file leads to, or (null) one of our own. */
  readonly kubernetes?: { readonly kubeconfig: string | null };
  readonly progress: (line: string) => void;
  /** Given, everything stops at the next step with an InterruptedError. */
  readonly signal?: AbortSignal;
}

/** What a session is made of. */
export interface SessionParts {
  readonly driver: (spec: DriverSpec) => Promise<Driver>;
  /** default: a cluster whose objects we write to the store ourselves. */
  readonly cluster?: (spec: ClusterSpec) => SimulatedCluster;
}

export interface MeasuredMatrix {
  readonly cells: readonly Cell[];
  readonly millis: number;
}

export interface Traced {
  readonly probe: Probe;
  readonly result: ProbeResult;
  readonly steps: readonly (TraceStep & { readonly node: string })[];
}

export class Session {
  /** `KIND/NS/NAME` -> item applied since the start; null = deleted. */
  readonly #overlay = new Map<string, ManifestItem | null>();
  readonly #cluster: SimulatedCluster;
  #base: ManifestSet;

  private constructor(
    readonly spec: SessionSpec,
    readonly driver: Driver,
    cluster: SimulatedCluster,
    private readonly reader: ManifestReader,
    base: ManifestSet,
  ) {
    this.#cluster = cluster;
    this.#base = base;
  }

  /**
   * Reads the manifests (before anything is made), starts the cluster and brings them in force. Whatever fails, or an
   * interrupt, takes down what was made. Throws InvalidInputError, InterruptedError, and what the driver throws.
   */
  static async start(spec: SessionSpec, parts: SessionParts): Promise<Session> {
    const reader = new ManifestReader();
    const base = reader.parse(await readInputs(spec.files));
    // A check that passes because nothing was there is worse than none.
    if (base.items.size === 0)
      throw new InvalidInputError('no objects that a network uses', { object: spec.files.join(', ') });
    reportRead(base, spec.progress);
    const config = configOf(spec);
    const nodes = nodeNames(spec.nodes);
    // What contradicts itself stops the start before anything is made.
    desiredState(
      base,
      nodes.map((node) => nodeObject(config, nodes, node)),
      config,
    );
    const slices = [...base.items.values()]
      .flatMap(({ object }) => object ?? [])
      .filter((object): object is EndpointSlice => object.kind === 'EndpointSlice');
    const outside = outsideAddresses(config);
    const ports = outsidePorts(config, slices);
    const driver = await parts.driver({
      cluster: spec.name,
      nodes,
      config,
      outside,
      outsidePorts: ports,
      outsideRoutes: outsideRoutes(config, nodes),
      ...(spec.podFeed === undefined ? {} : { podFeed: spec.podFeed }),
      ...(spec.workers === undefined ? {} : { workers: spec.workers }),
      ...(spec.vpp === undefined ? {} : { vpp: spec.vpp }),
      runDir: spec.runDir,
      progress: spec.progress,
    });
    const { progress, signal } = spec;
    const createCluster = parts.cluster ?? ((clusterSpec: ClusterSpec) => new Cluster(clusterSpec));
    const cluster = createCluster({
      driver,
      nodes,
      config,
      outside,
      outsidePorts: ports,
      progress,
      ...(signal === undefined ? {} : { signal }),
    });
    try {
      await cluster.start();
      const session = new Session(spec, driver, cluster, reader, base);
      await cluster.bring(base);
      return session;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  get state(): ClusterState {
    return this.#cluster.state;
  }

  /** Reads the -f arguments again and brings in what changed. */
  async reload(): Promise<Difference> {
    const base = this.reader.parse(await readInputs(this.spec.files));
    // What is newer counts: a document that was saved just now outdoes an earlier apply or delete.
    const overlay = new Map(
      [...this.#overlay].filter(([key]) => same(base.items.get(key), this.#base.items.get(key))),
    );
    const difference = await this.#cluster.bring(this.#with(base, overlay));
    for (const key of [...this.#overlay.keys()]) if (!overlay.has(key)) this.#overlay.delete(key);
    this.#base = base;
    return difference;
  }

  /** Puts or replaces what the inputs hold. Throws InvalidInputError; then nothing has changed. */
  async apply(inputs: readonly InputText[]): Promise<Difference> {
    const set = new ManifestReader().parse(inputs);
    return await this.#change(set.items);
  }

  /** Deletes objects by their keys (`KIND/NS/NAME`). Throws InvalidInputError when one is not there. */
  async delete(keys: readonly string[]): Promise<Difference> {
    const now = this.#with(this.#base, this.#overlay).items;
    for (const key of keys) {
      if (!now.has(key)) throw new InvalidInputError('there is no such object', { object: key });
    }
    return await this.#change(new Map(keys.map((key) => [key, null])));
  }

  /** The keys of what the inputs hold, for `delete -f`. */
  static keysOf(inputs: readonly InputText[]): readonly string[] {
    return [...new ManifestReader().parse(inputs).items.keys()];
  }

  async matrix(options: PlanOptions): Promise<MeasuredMatrix> {
    const started = performance.now();
    const state = this.#cluster.state;
    const driver: Pick<Driver, 'probe'> = {
      probe: (probes) => {
        checkpoint(this.spec.signal);
        return this.driver.probe(probes);
      },
    };
    const cells: Cell[] = [];
    for (const family of familiesOf(state)) {
      const one = inFamily(state, family);
      cells.push(...(await measure(driver, expectCells(planMatrix(one, { ...options, family }), one))));
    }
    return { cells: withSharedRows(cells), millis: performance.now() - started };
  }

  /** Follows one connection attempt over all nodes. */
  async trace(probe: Probe): Promise<Traced> {
    let result: ProbeResult | undefined;
    const six = probe.address.includes(':');
    const protocol = { tcp: 6, udp: 17, icmp: six ? 58 : 1 }[probe.protocol];
    const filter = { protocol, ...(probe.port === 0 ? {} : { port: probe.port }), limit: 64 };
    const steps = await this.driver.trace(filter, async () => {
      [result] = await this.driver.probe([probe]);
    });
    return { probe, result: result ?? { outcome: 'error', answer: 'not measured', millis: 0 }, steps };
  }

  execCommand(pod: PodRef, argv: readonly string[]): ReturnType<Driver['execCommand']> {
    return this.driver.execCommand(pod, argv);
  }

  async close(): Promise<void> {
    await this.#cluster.close();
  }

  async #change(items: ReadonlyMap<string, ManifestItem | null>): Promise<Difference> {
    const overlay = new Map([...this.#overlay, ...items]);
    const difference = await this.#cluster.bring(this.#with(this.#base, overlay));
    for (const [key, item] of items) this.#overlay.set(key, item);
    return difference;
  }

  #with(base: ManifestSet, overlay: ReadonlyMap<string, ManifestItem | null>): ManifestSet {
    const items = new Map(base.items);
    for (const [key, item] of overlay) {
      if (item === null) items.delete(key);
      else items.set(key, item);
    }
    return { ...base, items };
  }
}

function same(a: ManifestItem | undefined, b: ManifestItem | undefined): boolean {
  return a === b || JSON.stringify(a?.document.value) === JSON.stringify(b?.document.value);
}

/** What was read, in a few lines. */
function reportRead({ items, skipped, warnings }: ManifestSet, progress: (line: string) => void): void {
  progress(`read ${items.size} objects`);
  if (skipped.size > 0) {
    const kinds = [...skipped].map(([kind, count]) => `${count} ${kind}`).join(', ');
    progress(`skipped kinds that a network does not use: ${kinds}`);
  }
  for (const line of remarkLines(warnings)) progress(line);
}
