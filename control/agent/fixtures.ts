/** What tests of the agent share: a machine that outlives its agents, some objects, and requests of a runtime. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { CniRequest } from '../cni/messages.js';
import { BARE_CONF } from '../cni/netconf.js';
import { DEFAULT_CONFIG } from '../compiler/input.js';
import { toJson } from '../objects/json.js';
import { COMPLETE_KEY } from '../objects/stored-keys.js';
import type { KubeObject, Namespace, NetworkPolicy, Pod } from '../objects/types.js';
import { EmbeddedStore } from '../store/embedded.js';
import type { Store } from '../store/store.js';
import { Agent } from './agent.js';
import type { AgentOptions } from './agent-options.js';
import { FakeDataplane, FakeLinks } from './fakes.js';
import { keyOf } from './objects.js';
import type { AgentStatus } from './status.js';

/** Where this process's tests keep their files. */
export const directory = mkdtempSync(join(tmpdir(), 'pteropus-agent-'));
let count = 0;

/** A node without its agent: what stays when agents come and go. */
export class Machine {
  readonly store = new EmbeddedStore();
  readonly dataplane = new FakeDataplane();
  readonly links = new FakeLinks();
  readonly journal = join(directory, `${count++}.json`);
  readonly lines: string[] = [];

  async agent(change: Partial<AgentOptions> = {}): Promise<Agent> {
    if (change.store === undefined) await this.fill();
    return Agent.start(this.options(change));
  }

  /** A namespace, and the mark that nothing is missing. */
  async fill(): Promise<void> {
    await this.put(NAMESPACE);
    await markComplete(this.store);
  }

  options(change: Partial<AgentOptions> = {}): AgentOptions {
    return {
      node: 'n1',
      config: DEFAULT_CONFIG,
      store: this.store,
      openBackend: this.dataplane.open,
      links: this.links,
      journal: this.journal,
      podObjectWaitMs: 1,
      log: (line) => this.lines.push(line),
      ...change,
    };
  }

  put(object: KubeObject): Promise<number> {
    return this.store.put(keyOf(object), toJson(object));
  }

  /** Resolves when the agent has told the store that this revision is in force. */
  async settled(revision: number, ready = true): Promise<void> {
    await this.until((status) => status.revision >= revision && status.ready === ready);
  }

  until(condition: (status: AgentStatus) => boolean): Promise<void> {
    return statusThat(this.store, condition);
  }
}

/** As ksr does when everything is written. */
export async function markComplete(store: Store): Promise<void> {
  await store.put(COMPLETE_KEY, '{}');
}

export const NAMESPACE: Namespace = {
  kind: 'Namespace',
  metadata: { name: 'shop', namespace: null, uid: null, labels: {}, annotations: {} },
};

export function pod(name: string, labels: Record<string, string> = {}, podIPs: string[] = []): Pod {
  return {
    kind: 'Pod',
    metadata: { name, namespace: 'shop', uid: null, labels, annotations: {} },
    spec: {
      nodeName: 'n1',
      hostNetwork: false,
      hostname: null,
      subdomain: null,
      nodeSelector: {},
      containers: [],
    },
    status: { phase: 'Pending', podIPs, ready: false, terminating: false },
  };
}

export function denyAll(name: string, matchLabels: Record<string, string> = {}): NetworkPolicy {
  return {
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'shop', uid: null, labels: {}, annotations: {} },
    spec: {
      podSelector: { matchLabels, matchExpressions: [] },
      policyTypes: ['Ingress'],
      ingress: [],
      egress: undefined,
    },
  };
}

export function request(
  name: string,
  containerId = `c-${name}`,
  change: Partial<CniRequest> = {},
): CniRequest {
  return {
    containerId,
    netns: `/run/netns/${containerId}`,
    ifname: 'eth0',
    args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${name}`,
    conf: BARE_CONF,
    ...change,
  };
}

export async function wired(agent: Agent, name: string, containerId?: string): Promise<string> {
  const reply = await agent.cni.add(request(name, containerId));
  assert.is(reply.error, '');
  return reply.interfaces[0]?.ipAddresses[0]?.address.replace('/32', '') ?? '';
}

/** Resolves when the status of node `n1`'s agent, as it is or comes to be, fits. */
export async function statusThat(store: Store, fits: (status: AgentStatus) => boolean): Promise<void> {
  const key = '/pteropus/status/n1';
  const { entries, revision } = await store.list(key);
  const holds = (value: string | undefined): boolean =>
    value !== undefined && fits(JSON.parse(value) as AgentStatus);
  if (holds(entries[0]?.value)) return;
  await new Promise<void>((resolve) => {
    const watch = store.watch(key, revision, {
      events: (events) => {
        const last = events.at(-1);
        if (last?.type !== 'put' || !holds(last.entry.value)) return;
        watch.close();
        resolve();
      },
      lost: () => undefined,
    });
  });
}
