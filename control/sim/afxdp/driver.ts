/**
 * Carries a simulated cluster over network namespaces and AF_XDP: each node a namespace with its own agent and data plane,
 * each pod a namespace with a real process, nodes joined by a bridge. Needs root on Linux and the native addon.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadNative, type Native } from '../../../native/index.js';
import type { TraceFilter } from '../../backends/backend.js';
import { errorText, InvalidInputError } from '../../common/errors.js';
import { COMPLETE_KEY } from '../../objects/stored-keys.js';
import type { Pod } from '../../objects/types.js';
import type { PodRef } from '../../ruleset/types.js';
import { EmbeddedStore } from '../../store/embedded.js';
import { openStore } from '../../store/open.js';
import { type StoreServer, serveStore } from '../../store/server.js';
import type { Store } from '../../store/store.js';
import type { Driver, DriverSpec, ExternalStore, Party, Probe, ProbeResult } from '../driver.js';
import { reserveNodeIds } from '../node-records.js';
import { StatusBoard } from '../status-board.js';
import { type NodeStep, traceNodes } from '../trace.js';
import { removeSharedMemory } from '../vpp/shared-memory.js';
import { type CommandLine, enterPod, writePodFiles } from './exec.js';
import { KeptWorkload } from './kept-workload.js';
import { cleanDead, namespacesOf, removeNamespaces } from './leftovers.js';
import { ObjectMirror } from './mirror.js';
import { checkClusterName, namespacePath, outsideNamespace } from './names.js';
import { SimNode } from './node.js';
import { NotRunningError } from './not-running.js';
import { interpret } from './outcome.js';
import { claim, release, stateFolder, withStateLock } from './owner.js';
import { PodFarm } from './pods.js';
import { buildTopology, type Topology } from './topology.js';
import type { Workload, WorkloadSpec } from './workload.js';

/** The driver, and what tests of the processes themselves need. */
export interface AfxdpDriver extends Driver {
  readonly nodes: readonly SimNode[];
  readonly topology: Topology;
  /** The process that speaks for a party. Throws PodError or NotRunningError. */
  workload(party: Party): Workload;
}

/** Makes nothing yet: `start` does. Throws NativeUnavailableError, InvalidInputError. */
export function createAfxdpDriver(spec: DriverSpec, external: ExternalStore | null = null): AfxdpDriver {
  checkClusterName(spec.cluster);
  if (spec.runDir !== stateFolder(spec.cluster)) {
    // A start that cleans up after a kill knows this folder only.
    throw new InvalidInputError(`must be ${stateFolder(spec.cluster)}`, {
      field: 'runDir',
      value: spec.runDir,
    });
  }
  return new NamespaceDriver(spec, loadNative(), external);
}

class NamespaceDriver implements AfxdpDriver {
  readonly feed = 'afxdp';
  readonly store: Store;
  readonly nodes: readonly SimNode[];
  private readonly storeSocket: string;
  private readonly farm: PodFarm;
  private readonly status: StatusBoard;
  private readonly mirror: ObjectMirror;
  /** Processes that speak for a node's own stack, and for the outside world (key ''). */
  private readonly hosts = new Map<string, KeptWorkload>();
  private wires: Topology | null = null;
  private server: StoreServer | null = null;
  private claimed = false;

  constructor(
    private readonly spec: DriverSpec,
    private readonly native: Native,
    private readonly external: ExternalStore | null,
  ) {
    this.storeSocket = join(spec.runDir, 'store.sock');
    const store = external === null ? { socket: this.storeSocket } : { endpoints: [external.endpoint] };
    this.store = external === null ? new EmbeddedStore() : openStore({ endpoints: [external.endpoint] });
    this.nodes = spec.nodes.map((name, i) => new SimNode({ name, id: i + 1, store, driver: spec }));
    this.farm = new PodFarm(spec, native, this.nodes);
    this.status = new StatusBoard(this.store, spec.nodes);
    this.mirror = new ObjectMirror(this.store);
  }

  get vpp(): readonly string[] {
    return this.spec.vpp ?? [];
  }

  get topology(): Topology {
    if (this.wires === null)
      throw new NotRunningError('is not running', { object: `cluster ${this.spec.cluster}` });
    return this.wires;
  }

  async start(): Promise<void> {
    const { spec, native } = this;
    await withStateLock(async () => {
      const cleaned = await cleanDead(native, spec.cluster);
      if (cleaned.length > 0) spec.progress(`removed the remains of ${cleaned.join(', ')}`);
      claim(spec.cluster);
      this.claimed = true;
    });
    mkdirSync(spec.runDir, { recursive: true, mode: 0o700 });
    this.wires = buildTopology(native, spec);
    await this.external?.start();
    await reserveNodeIds(this.store, spec.config, spec.nodes);
    if (this.external === null) {
      // Nobody else fills it: a pod is wired when its policies are there.
      await this.store.put(COMPLETE_KEY, '{}');
      this.server = await serveStore(this.store, this.storeSocket);
    }
    await Promise.all([
      ...this.nodes.map((node) => node.start()),
      ...this.nodes.map((node) => this.startHost(node.spec.name, node.netns, [])),
      this.startHost('', namespacePath(outsideNamespace(spec.cluster)), spec.outsidePorts),
    ]);
  }

  addPod(pod: Pod): Promise<readonly string[]> {
    return this.farm.add(pod);
  }

  removePod(pod: PodRef): Promise<void> {
    return this.farm.remove(pod);
  }

  probe(probes: readonly Probe[]): Promise<readonly ProbeResult[]> {
    return Promise.all(
      probes.map(async (probe) => {
        const { protocol, address, port, timeoutMs } = probe;
        try {
          const result = await this.workload(probe.from).probe(protocol, address, port, timeoutMs);
          return interpret(probe, result, this.spec.config);
        } catch (error) {
          // One process that is just being started again must not cost all other answers.
          if (!(error instanceof NotRunningError)) throw error;
          return { outcome: 'error', answer: errorText(error), millis: 0 };
        }
      }),
    );
  }

  async trace(filter: TraceFilter, run: () => Promise<void>): Promise<readonly NodeStep[]> {
    const nodes = await Promise.all(
      this.nodes.map(async (node) => ({
        node: node.spec.name,
        backend: await node.openBackend(),
      })),
    );
    return traceNodes(nodes, filter, run);
  }

  settled(revision: number): Promise<void> {
    return this.status.settled(revision);
  }

  execCommand(pod: PodRef, argv: readonly string[]): CommandLine {
    const { netns, hostname } = this.farm.find(pod);
    const files = writePodFiles(this.spec.runDir, pod, this.mirror.sources());
    return enterPod(netns, files, hostname, argv);
  }

  workload(party: Party): Workload {
    if (party.type === 'pod') return this.farm.find(party.pod).workload.current;
    const host = this.hosts.get(party.type === 'node' ? party.node : '');
    if (host === undefined) {
      throw new NotRunningError('has no running process', {
        object: party.type === 'node' ? party.node : 'outside',
      });
    }
    return host.current;
  }

  async close(): Promise<void> {
    await Promise.all([...this.nodes.map((node) => node.stop()), this.farm.close()]);
    await Promise.all([...this.hosts.values()].map((workload) => workload.close()));
    this.hosts.clear();
    this.wires?.close();
    this.wires = null;
    this.status.close();
    this.mirror.close();
    await this.server?.close();
    this.server = null;
    await this.store.close();
    if (!this.claimed) return;
    await removeNamespaces(this.native, namespacesOf(this.native, this.spec.cluster));
    removeSharedMemory(this.spec.cluster);
    release(this.spec.cluster);
    this.claimed = false;
  }

  private async startHost(name: string, netns: string, ports: WorkloadSpec['ports']): Promise<void> {
    const spec = { name: name === '' ? 'outside' : name, netns, ports };
    this.hosts.set(name, await KeptWorkload.start(spec, this.spec.progress));
  }
}
