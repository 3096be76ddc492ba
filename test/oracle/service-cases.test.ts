/** Services from API objects to packets: which link a client's packet comes out on, as endpoints and policies of traffic change. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MemoryLinks } from '../../control/backends/wasm/memory-feed.js';
import { openWasmBackend } from '../../control/backends/wasm/open.js';
import { compile } from '../../control/compiler/compile.js';
import { apiPod, compileCluster, localOf } from '../../control/compiler/fixture.js';
import { DEFAULT_CONFIG } from '../../control/compiler/input.js';
import { parseApiObject } from '../../control/objects/manifest.js';
import { oracle } from '../../control/oracle/oracle.js';
import { diffRulesets } from '../../control/ruleset/diff.js';
import { Bench, NODE_ADDRESS, settle } from './bench.js';

type Raw = Readonly<Record<string, unknown>>;

const VIP = '10.96.0.10';
const LB = '192.0.2.10';
const CLIENT = '10.1.1.2';
const OUTSIDE = '198.51.100.7';
/** Endpoints: b beside the client on n1, c on n2, the node itself. */
const B = { ip: '10.1.1.3', node: 'n1' };
const C = { ip: '10.1.2.2', node: 'n2' };
const HOST = { ip: NODE_ADDRESS, node: 'n1' };

const BASE: readonly Raw[] = [
  ...[1, 2, 3].map((id) => ({
    ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: `n${id}` } },
    status: { addresses: [{ type: 'InternalIP', address: `192.168.16.${id}` }] },
  })),
  apiPod('client', 'x', CLIENT, 'n1'),
  apiPod('b', 'x', B.ip, B.node),
  apiPod('c', 'x', C.ip, C.node),
];

function service(spec: Raw): Raw {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'x' },
    spec: {
      type: 'LoadBalancer',
      clusterIP: VIP,
      ports: [{ port: 53, protocol: 'UDP', targetPort: 5353 }],
      ...spec,
    },
    status: { loadBalancer: { ingress: [{ ip: LB }] } },
  };
}

interface EndpointState {
  readonly ip: string;
  readonly node: string;
  readonly conditions?: Raw;
}

function slice(...endpoints: readonly EndpointState[]): Raw {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's-1', namespace: 'x', labels: { 'kubernetes.io/service-name': 's' } },
    addressType: 'IPv4',
    ports: [{ port: 5353, protocol: 'UDP' }],
    endpoints: endpoints.map(({ ip, node, conditions }) => ({ addresses: [ip], nodeName: node, conditions })),
  };
}

const TERMINATING = { ready: false, serving: true, terminating: true };
const GONE = { ready: false, serving: false, terminating: true };

/** A node whose objects change; each change reaches the pipeline as the difference of rulesets. */
class World {
  readonly bench = new Bench(new MemoryLinks());
  #backend = openWasmBackend({
    feed: this.bench.links,
    memory: { sessionsLog2: 10, frameCount: 512, seed: 7 },
  });
  #marker = 0;
  #objects: readonly Raw[] = [];

  async become(...objects: readonly Raw[]): Promise<void> {
    const first = this.bench.local === null;
    this.#objects = [...BASE, ...objects];
    const { model } = compileCluster(this.#objects.map(parseApiObject));
    const local = localOf('n1', model.all('Pod'));
    if (first) for (const link of ['eth0', 'ptero0', 'pod-client', 'pod-b']) this.bench.listen(link);
    const ruleset = compile(model, local, DEFAULT_CONFIG);
    const results = await (await this.#backend).apply(diffRulesets(this.bench.ruleset, ruleset));
    assert.ok(results.every(({ error }) => error === null));
    Object.assign(this.bench, { local, ruleset });
    // Peers are asked for by ARP once, at the cost of a packet.
    if (first) await this.goes(NODE_ADDRESS, '192.168.16.2', 9);
  }

  /** Links on which a datagram came out; every client port is another flow. */
  async goes(source: string, destination: string, sourcePort: number, port = 53): Promise<readonly string[]> {
    const marker = ++this.#marker;
    assert.ok(this.bench.send({ source, destination, protocol: 'UDP', port, marker, sourcePort }, 'n1'));
    await settle();
    return this.bench.seen.get(marker) ?? [];
  }

  /** All links that many flows come out on. */
  async spread(source: string, destination: string): Promise<readonly string[]> {
    const links = new Set<string>();
    for (let port = 20000; port < 20020; port++)
      for (const link of await this.goes(source, destination, port)) links.add(link);
    return [...links].sort();
  }

  oracle(from: string, frontend: 'ClusterIP' | 'LoadBalancer'): string {
    const { outcome } = oracle(this.#objects).viaService({
      ...{ from: { ip: from }, service: { namespace: 'x', name: 's' }, port: 53, protocol: 'UDP', frontend },
      ...{ node: 'n1', entry: 'n1' },
    });
    return outcome;
  }

  async close(): Promise<void> {
    await (await this.#backend).close();
  }
}

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const world = new World();
  try {
    await body(world);
  } finally {
    await world.close();
  }
}

test('terminating endpoints serve where nobody is ready, and stop when they no longer serve', () =>
  withWorld(async (world) => {
    await world.become(service({}), slice(B, { ...C, conditions: TERMINATING }));
    assert.equal(await world.spread(CLIENT, VIP), ['pod-b']);
    await world.become(service({}), slice({ ...B, conditions: TERMINATING }, { ...C, conditions: GONE }));
    assert.equal(await world.spread(CLIENT, VIP), ['pod-b']);
    await world.become(service({}), slice({ ...B, conditions: GONE }, { ...C, conditions: GONE }));
    assert.not((await world.spread(CLIENT, VIP)).includes('pod-b'));
    assert.is(world.oracle(CLIENT, 'ClusterIP'), 'refused');
  }));

test('a UDP client leaves an endpoint that has gone within the same flow', () =>
  withWorld(async (world) => {
    await world.become(service({}), slice(B));
    assert.equal(await world.goes(CLIENT, VIP, 5000), ['pod-b']);
    await world.become(service({}), slice(C));
    assert.equal(await world.goes(CLIENT, VIP, 5000), ['eth0']);
  }));

test('a pod on the host network is a backend, and so is the client itself', () =>
  withWorld(async (world) => {
    await world.become(service({}), slice(HOST));
    assert.equal(await world.goes(CLIENT, VIP, 5000), ['ptero0']);
    await world.become(service({}), slice({ ip: CLIENT, node: 'n1' }));
    assert.equal(await world.goes(CLIENT, VIP, 5001), ['pod-client']);
  }));

test('externalTrafficPolicy Local: who asks from outside gets endpoints of this node or nothing, pods get any', () =>
  withWorld(async (world) => {
    const local = service({ externalTrafficPolicy: 'Local' });
    await world.become(local, slice(B, C));
    assert.equal(await world.spread(OUTSIDE, LB), ['pod-b']);
    await world.become(local, slice(C));
    assert.equal(await world.spread(OUTSIDE, LB), []);
    assert.is(world.oracle(OUTSIDE, 'LoadBalancer'), 'elsewhere');
    assert.equal(await world.spread(CLIENT, LB), ['eth0']);
    assert.equal(await world.spread(NODE_ADDRESS, LB), ['eth0']);
    // Not when the policy is Cluster: the other node's endpoint answers.
    await world.become(service({}), slice(C));
    assert.equal(await world.spread(OUTSIDE, LB), ['eth0']);
  }));

test('loadBalancerSourceRanges keep other sources out; internalTrafficPolicy Local keeps to endpoints of the node', () =>
  withWorld(async (world) => {
    await world.become(service({ loadBalancerSourceRanges: ['198.51.100.0/24'] }), slice(B));
    assert.equal(await world.spread(OUTSIDE, LB), ['pod-b']);
    await world.become(service({ loadBalancerSourceRanges: ['203.0.113.0/24'] }), slice(B));
    assert.equal(await world.spread('198.51.100.8', LB), []);
    await world.become(service({ internalTrafficPolicy: 'Local' }), slice(B, C));
    assert.equal(await world.spread(CLIENT, VIP), ['pod-b']);
  }));

test.run();
