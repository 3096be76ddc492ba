/**
 * Carries a simulated cluster inside this process: every node has the real agent and the real pipeline, pods and hosts are
 * small network stacks, packets are frames. Needs no privileges and no addon; runs wherever Node.js runs.
 */
import { randomBytes } from 'node:crypto';
import { Agent } from '../../agent/agent.js';
import type { TraceFilter } from '../../backends/backend.js';
import { MemoryLinks } from '../../backends/wasm/memory-feed.js';
import { openWasmBackend } from '../../backends/wasm/open.js';
import type { CniRequest } from '../../cni/messages.js';
import { BARE_CONF } from '../../cni/netconf.js';
import { InvalidInputError, PteropusError } from '../../common/errors.js';
import { rangesOf } from '../../compiler/input.js';
import { nodeAddresses, planNode } from '../../ipam/arithmetic.js';
import { COMPLETE_KEY } from '../../objects/stored-keys.js';
import type { Pod } from '../../objects/types.js';
import type { PodRef } from '../../ruleset/types.js';
import { EmbeddedStore } from '../../store/embedded.js';
import type { Driver, DriverSpec, Party, Probe, ProbeResult } from '../driver.js';
import { reserveNodeIds } from '../node-records.js';
import { StatusBoard } from '../status-board.js';
import { type NodeStep, traceNodes } from '../trace.js';
import { listen, NodeWiring, type Sandbox, stationMac } from './links.js';
import { probe } from './probe.js';
import { Station } from './station.js';
import { Switch } from './switch.js';

/** A pod could not be wired, or is not there. */
export class MemoryPodError extends PteropusError {}

interface MemoryNode {
  readonly name: string;
  readonly id: number;
  readonly wiring: NodeWiring;
  agent: Agent | null;
}

interface RunningPod {
  readonly node: MemoryNode;
  /** null: on the host's network. */
  readonly request: CniRequest | null;
}

const OUTSIDE = 'outside';

/** Sessions and buffers for a node of a few dozen pods: many nodes share one process. */
const MEMORY = { sessionsLog2: 15, frameCount: 4096 } as const;

/** Makes nothing yet: `start` does. */
export function createMemoryDriver(spec: DriverSpec): Driver {
  return new MemoryDriver(spec);
}

class MemoryDriver implements Driver {
  readonly feed = 'memory';
  readonly store = new EmbeddedStore();
  readonly #underlay = new Switch();
  readonly #nodes: readonly MemoryNode[];
  readonly #pods = new Map<string, RunningPod>();
  readonly #outside: Station;
  readonly #status: StatusBoard;
  #closing: Promise<void> | null = null;

  constructor(readonly spec: DriverSpec) {
    this.#nodes = spec.nodes.map((name, i) => ({
      name,
      id: i + 1,
      wiring: new NodeWiring(new MemoryLinks(), this.#underlay, i + 1),
      agent: null,
    }));
    this.#status = new StatusBoard(this.store, spec.nodes);
    this.#outside = this.#openOutside();
  }

  async start(): Promise<void> {
    const { config, progress } = this.spec;
    await reserveNodeIds(this.store, config, this.spec.nodes);
    // Nobody else fills it: a pod is wired when its policies are there.
    await this.store.put(COMPLETE_KEY, '{}');
    await Promise.all(
      this.#nodes.map(async (node) => {
        node.agent = await Agent.start({
          node: node.name,
          config,
          store: this.store,
          openBackend: () => openWasmBackend({ feed: node.wiring.links, memory: MEMORY }),
          links: node.wiring,
          journal: null,
          log: (line) => progress(`${node.name}: ${line}`),
        });
      }),
    );
  }

  async addPod(pod: Pod): Promise<readonly string[]> {
    const { namespace, name } = refOf(pod);
    const full = `${namespace}/${name}`;
    const node = this.#nodes.find((candidate) => candidate.name === pod.spec.nodeName);
    if (node === undefined) {
      throw new MemoryPodError('its node is not in this cluster', {
        object: `pod ${full}`,
        value: pod.spec.nodeName,
      });
    }
    const sandbox: Sandbox = {
      name: full,
      ports: pod.spec.containers.flatMap((container) => container.ports),
    };
    if (pod.spec.hostNetwork) {
      listen(this.#host(node), sandbox);
      this.#pods.set(full, { node, request: null });
      return nodeAddresses(planNode(this.spec.config, node.id));
    }
    node.wiring.sandboxes.set(full, sandbox);
    const request = cniRequest({ namespace, name });
    const reply = await this.#agent(node).cni.add(request);
    if (reply.result !== 0) {
      node.wiring.sandboxes.delete(full);
      throw new MemoryPodError(`CNI ADD: ${reply.error} (code ${reply.result})`, { object: `pod ${full}` });
    }
    this.#pods.set(full, { node, request });
    return reply.interfaces.flatMap(({ ipAddresses }) =>
      ipAddresses.map(({ address }) => address.replace(/\/.*/, '')),
    );
  }

  async removePod({ namespace, name }: PodRef): Promise<void> {
    const full = `${namespace}/${name}`;
    const pod = this.#pods.get(full);
    if (pod === undefined) throw new MemoryPodError('does not run', { object: `pod ${full}` });
    this.#pods.delete(full);
    if (pod.request === null) {
      this.#host(pod.node).servers.unlisten(full);
      return;
    }
    const reply = await this.#agent(pod.node).cni.delete(pod.request);
    pod.node.wiring.sandboxes.delete(full);
    if (reply.result !== 0) {
      throw new MemoryPodError(`CNI DEL: ${reply.error} (code ${reply.result})`, { object: `pod ${full}` });
    }
  }

  async probe(probes: readonly Probe[]): Promise<readonly ProbeResult[]> {
    return await Promise.all(probes.map((one) => probe(this.#station(one.from), one)));
  }

  async trace(filter: TraceFilter, run: () => Promise<void>): Promise<readonly NodeStep[]> {
    const nodes = this.#nodes.map(({ name, agent }) => {
      const backend = agent?.backend ?? null;
      if (backend === null)
        throw new PteropusError('its data plane is not up', { object: name, retryable: true });
      // The backend is the agent's: a trace must not close it.
      return {
        node: name,
        backend: { trace: (f: TraceFilter) => backend.trace(f), close: () => Promise.resolve() },
      };
    });
    return await traceNodes(nodes, filter, run);
  }

  settled(revision: number): Promise<void> {
    return this.#status.settled(revision);
  }

  execCommand(): null {
    return null;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#status.close();
    await Promise.all(
      this.#nodes.map(async ({ agent, wiring }) => {
        await agent?.close();
        await wiring.close();
      }),
    );
    this.#outside.close();
    await this.store.close();
  }

  #station(from: Party): Station {
    if (from.type === 'outside') return this.#outside;
    if (from.type === 'pod') {
      const full = `${from.pod.namespace}/${from.pod.name}`;
      const pod = this.#pods.get(full);
      const station = pod === undefined ? undefined : this.#stationOf(pod, full);
      if (station === undefined) throw new MemoryPodError('does not run', { object: `pod ${full}` });
      return station;
    }
    const node = this.#nodes.find(({ name }) => name === from.node);
    if (node === undefined) throw new InvalidInputError('no such node', { value: from.node });
    return this.#host(node);
  }

  #stationOf({ node, request }: RunningPod, full: string): Station | undefined {
    return request === null ? this.#host(node) : node.wiring.stationOf(full);
  }

  #host({ name, wiring }: MemoryNode): Station {
    if (wiring.host === null) throw new PteropusError('is not up', { object: name, retryable: true });
    return wiring.host;
  }

  #agent({ name, agent }: MemoryNode): Agent {
    if (agent === null) throw new PteropusError('its agent is not up', { object: name, retryable: true });
    return agent;
  }

  /** The host that stands for the rest of the world: the underlay's router, on the switch like the nodes. */
  #openOutside(): Station {
    const { config, outside, outsidePorts, outsideRoutes } = this.spec;
    const onLink = rangesOf(config).flatMap(({ nodeInterconnectCIDR }) =>
      nodeInterconnectCIDR === null ? [] : [{ destination: nodeInterconnectCIDR, nextHop: null }],
    );
    const station = new Station({
      mac: stationMac(0, 1),
      addresses: outside,
      routes: [...onLink, ...outsideRoutes.map(({ destination, via }) => ({ destination, nextHop: via }))],
      neighbors: new Map(),
      send: (frame) => this.#underlay.forward(OUTSIDE, frame),
    });
    this.#underlay.connect(OUTSIDE, (frame) => station.receive(frame));
    for (const { protocol, port } of outsidePorts) station.servers.listen(protocol, port, OUTSIDE);
    return station;
  }
}

function refOf(pod: Pod): PodRef {
  const { namespace, name } = pod.metadata;
  if (namespace === null) throw new InvalidInputError('a pod needs a namespace', { object: `pod ${name}` });
  return { namespace, name };
}

/** What a runtime's CNI program would ask. The sandbox is named by the pod: there is no file system for it. */
function cniRequest({ namespace, name }: PodRef): CniRequest {
  return {
    containerId: randomBytes(32).toString('hex'),
    netns: `${namespace}/${name}`,
    ifname: 'eth0',
    args: `K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name}`,
    conf: BARE_CONF,
  };
}
