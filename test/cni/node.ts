/** A node to try CNI on: a namespace with an uplink, a store, and data plane and agent as processes, as they run on a real node. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { keyOf } from '../../control/agent/objects.js';
import { EXECUTABLE } from '../../control/cni/install.js';
import { DEFAULT_CONFIG } from '../../control/compiler/input.js';
import { toJson } from '../../control/objects/json.js';
import { COMPLETE_KEY } from '../../control/objects/stored-keys.js';
import type { KubeObject, Pod } from '../../control/objects/types.js';
import { EmbeddedStore } from '../../control/store/embedded.js';
import { type StoreServer, serveStore } from '../../control/store/server.js';
import { loadNative, type Netns } from '../../native/index.js';
import { file, program, type Requirement, root } from '../support/requires.js';
import { type Run, runExecutable } from './executable.js';

const build = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const PTEROPUS = build('../bin/pteropus.mjs');

export function nodeRequirements(): readonly Requirement[] {
  if (root() !== null) return [root()];
  const built = [EXECUTABLE, build('native/pteropus.node'), build('dataplane.wasm')];
  return [...built.map(file), program('nsenter'), program('ip')];
}

/** The first node's, by the default configuration. */
export const NODE_ADDRESS = '192.168.16.1';

export interface NodeOptions {
  /** Fields of the agent's configuration beside those of the rig. */
  readonly agent?: object;
  /** Fields of the cluster's configuration. */
  readonly cluster?: object;
  /** Packet buffers of the data plane. */
  readonly frames?: number;
  /** Further arguments of the data plane. */
  readonly dataplane?: readonly string[];
  /** Options of Node.js for both processes. */
  readonly flags?: readonly string[];
  /** Tells apart the nodes of one process. */
  readonly label?: string;
  /** Further variables of the processes' environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface CniSandbox {
  readonly pod: string;
  readonly containerId: string;
  /** Name of its namespace under /run/netns. */
  readonly namespace: string;
}

export class CniNode {
  readonly directory = mkdtempSync(join(tmpdir(), 'pteropus-N-'));
  readonly socket = join(this.directory, 'cni.sock');
  readonly store = new EmbeddedStore();
  readonly namespace: string;
  /** Somebody on the underlay: the cluster's default gateway. */
  readonly outside: string;
  readonly journal = join(this.directory, 'journal.json');
  readonly log: string[] = [];
  readonly #children = new Set<ChildProcess>();
  readonly #namespaces = new Set<string>();
  #server: StoreServer | null = null;
  #count = 0;
  agent: ChildProcess | null = null;
  dataplane: ChildProcess | null = null;
  /** The node's own namespace. */
  readonly netns: Netns;

  private constructor(private readonly options: NodeOptions) {
    const prefix = `pteropusN${process.pid}${options.label ?? ''}`;
    this.namespace = `${prefix}n`;
    this.outside = `${prefix}o`;
    this.netns = loadNative().createNetns(this.namespace);
    this.#namespaces.add(this.namespace);
  }

  static async start(options: NodeOptions = {}): Promise<CniNode> {
    const node = new CniNode(options);
    try {
      node.#wire();
      node.#server = await serveStore(node.store, join(node.directory, 'store.sock'));
      await node.store.put(COMPLETE_KEY, '{}');
      await node.put({
        kind: 'Namespace',
        metadata: { name: 'shop', namespace: null, uid: null, labels: {}, annotations: {} },
      });
      writeFileSync(node.configPath, JSON.stringify(node.#config()));
      await Promise.all([node.startDataplane(), node.startAgent()]);
      return node;
    } catch (error) {
      await node.close();
      throw error;
    }
  }

  get configPath(): string {
    return join(this.directory, 'agent.json');
  }

  async startAgent(): Promise<void> {
    this.agent = await this.#start(/"ready":true/, 'agent', '--config', this.configPath);
  }

  async startDataplane(): Promise<void> {
    const frames = String(this.options.frames ?? 8192);
    const socket = join(this.directory, 'dataplane.sock');
    const args = [
      '--socket',
      socket,
      '--feed',
      'afxdp',
      '--frames',
      frames,
      '--die-with-stdin',
      ...(this.options.dataplane ?? []),
    ];
    this.dataplane = await this.#start(/listening on/, 'dataplane', ...args);
  }

  /** With SIGKILL by default. Resolves when it is gone. */
  async stop(child: ChildProcess | null, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  put(object: KubeObject): Promise<number> {
    return this.store.put(keyOf(object), toJson(object));
  }

  /** An empty namespace for a pod, as a runtime makes it; with `known` the pod's object is in the store. */
  async sandbox(pod = `pod-${this.#count}`, known = true): Promise<CniSandbox> {
    const namespace = `pteropusN${process.pid}${this.options.label ?? ''}p${this.#count++}`;
    loadNative().createNetns(namespace).close();
    this.#namespaces.add(namespace);
    if (known) await this.put(podObject(pod));
    return { pod, namespace, containerId: randomBytes(32).toString('hex') };
  }

  forget({ namespace }: CniSandbox): void {
    if (this.#namespaces.delete(namespace)) loadNative().deleteNetns(namespace);
  }

  environment(command: string, { pod, containerId, namespace }: CniSandbox): Record<string, string> {
    return {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: `/run/netns/${namespace}`,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/usr/lib/cni',
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${pod}`,
    };
  }

  conf(change: object = {}): object {
    return { cniVersion: '1.0.0', name: 'net', type: 'pteropus', socket: this.socket, ...change };
  }

  /** Runs the executable. */
  cni(command: string, sandbox: CniSandbox, change: object = {}): Promise<Run> {
    return runExecutable(this.environment(command, sandbox), this.conf(change));
  }

  /** A pod's process: HTTP on these TCP ports, with the pod's name as answer. Resolves when it listens. */
  async serve({ pod, namespace }: CniSandbox, ...ports: readonly number[]): Promise<void> {
    const flags = ports.flatMap((port) => ['--tcp', String(port)]);
    const args = ['--name', `shop/${pod}`, '--netns', `/run/netns/${namespace}`, ...flags];
    const child = spawn(build('native/pteropus-pod'), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    await once(createInterface({ input: child.stdout }), 'line');
  }

  /** Names of the links in the node's namespace. */
  links(): readonly string[] {
    return this.netns.links().map(({ name }) => name);
  }

  async close(): Promise<void> {
    for (const child of this.#children) await this.stop(child);
    await this.#server?.close();
    await this.store.close();
    this.netns.close();
    for (const namespace of this.#namespaces) loadNative().deleteNetns(namespace);
    rmSync(this.directory, { recursive: true, force: true });
  }

  #wire(): void {
    this.#namespaces.add(this.outside);
    const outside = loadNative().createNetns(this.outside);
    this.netns.createVeth({ name: 'uplink' }, { name: 'wire', netns: outside });
    this.netns.setLink('lo', { up: true });
    // As pods have it: what reaches an AF_XDP socket must be whole.
    outside.setOffloads('wire', { txChecksum: false, tso: false });
    outside.setLink('wire', { up: true });
    outside.addAddress('wire', `${DEFAULT_CONFIG.defaultGateway}/24`);
    outside.addRoute({ destination: 'default', link: 'wire', gateway: NODE_ADDRESS });
    outside.close();
  }

  #config(): object {
    return {
      node: 'n1',
      store: join(this.directory, 'store.sock'),
      dataplane: join(this.directory, 'dataplane.sock'),
      cni: this.socket,
      journal: this.journal,
      netns: `/run/netns/${this.namespace}`,
      uplink: 'uplink',
      dieWithStdin: true,
      cluster: { defaultGateway: DEFAULT_CONFIG.defaultGateway, ...this.options.cluster },
      ...this.options.agent,
    };
  }

  /** Starts a verb inside the node; resolves when `ready` says so of a line of its output. */
  async #start(ready: RegExp, ...argv: string[]): Promise<ChildProcess> {
    const inside = ['nsenter', `--net=/run/netns/${this.namespace}`, '--', process.execPath];
    const [command = '', ...args] = [...inside, ...(this.options.flags ?? []), PTEROPUS, ...argv];
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...this.options.env },
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    child.stdin.on('error', () => undefined);
    await new Promise<void>((resolve, reject) => {
      for (const output of [child.stdout, child.stderr]) {
        createInterface({ input: output }).on('line', (line) => {
          this.log.push(line);
          if (ready.test(line)) resolve();
        });
      }
      child.once('exit', (code, signal) =>
        reject(new Error(`${argv[0]} ended with ${code ?? signal}:\n${this.log.slice(-20).join('\n')}`)),
      );
    });
    return child;
  }
}

function podObject(name: string, labels: Readonly<Record<string, string>> = {}): Pod {
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
    status: { phase: 'Pending', podIPs: [], ready: false, terminating: false },
  };
}
