/** The played controllers against a real API server, with sandboxes that are only counted: no root, no packets. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { errorText } from '../../control/common/errors.js';
import { DEFAULT_CONFIG } from '../../control/compiler/input.js';
import type { Pod } from '../../control/objects/types.js';
import type { ApiObject } from '../../control/sim/kubernetes/api.js';
import { ApiCache } from '../../control/sim/kubernetes/cache.js';
import { Controllers } from '../../control/sim/kubernetes/controllers/controllers.js';
import { collectionPath, kindNamed, objectPath } from '../../control/sim/kubernetes/kinds.js';
import { registerNode } from '../../control/sim/kubernetes/nodes.js';
import { nodeNames } from '../../control/sim/world.js';
import { eventually } from '../support/eventually.js';
import { kubernetes, startKubernetes, type TestKubernetes } from '../support/kubernetes/start.js';
import { testIf } from '../support/requires.js';

const NODES = nodeNames(2);
const need = kubernetes();

let server: TestKubernetes;
let cache: ApiCache;
let controllers: Controllers;
/** `NS/NAME` of each pod that has a sandbox. */
const sandboxes = new Map<string, Pod>();
const log: string[] = [];
let addresses = 0;

test.before(async () => {
  if (need !== null) return;
  server = await startKubernetes();
  for (const node of NODES) await registerNode(server.api, DEFAULT_CONFIG, NODES, node);
  cache = await ApiCache.start(server.api, (line) => log.push(line));
  const driver = {
    addPod: (pod: Pod) => {
      sandboxes.set(`${pod.metadata.namespace}/${pod.metadata.name}`, pod);
      return Promise.resolve([`10.1.9.${++addresses}`]);
    },
    removePod: ({ namespace, name }: { readonly namespace: string; readonly name: string }) => {
      sandboxes.delete(`${namespace}/${name}`);
      return Promise.resolve();
    },
  };
  const nodes = new Map(NODES.map((node, i) => [node, [`192.168.16.${i + 1}`]]));
  const parts = { api: server.api, cache, log: (line: string) => log.push(line) };
  controllers = new Controllers(parts, { driver, nodes, config: DEFAULT_CONFIG });
});

test.after(async () => {
  if (need !== null) return;
  await controllers.close();
  await cache.close();
  await server.close();
});

/** Resolves when what the cache shows is as wanted. */
async function until(what: string, condition: () => boolean): Promise<void> {
  await eventually(what, condition).catch((error: unknown) => {
    throw new Error(`${errorText(error)}; log: ${log.join('; ')}`);
  });
}

const of = (kind: string, name: string, namespace = 'default') =>
  objectPath(kindNamed(kind), kindNamed(kind).namespaced ? namespace : undefined, name);

function create(kind: string, name: string, rest: object, namespace = 'default'): Promise<unknown> {
  const { apiVersion, namespaced } = kindNamed(kind);
  const path = collectionPath(kindNamed(kind), namespaced ? namespace : undefined);
  return server.api.create(path, { apiVersion, kind, metadata: { name }, ...rest });
}

function workload(app: string, rest: object = {}, image = 'example.com/one'): object {
  const labels = { app };
  const containers = [{ name: 'main', image, ports: [{ name: 'web', containerPort: 8080 }] }];
  return {
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
      ...rest,
    },
  };
}

/** Living pods of an application. */
function podsOf(app: string, namespace = 'default'): readonly ApiObject[] {
  return [...cache.all('Pod').values()].filter(
    ({ metadata }) => metadata.namespace === namespace && metadata.labels?.['app'] === app,
  );
}

const running = (app: string, count: number) => () => {
  const pods = podsOf(app);
  return pods.length === count && pods.every(({ status }) => status?.['phase'] === 'Running');
};

testIf(test, need)('a Deployment: made, scaled, changed, a pod lost, deleted', async () => {
  const { api } = server;
  await create('Deployment', 'web', workload('web', { replicas: 4 }));
  await until('4 pods', running('web', 4));
  const perNode = NODES.map((node) => podsOf('web').filter(({ spec }) => spec?.['nodeName'] === node).length);
  assert.equal(perNode, [2, 2], 'spread over the nodes');
  const status = () => cache.get('Deployment', 'default/web')?.status;
  await until('status', () => status()?.['readyReplicas'] === 4 && status()?.['availableReplicas'] === 4);

  await api.patch(of('Deployment', 'web'), { spec: { replicas: 1 } });
  await until('1 pod', running('web', 1));
  const [old] = podsOf('web');
  await api.patch(of('Deployment', 'web'), {
    spec: { template: { metadata: { labels: { version: 'two' } } } },
  });
  await until(
    'another pod',
    () => running('web', 1)() && podsOf('web')[0]?.metadata.uid !== old?.metadata.uid,
  );
  const [lost] = podsOf('web');
  await api.delete(of('Pod', lost?.metadata.name ?? ''));
  await until(
    'a new one',
    () => running('web', 1)() && podsOf('web')[0]?.metadata.uid !== lost?.metadata.uid,
  );

  await api.delete(of('Deployment', 'web'));
  await until('nothing', () => podsOf('web').length === 0);
  assert.equal([...sandboxes.keys()], []);
});

testIf(test, need)(
  'a StatefulSet keeps names, also of pods whose template changed; a DaemonSet is everywhere',
  async () => {
    const { api } = server;
    await create('StatefulSet', 'db', workload('db', { replicas: 2, serviceName: 'db' }));
    await create('DaemonSet', 'log', workload('log'));
    await until('db', running('db', 2));
    await until('log', running('log', 2));
    const names = () =>
      podsOf('db')
        .map(({ metadata }) => metadata.name)
        .sort();
    assert.equal(names(), ['db-0', 'db-1']);
    assert.is(sandboxes.get('default/db-0')?.spec.hostname, 'db-0');
    assert.equal(new Set(podsOf('log').map(({ spec }) => spec?.['nodeName'])), new Set(NODES));
    const uids = new Set(podsOf('db').map(({ metadata }) => metadata.uid));
    await api.patch(
      of('StatefulSet', 'db'),
      { spec: { template: { spec: { containers: [{ name: 'main', image: 'example.com/two' }] } } } },
      'strategic',
    );
    await until(
      'new pods',
      () => running('db', 2)() && podsOf('db').every(({ metadata }) => !uids.has(metadata.uid)),
    );
    assert.equal(names(), ['db-0', 'db-1']);
    await api.delete(of('StatefulSet', 'db'));
    await api.delete(of('DaemonSet', 'log'));
    await until('nothing', () => podsOf('db').length + podsOf('log').length === 0);
  },
);

interface Endpoint {
  readonly addresses: readonly string[];
  readonly conditions: { readonly ready: boolean };
  readonly targetRef: { readonly name: string; readonly uid: string };
}

testIf(test, need)('EndpointSlices follow pods and Services; readiness gates count', async () => {
  const { api } = server;
  const slice = () =>
    cache.get('EndpointSlice', 'default/site-sim') as
      | (ApiObject & {
          readonly endpoints?: readonly Endpoint[];
          readonly ports: readonly { readonly port: number }[];
        })
      | undefined;
  const ready = () => slice()?.endpoints?.map(({ conditions }) => conditions.ready);
  await create('Service', 'site', {
    spec: { selector: { app: 'site' }, ports: [{ port: 80, targetPort: 'web' }] },
  });
  await until('an empty slice', () => slice() !== undefined);
  assert.equal(slice()?.endpoints ?? [], []);
  const labels = { app: 'site' };
  const containers = [
    { name: 'main', image: 'example.com/one', ports: [{ name: 'web', containerPort: 8081 }] },
  ];
  const gate = 'example.com/open';
  await create('Pod', 'one', { metadata: { name: 'one', labels }, spec: { containers } });
  await until('one', () => ready()?.join() === 'true');
  assert.is(slice()?.ports[0]?.port, 8081);
  const pod = cache.get('Pod', 'default/one');
  assert.equal(slice()?.endpoints?.[0]?.addresses, [pod?.status?.['podIP']]);
  assert.is(slice()?.endpoints?.[0]?.targetRef.uid, pod?.metadata.uid);
  assert.is(slice()?.metadata.ownerReferences?.[0]?.name, 'site');

  await create('Pod', 'two', {
    metadata: { name: 'two', labels },
    spec: { containers, readinessGates: [{ conditionType: gate }] },
  });
  await until('two, not ready', () => ready()?.join() === 'true,false');
  const conditions = [{ type: gate, status: 'True' }];
  await api.patch(`${of('Pod', 'two')}/status`, { status: { conditions } }, 'strategic');
  await until('two, ready', () => ready()?.join() === 'true,true');
  await api.patch(of('Pod', 'one'), { metadata: { labels: { app: 'other' } } });
  await until(
    'two alone',
    () =>
      slice()
        ?.endpoints?.map(({ targetRef }) => targetRef.name)
        .join() === 'two',
  );
  // Somebody meddles.
  await api.delete(of('EndpointSlice', 'site-sim'));
  await until('back', () => ready()?.join() === 'true');
  await api.delete(of('Service', 'site'));
  await until('gone', () => slice() === undefined);
  for (const name of ['one', 'two']) await api.delete(of('Pod', name));
});

testIf(test, need)('addresses that an earlier sandbox of a pod had are replaced', async () => {
  const { api } = server;
  const containers = [{ name: 'main', image: 'example.com/one' }];
  await create('Pod', 'old', {
    spec: { containers, nodeName: 'node-1', readinessGates: [{ conditionType: 'x.y/z' }] },
  });
  const pod = () => cache.get('Pod', 'default/old');
  await until('it runs', () => pod()?.status?.['phase'] === 'Running');
  const now = pod()?.status?.['podIP'];
  const earlier = { podIP: '10.1.8.8', podIPs: [{ ip: '10.1.8.8' }] };
  await api.patch(`${of('Pod', 'old')}/status`, { status: earlier });
  await until(
    'ours is back',
    () => JSON.stringify(pod()?.status?.['podIPs']) === JSON.stringify([{ ip: now }]),
  );
  assert.is(pod()?.status?.['podIP'], now);
  await api.delete(of('Pod', 'old'));
  await until('it is gone', () => pod() === undefined);
});

testIf(test, need)('a pod that is told to end serves on while its preStop hook sleeps', async () => {
  const { api } = server;
  const endpoints = () =>
    (
      cache.get('EndpointSlice', 'default/slow-sim') as
        | { readonly endpoints?: readonly Endpoint[] }
        | undefined
    )?.endpoints ?? [];
  await create('Service', 'slow', { spec: { selector: { app: 'slow' }, ports: [{ port: 80 }] } });
  const lifecycle = { preStop: { sleep: { seconds: 1 } } };
  await create('Pod', 'slow', {
    metadata: { name: 'slow', labels: { app: 'slow' } },
    spec: { containers: [{ name: 'main', image: 'example.com/one', lifecycle }] },
  });
  await until('it serves', () => endpoints()[0]?.conditions.ready === true);
  const told = performance.now();
  await api.delete(of('Pod', 'slow'));
  await until('it drains', () => endpoints()[0]?.conditions.ready === false);
  assert.equal(endpoints()[0]?.conditions, { ready: false, serving: true, terminating: true });
  assert.ok(sandboxes.has('default/slow'));
  await until('it is gone', () => endpoints().length === 0);
  assert.ok(performance.now() - told >= 1000);
  assert.is(sandboxes.has('default/slow'), false);
  await api.delete(of('Service', 'slow'));
});

testIf(test, need)('a load balancer address; a namespace that goes with all that is in it', async () => {
  const { api } = server;
  await create('Namespace', 'short', {});
  await create('Deployment', 'web', workload('web', { replicas: 2 }), 'short');
  const ports = [{ port: 80 }];
  await create(
    'Service',
    'web',
    { spec: { type: 'LoadBalancer', selector: { app: 'web' }, ports } },
    'short',
  );
  const ingress = () =>
    (
      cache.get('Service', 'short/web')?.status?.['loadBalancer'] as {
        readonly ingress?: readonly { readonly ip: string }[];
      }
    )?.ingress;
  await until('an address', () => ingress()?.[0]?.ip.startsWith('192.0.2.') === true);
  await until('pods', () => podsOf('web', 'short').length === 2);
  await api.delete(of('Namespace', 'short'));
  await until('it is gone', () => cache.get('Namespace', 'short') === undefined);
  assert.equal(podsOf('web', 'short'), []);
  assert.equal(
    [...sandboxes.keys()].filter((name) => name.startsWith('short/')),
    [],
  );
});

testIf(test, need)('nothing of it went wrong on the way', () => {
  assert.equal(log, []);
});

test.run();
