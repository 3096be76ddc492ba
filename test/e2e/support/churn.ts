/**
 * Pods that come and go and policies that change, at random from a seed, as a kubelet and people make them: who is told to
 * try again does, and a sandbox that could not be wired is given up for a new one.
 */
import { toJson } from '../../../control/objects/json.js';
import type { NetworkPolicy, Pod } from '../../../control/objects/types.js';
import { podNamespace } from '../../../control/sim/afxdp/names.js';
import type { SimNode } from '../../../control/sim/afxdp/node.js';
import { CniError, cniAdd, cniDelete, newSandbox, type Sandbox } from '../../../control/sim/afxdp/runtime.js';
import type { Store } from '../../../control/store/store.js';
import { loadNative } from '../../../native/index.js';
import { barePod, podKey } from './spec.js';

const NAMES = Array.from({ length: 10 }, (_, i) => `churn-${i}`);
const POLICIES = Array.from({ length: 4 }, (_, i) => `policy-${i}`);
const RETRY_MS = 40;
const GIVE_UP_MS = 20_000;

interface Wired {
  readonly pod: Pod;
  readonly node: SimNode;
  readonly sandbox: Sandbox;
  readonly addresses: readonly string[];
}

/** Whole numbers below `n`, the same ones for the same seed. */
export function seeded(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

export class Churn {
  /** Pods that run, by name. */
  readonly wired = new Map<string, Wired>();
  /** Store revision of the last change. */
  revision = 0;
  /** Commands that had to be given again. */
  retries = 0;
  #generation = 0;

  constructor(
    private readonly cluster: string,
    private readonly store: Store,
    private readonly nodes: readonly SimNode[],
    private readonly random: (n: number) => number,
  ) {}

  /** Makes `count` changes, one after the other. */
  async run(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.#change();
  }

  /** Takes all pods and policies away. */
  async clear(): Promise<void> {
    for (const name of [...this.wired.keys()]) await this.#remove(name);
    for (const name of POLICIES) await this.#delete(policyKey(name));
  }

  async #change(): Promise<void> {
    const what = this.random(10);
    const name = NAMES[this.random(NAMES.length)] ?? '';
    if (what < 5) return this.wired.has(name) ? this.#remove(name) : this.#add(name);
    if (what < 6) {
      const wired = this.wired.get(name);
      if (wired !== undefined) await this.#put(labelled(wired.pod, this.random(3)));
      return;
    }
    const policy = POLICIES[this.random(POLICIES.length)] ?? '';
    if (what < 9) {
      const object = randomPolicy(policy, this.random);
      this.revision = await this.store.put(policyKey(policy), toJson(object));
      return;
    }
    await this.#delete(policyKey(policy));
  }

  async #add(name: string): Promise<void> {
    const node = this.nodes[this.random(this.nodes.length)];
    if (node === undefined) return;
    const pod = labelled(barePod(name, node.spec.name), this.random(3));
    await this.#put(pod);
    for (;;) {
      const sandbox = this.#sandbox(name);
      const addresses = await this.#wire(sandbox, node);
      if (addresses !== null) {
        this.wired.set(name, { pod, node, sandbox, addresses });
        await this.#put({
          ...pod,
          status: { ...pod.status, phase: 'Running', podIPs: addresses, ready: true },
        });
        return;
      }
      await this.#unwire(sandbox, node);
    }
  }

  async #remove(name: string): Promise<void> {
    const wired = this.wired.get(name);
    if (wired === undefined) return;
    this.wired.delete(name);
    await this.#unwire(wired.sandbox, wired.node);
    await this.#delete(podKey(wired.pod));
  }

  #sandbox(name: string): Sandbox {
    // A name of its own for each: an earlier sandbox of the pod may still be there.
    const namespace = podNamespace(this.cluster, {
      namespace: 'default',
      name: `${name}.${this.#generation++}`,
    });
    const handle = loadNative().createNetns(namespace);
    handle.close();
    return newSandbox({ namespace: 'default', name }, handle.path);
  }

  /** Its addresses; null: give the sandbox up. */
  async #wire(sandbox: Sandbox, node: SimNode): Promise<readonly string[] | null> {
    const deadline = Date.now() + GIVE_UP_MS;
    for (;;) {
      try {
        const { ips } = await cniAdd(sandbox, node.paths.cniSocket);
        return ips.map(({ address }) => address.replace(/\/.*$/, ''));
      } catch (error) {
        if (!(error instanceof CniError) || Date.now() > deadline) throw error;
        this.retries++;
        if (this.random(3) === 0) return null;
      }
      await pause();
    }
  }

  async #unwire(sandbox: Sandbox, node: SimNode): Promise<void> {
    const namespace = sandbox.netns.replace('/run/netns/', '');
    const early = this.random(2) === 0;
    if (early) loadNative().deleteNetns(namespace);
    const deadline = Date.now() + GIVE_UP_MS;
    for (;;) {
      try {
        await cniDelete(sandbox, node.paths.cniSocket);
        break;
      } catch (error) {
        if (!(error instanceof CniError) || Date.now() > deadline) throw error;
        this.retries++;
      }
      await pause();
    }
    if (!early) loadNative().deleteNetns(namespace);
  }

  async #put(pod: Pod): Promise<void> {
    this.revision = await this.store.put(podKey(pod), toJson(pod));
    const { name } = pod.metadata;
    const wired = this.wired.get(name);
    if (wired !== undefined) this.wired.set(name, { ...wired, pod });
  }

  async #delete(key: string): Promise<void> {
    if ((await this.store.get(key)) === null) return;
    await this.store.delete(key);
    this.revision = (await this.store.list(key)).revision;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, RETRY_MS));
}

function labelled(pod: Pod, tier: number): Pod {
  return { ...pod, metadata: { ...pod.metadata, labels: { app: pod.metadata.name, tier: `t${tier}` } } };
}

function policyKey(name: string): string {
  return `/pteropus/k8s/NetworkPolicy/default/${name}`;
}

/** Selects one tier of churning pods, and lets another one in. */
function randomPolicy(name: string, random: (n: number) => number): NetworkPolicy {
  const tier = () => ({ matchLabels: { tier: `t${random(3)}` }, matchExpressions: [] });
  const peer = { podSelector: tier(), namespaceSelector: undefined, ipBlock: undefined };
  return {
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'default', uid: null, labels: {}, annotations: {} },
    spec: {
      podSelector: tier(),
      policyTypes: ['Ingress'],
      ingress: random(4) === 0 ? [] : [{ peers: [peer], ports: undefined }],
      egress: undefined,
    },
  };
}
