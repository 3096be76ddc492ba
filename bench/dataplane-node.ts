/**
 * A node of a large cluster, for bench/dataplane-tables.ts: two processes, as on a real node. The one that is started plays the
 * data plane; it starts the other, the agent, and gets the ruleset from it as text. Prints one line of JSON.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MemoryLinks } from '../control/backends/wasm/memory-feed.js';
import { openWasmBackend } from '../control/backends/wasm/open.js';
import { IncrementalCompiler } from '../control/compiler/incremental/compiler.js';
import { Model } from '../control/model/model.js';
import { parseApiObject } from '../control/objects/manifest.js';
import type { KubeObject } from '../control/objects/types.js';
import type { AddressSetItem, Change, Item, Key, PolicyItem } from '../control/ruleset/types.js';
import { CONFIG, localOf, nodeRecord } from './compile-run.js';
import { objectsOf, shapeOf } from './compile-shapes.js';
import type { NodeFigures } from './dataplane-tables.js';
import { figures } from './statistics.js';

const SERVICES = 10_000;
const POLICIES = 10_000;
/** A NodePort is a frontend on each of them. */
const NODES = 200;
const RULES = 10_000;
/** Rules of a policy, ports of a peer in it. */
const EACH = 100;
const PORTS = 20;
const ROUNDS = 100;

/** The agent: the cluster's objects, its model, the node's ruleset. */
function agent(): readonly Item[] {
  const objects: KubeObject[] = [];
  for (const raw of objectsOf(shapeOf('one-namespace', POLICIES, 0))) objects.push(parseApiObject(raw));
  const services = shapeOf('services', SERVICES, 5 * SERVICES);
  for (const raw of services.namespaces()) objects.push(parseApiObject(raw));
  for (let i = 0; i < services.services; i++)
    objects.push(parseApiObject(services.service(i)), parseApiObject(services.slice(i, 0)));
  for (let id = 1; id <= NODES; id++) objects.push(nodeRecord(id));
  const local = localOf(objects);
  const compiler = new IncrementalCompiler(Model.of(objects), local, CONFIG);
  return [...compiler.ruleset.values()];
}

function policy(number: number, port: number): PolicyItem {
  const origin = { kind: 'NetworkPolicy', namespace: 'bench', name: 'large', field: null };
  return {
    kind: 'policy',
    key: `policy/large-${number}`,
    direction: 'ingress',
    isolatedBy: [origin],
    rules: Array.from({ length: EACH }, (_, i) => ({
      tier: 'network',
      action: 'allow',
      peers: [`addressset/large-${Math.floor((number * EACH + i) / PORTS)}`],
      ports: [
        {
          protocol: 'TCP',
          from: 1000 + (i % PORTS) * 10,
          to: 1000 + (i % PORTS) * 10 + (i === 0 ? port : 1),
        },
      ],
      origin,
    })),
  };
}

const set = (i: number, extra: number): AddressSetItem => ({
  kind: 'addressset',
  key: `addressset/large-${i}`,
  addresses: Array.from({ length: 8 + extra }, (_, n) => `10.14.${i >> 3}.${((i & 7) << 5) + n + 1}`),
  blocks: [],
});

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e6;
}

/** What the other process made. */
function compiled(): readonly Item[] {
  const self = fileURLToPath(import.meta.url);
  const { status, stdout, stderr } = spawnSync(process.execPath, [self, 'agent'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Item[];
}

async function main(): Promise<void> {
  const items = compiled();
  const backend = await openWasmBackend({ feed: new MemoryLinks() });
  const known = new Map<Key, Item>();
  const apply = async (changed: readonly Item[]): Promise<void> => {
    const changes = changed.map((item): Change => {
      const old = known.get(item.key);
      known.set(item.key, item);
      return old === undefined
        ? { type: 'add', key: item.key, item }
        : { type: 'update', key: item.key, item, old };
    });
    const failed = (await backend.apply(changes)).find(({ error }) => error !== null);
    if (failed !== undefined) throw new Error(`${failed.key}: ${failed.error?.message}`);
  };
  const all = await timed(() => apply(items));
  const sets = Array.from({ length: RULES / PORTS }, (_, i) => set(i, 0));
  const pods = items.filter((item) => item.kind === 'endpoint').slice(0, RULES / EACH);
  await apply([...sets, ...pods.map((_, i) => policy(i, 1))]);
  await apply(pods.map((pod, i) => ({ ...pod, ingress: `policy/large-${i}` })));
  const [rule, member]: [number[], number[]] = [[], []];
  for (let i = 0; i < ROUNDS; i++) {
    const changed = policy(7, 2 + (i % 5));
    rule.push(await timed(() => apply([changed])));
    const grown = set(3, 1 + (i % 2));
    member.push(await timed(() => apply([grown])));
  }
  await backend.close();
  const result: NodeFigures = {
    pods: items.filter((item) => item.kind === 'endpoint').length,
    services: items.filter((item) => item.kind === 'service').length,
    policies: POLICIES,
    all,
    rule: figures(rule),
    member: figures(member),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

if (process.argv[2] === 'agent') process.stdout.write(JSON.stringify(agent()));
else await main();
