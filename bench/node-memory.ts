/** What a node holds in memory, and how long its agent takes to be ready: the processes of a real node (bench/README.md). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { keyOf } from '../control/agent/objects.js';
import { type ClusterConfig, DEFAULT_CONFIG } from '../control/compiler/input.js';
import { nodeAddresses, planNode } from '../control/ipam/arithmetic.js';
import { toJson } from '../control/objects/json.js';
import { parseApiObject } from '../control/objects/manifest.js';
import type { KubeObject, Pod } from '../control/objects/types.js';
import { runExecutable } from '../test/cni/executable.js';
import { CniNode } from '../test/cni/node.js';
import { HERE, objectsOf, shapeOf } from './compile-shapes.js';
import { benchOptions } from './options.js';
import { ROOT } from './peers/build.js';
import { memoryOf, type ProcessMemory, together } from './smaps.js';
import { type Figures, figures } from './statistics.js';

const USAGE = `usage: npm run bench:node-memory [-- --only small|large] [-- --rounds N]

Starts a node (data plane and agent, AF_XDP, in a namespace), wires its pods, and prints what it holds in memory. Needs root.`;
const ALL_ROUNDS = '3';
const options = benchOptions(USAGE, {
  only: { type: 'string' },
  rounds: { type: 'string', default: ALL_ROUNDS },
});

/** As the image starts it (k8s/images/Dockerfile). */
const NODE_FLAGS = ['--max-semi-space-size=4'];
/** So long after the last pod. */
const SETTLE_MS = 3000;

interface NodeShape {
  readonly name: string;
  readonly pods: number;
  readonly policies: number;
  readonly services: number;
  readonly nodes: number;
  /** Room for so many IPv4 connections; huge pages are taken at once. */
  readonly sessions: number;
}

const SHAPES: readonly NodeShape[] = [
  { name: 'small', pods: 5, policies: 10, services: 20, nodes: 3, sessions: 131_072 },
  { name: 'large', pods: 110, policies: 10_000, services: 10_000, nodes: 200, sessions: 1_048_576 },
];

interface Round {
  /** Milliseconds from the start of the agent's process until it is ready, with all that the store holds in force. */
  readonly ready: number;
  /** MiB: what the node takes as a whole. */
  readonly together: number;
  readonly agent: ProcessMemory;
  readonly dataplane: ProcessMemory;
}

const CLUSTER = { podSubnetCIDR: '10.0.0.0/12', defaultGateway: DEFAULT_CONFIG.defaultGateway };
const CONFIG: ClusterConfig = { ...DEFAULT_CONFIG, ...CLUSTER };

/** As many pods in the cluster as policies, five endpoints to a Service, one Service in a hundred with a NodePort. */
function* objects(shape: NodeShape): Iterable<KubeObject> {
  for (const raw of objectsOf(shapeOf('one-namespace', shape.policies, 0))) yield parseApiObject(raw);
  const services = shapeOf('services', shape.services, 5 * shape.services);
  for (const raw of services.namespaces()) yield parseApiObject(raw);
  for (let i = 0; i < shape.services; i++) {
    yield parseApiObject(services.service(i));
    yield parseApiObject(services.slice(i, 0));
  }
  for (let id = 2; id <= shape.nodes; id++) {
    const metadata = { name: `node-${id}`, namespace: null, uid: null, labels: {}, annotations: {} };
    yield { kind: 'NodeRecord', metadata, id, addresses: nodeAddresses(planNode(CONFIG, id)) };
  }
}

async function wire(node: CniNode, { metadata }: Pod): Promise<void> {
  const sandbox = await node.sandbox(metadata.name, false);
  const pod = `K8S_POD_NAMESPACE=${metadata.namespace};K8S_POD_NAME=${metadata.name}`;
  const environment = { ...node.environment('ADD', sandbox), CNI_ARGS: `IgnoreUnknown=1;${pod}` };
  const { exit, stdout } = await runExecutable(environment, node.conf());
  if (exit !== 0) throw new Error(`${metadata.name}: ${stdout}`);
}

async function round(shape: NodeShape): Promise<Round> {
  const node = await CniNode.start({
    agent: { node: HERE },
    cluster: CLUSTER,
    dataplane: ['--sessions', String(shape.sessions)],
    flags: NODE_FLAGS,
  });
  try {
    await node.stop(node.agent, 'SIGTERM');
    const here: Pod[] = [];
    for (const object of objects(shape)) {
      await node.store.put(keyOf(object), toJson(object));
      if (object.kind === 'Pod' && object.spec.nodeName === HERE) here.push(object);
    }
    const started = performance.now();
    await node.startAgent();
    const ready = performance.now() - started;
    for (const pod of here.slice(0, shape.pods)) await wire(node, pod);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const agent = memoryOf(node.agent?.pid ?? 0);
    const dataplane = memoryOf(node.dataplane?.pid ?? 0);
    return { ready, together: together(agent, dataplane), agent, dataplane };
  } finally {
    await node.close();
  }
}

function processText(name: string, { resident, peak, parts }: ProcessMemory): string {
  const shares = parts
    .filter(({ mib }) => mib >= 1)
    .map(({ name: part, mib }) => `${part} ${mib.toFixed(0)}`);
  return `  ${name} ${resident.toFixed(0)}, at most ${peak.toFixed(0)}: ${shares.join(', ')}\n`;
}

function text(shape: NodeShape, rounds: readonly Round[]): string {
  const of = (figure: (round: Round) => number): Figures => figures(rounds.map(figure));
  const all = of(({ together }) => together);
  const ready = of((one) => one.ready);
  const [last] = rounds.slice(-1);
  const range = (f: Figures): string => `${f.median.toFixed(0)} (${f.min.toFixed(0)} to ${f.max.toFixed(0)})`;
  return (
    `${shape.name}: ${shape.pods} pods, ${shape.services} services, ${shape.policies} policies, ${shape.nodes} nodes, ` +
    `${shape.sessions} sessions: ${range(all)} MiB; ready in ${range(ready)} ms\n` +
    (last === undefined ? '' : processText('agent', last.agent) + processText('data plane', last.dataplane))
  );
}

const kept: Record<string, object> = {};
for (const shape of SHAPES) {
  if (options.only !== undefined && options.only !== shape.name) continue;
  const rounds: Round[] = [];
  for (let i = 0; i < Number(options.rounds); i++) rounds.push(await round(shape));
  process.stdout.write(text(shape, rounds));
  kept[shape.name] = { shape, rounds };
}
if (options.only === undefined && options.rounds === ALL_ROUNDS) {
  const machine = { cpu: cpus()[0]?.model, kernel: release(), node: process.version, load: loadavg()[0] };
  mkdirSync(`${ROOT}bench/results`, { recursive: true });
  const file = { date: new Date().toISOString(), machine, flags: NODE_FLAGS, nodes: kept };
  writeFileSync(`${ROOT}bench/results/node-memory.json`, `${JSON.stringify(file, null, 1)}\n`);
}
