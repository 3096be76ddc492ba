/** The pods of a simulated cluster: sandbox, process, and wiring through the CNI program of the pod's node. */
import type { Native } from '../../../native/index.js';
import { InvalidInputError, PteropusError } from '../../common/errors.js';
import { nodeAddresses, planNode } from '../../ipam/arithmetic.js';
import type { Pod } from '../../objects/types.js';
import type { PodRef } from '../../ruleset/types.js';
import type { DriverSpec } from '../driver.js';
import { KeptWorkload } from './kept-workload.js';
import { removeNamespaces } from './leftovers.js';
import { Limit } from './limit.js';
import { namespacePath, podNamespace } from './names.js';
import { addNetwork, deleteNetwork, findNetwork, type Network } from './networks.js';
import type { SimNode } from './node.js';
import { newSandbox, type Sandbox } from './runtime.js';
import { type RuntimeConfig, runtimeConfigOf } from './runtime-config.js';
import type { WorkloadSpec } from './workload.js';

/** CNI programs at a time, as a kubelet starts several pods at a time. */
const PARALLEL_ADDS = 6;

/** There is no such pod here, or there is one already. */
export class PodError extends PteropusError {}

export interface RunningPod {
  readonly workload: KeptWorkload;
  readonly node: SimNode;
  readonly netns: string;
  readonly hostname: string;
  /** null: it shares its node's network. */
  readonly sandbox: (Sandbox & { readonly network: Network }) | null;
}

export class PodFarm {
  private readonly pods = new Map<string, RunningPod | null>();
  private readonly limit = new Limit(PARALLEL_ADDS);
  /** `PORT/PROTOCOL of NODE` -> the pod that has it. */
  private readonly hostPorts = new Map<string, string>();

  constructor(
    private readonly spec: DriverSpec,
    private readonly native: Native,
    private readonly nodes: readonly SimNode[],
  ) {}

  /** Starts and wires a pod; resolves with its addresses. Throws PodError, CniError, WorkloadError; then nothing of it stays. */
  async add(pod: Pod): Promise<readonly string[]> {
    const ref = refOf(pod);
    const name = nameOf(ref);
    const node = this.nodes.find((n) => n.spec.name === pod.spec.nodeName);
    if (node === undefined)
      throw new PodError('its node is not in this cluster', {
        object: `pod ${name}`,
        value: pod.spec.nodeName,
      });
    if (this.pods.has(name)) throw new PodError('runs already', { object: `pod ${name}` });
    // The name is taken from now on, and given back if the start fails.
    this.pods.set(name, null);
    try {
      return await this.limit.run(() =>
        pod.spec.hostNetwork ? this.addToHost(pod, node) : this.addSandbox(pod, node),
      );
    } catch (error) {
      this.forget(name);
      throw error;
    }
  }

  async remove(ref: PodRef): Promise<void> {
    const { workload, node, sandbox } = this.find(ref);
    await workload.close();
    if (sandbox !== null) {
      await deleteNetwork(sandbox, sandbox.network, node.paths.cni);
      await removeNamespaces(this.native, [podNamespace(this.spec.cluster, ref)]);
    }
    // The name is given back when all is gone: until then it can be removed again.
    this.forget(nameOf(ref));
  }

  private forget(name: string): void {
    this.pods.delete(name);
    for (const [port, owner] of this.hostPorts) if (owner === name) this.hostPorts.delete(port);
  }

  /** Throws PodError if it does not run. */
  find(ref: PodRef): RunningPod {
    const pod = this.pods.get(nameOf(ref));
    if (pod === undefined || pod === null)
      throw new PodError('does not run', { object: `pod ${nameOf(ref)}` });
    return pod;
  }

  /** Ends all processes; their namespaces go with the cluster's. */
  async close(): Promise<void> {
    await Promise.all([...this.pods.values()].map((pod) => pod?.workload.close()));
    this.pods.clear();
  }

  private async addToHost(pod: Pod, node: SimNode): Promise<readonly string[]> {
    const ref = refOf(pod);
    const workload = await KeptWorkload.start(workloadSpec(pod, node.netns), this.spec.progress);
    this.pods.set(nameOf(ref), {
      workload,
      node,
      netns: node.netns,
      hostname: node.spec.name,
      sandbox: null,
    });
    return nodeAddresses(planNode(this.spec.config, node.spec.id));
  }

  private async addSandbox(pod: Pod, node: SimNode): Promise<readonly string[]> {
    const ref = refOf(pod);
    const namespace = podNamespace(this.spec.cluster, ref);
    const netns = namespacePath(namespace);
    const sandbox = newSandbox(ref, netns, pod.metadata.uid);
    const network = await findNetwork(node.paths.cni, this.runtimeConfig(pod, node));
    const handle = this.native.createNetns(namespace);
    // Probes of closed UDP ports read the ICMP errors; the kernel's limit of one a second would hide them. No type is limited.
    handle.setSysctl('net/ipv4/icmp_ratemask', '0');
    if (this.spec.config.ipv6 !== null) handle.setSysctl('net/ipv6/icmp/ratelimit', '0');
    handle.close();
    const [started, wired] = await Promise.allSettled([
      KeptWorkload.start(workloadSpec(pod, netns), this.spec.progress),
      addNetwork(sandbox, network, node.paths.cni),
    ]);
    if (started.status === 'fulfilled' && wired.status === 'fulfilled') {
      this.pods.set(nameOf(ref), {
        workload: started.value,
        node,
        netns,
        hostname: pod.spec.hostname ?? ref.name,
        sandbox: { ...sandbox, network: wired.value },
      });
      return wired.value.result.ips.map(({ address }) => address.replace(/\/.*$/, ''));
    }
    if (started.status === 'fulfilled') await started.value.close();
    // Also one that failed may have been wired before its answer was lost; what cannot be unwired now makes way for the next one.
    await deleteNetwork(sandbox, network, node.paths.cni).catch(() => undefined);
    await removeNamespaces(this.native, [namespace]);
    throw started.status === 'rejected' ? started.reason : (wired as PromiseRejectedResult).reason;
  }

  /** A host port that another pod of the node has is left out: a real scheduler would not have put both there. */
  private runtimeConfig(pod: Pod, node: SimNode): RuntimeConfig {
    const config = runtimeConfigOf(pod);
    if (config.portMappings === undefined) return config;
    const name = nameOf(refOf(pod));
    const portMappings = config.portMappings.filter(({ hostPort, protocol }) => {
      const port = `${hostPort}/${protocol} of ${node.spec.name}`;
      const owner = this.hostPorts.get(port) ?? name;
      this.hostPorts.set(port, owner);
      if (owner !== name) this.spec.progress(`${name}: host port ${port} is ${owner}'s`);
      return owner === name;
    });
    return { ...config, portMappings };
  }
}

function refOf(pod: Pod): PodRef {
  const { namespace, name } = pod.metadata;
  if (namespace === null) throw new InvalidInputError('a pod needs a namespace', { object: `pod ${name}` });
  return { namespace, name };
}

function nameOf(ref: PodRef): string {
  return `${ref.namespace}/${ref.name}`;
}

/** Listens on every container port; two containers may name the same one. */
function workloadSpec(pod: Pod, netns: string): WorkloadSpec {
  const ports = new Map<string, WorkloadSpec['ports'][number]>();
  for (const { protocol, containerPort } of pod.spec.containers.flatMap((container) => container.ports)) {
    ports.set(`${protocol}/${containerPort}`, { protocol, port: containerPort });
  }
  return { name: nameOf(refOf(pod)), netns, ports: [...ports.values()] };
}
