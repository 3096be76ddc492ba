/** Each kind of object, changed through the API server, shows on the wire. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ApiObject } from '../../control/sim/kubernetes/api.js';
import { collectionPath, kindNamed, objectPath } from '../../control/sim/kubernetes/kinds.js';
import { eventually } from '../support/eventually.js';
import { testIf } from '../support/requires.js';
import { clusterRequirements, startCluster, type TestCluster } from './support/cluster.js';
import { ask, OUTSIDE, pod, until } from './support/reach.js';

const NAMESPACE = 'lab';
const OTHER = 'elsewhere';

let running: TestCluster;

function path(kind: string, name: string, namespace = NAMESPACE): string {
  const of = kindNamed(kind);
  return objectPath(of, of.namespaced ? namespace : undefined, name);
}

async function apply(kind: string, name: string, body: object, namespace = NAMESPACE): Promise<ApiObject> {
  const { apiVersion, namespaced } = kindNamed(kind);
  const { metadata = {}, ...rest } = body as { readonly metadata?: object };
  const where = namespaced ? { namespace } : {};
  const object = { apiVersion, kind, metadata: { name, ...where, ...metadata }, ...rest };
  return (await running.api.apply(path(kind, name, namespace), object, 'test')) as unknown as ApiObject;
}

function remove(kind: string, name: string, namespace = NAMESPACE): Promise<unknown> {
  return running.api.delete(path(kind, name, namespace));
}

function podBody(labels: Readonly<Record<string, string>>, extra: object = {}): object {
  const ports = [{ name: 'http', containerPort: 8080 }, { containerPort: 9090 }];
  return {
    metadata: { labels },
    spec: { containers: [{ name: 'main', image: 'example.com/x', ports }], ...extra },
  };
}

/** Address of a pod once it runs. */
async function addressOf(name: string, namespace = NAMESPACE): Promise<string> {
  let address = '';
  await eventually(`pod ${name} runs`, async () => {
    const { status } = (await running.api.get(path('Pod', name, namespace))) as unknown as ApiObject;
    if (status?.['phase'] === 'Running') address = String(status['podIP']);
    return address !== '';
  });
  return address;
}

/** Resolves when the API has let go of the pod. */
async function gone(name: string): Promise<void> {
  const names = async () => {
    const list = await running.api.get(collectionPath(kindNamed('Pod'), NAMESPACE));
    return (list as { readonly items: readonly ApiObject[] }).items.map(({ metadata }) => metadata.name);
  };
  await eventually(`pod ${name} is gone`, async () => !(await names()).includes(name));
}

const needs = clusterRequirements();
const ready = needs.every((need) => need === null);

test.before(async () => {
  if (!ready) return;
  running = await startCluster(`x-changes-${process.pid}`);
  await apply('Namespace', NAMESPACE, {});
  await apply('Namespace', OTHER, {});
  await apply('Pod', 'client', podBody({ role: 'client' }));
  await apply('Pod', 'server', podBody({ app: 'server' }));
  await apply('Pod', 'stranger', podBody({ role: 'client' }), OTHER);
  for (const name of ['client', 'server']) await addressOf(name);
  await addressOf('stranger', OTHER);
});

test.after(async () => {
  if (ready) await running.close();
});

const client = pod(NAMESPACE, 'client');
const server = async () => ({ from: client, address: await addressOf('server'), port: 8080 });

testIf(test, ...needs)('a NetworkPolicy: added, changed, removed', async () => {
  const { driver } = running;
  const question = await server();
  assert.is(await until(driver, question, 'connected'), 'lab/server');
  const podSelector = { matchLabels: { app: 'server' } };
  await apply('NetworkPolicy', 'guard', { spec: { podSelector, policyTypes: ['Ingress'] } });
  await until(driver, question, 'no answer');
  const from = [{ podSelector: { matchLabels: { role: 'client' } } }];
  await apply('NetworkPolicy', 'guard', {
    spec: { podSelector, policyTypes: ['Ingress'], ingress: [{ from }] },
  });
  await until(driver, question, 'connected');
  const ports = [{ port: 9090 }];
  await apply('NetworkPolicy', 'guard', {
    spec: { podSelector, policyTypes: ['Ingress'], ingress: [{ from, ports }] },
  });
  await until(driver, question, 'no answer');
  await until(driver, { ...question, port: 9090 }, 'connected');
  await remove('NetworkPolicy', 'guard');
  await until(driver, question, 'connected');
});

testIf(test, ...needs)('a pod: labelled anew, removed and made again', async () => {
  const { api, driver } = running;
  const question = await server();
  const podSelector = { matchLabels: { app: 'server' } };
  const from = [{ podSelector: { matchLabels: { role: 'client' } } }];
  await apply('NetworkPolicy', 'guard', {
    spec: { podSelector, policyTypes: ['Ingress'], ingress: [{ from }] },
  });
  await until(driver, question, 'connected');
  await api.patch(path('Pod', 'client'), { metadata: { labels: { role: 'guest' } } });
  await until(driver, question, 'no answer');
  await api.patch(path('Pod', 'client'), { metadata: { labels: { role: 'client' } } });
  await until(driver, question, 'connected');
  // The one that is guarded leaves its guard.
  await api.patch(path('Pod', 'client'), { metadata: { labels: { role: 'guest' } } });
  await until(driver, question, 'no answer');
  await api.patch(path('Pod', 'server'), { metadata: { labels: { app: 'other' } } });
  await until(driver, question, 'connected');
  await api.patch(path('Pod', 'server'), { metadata: { labels: { app: 'server' } } });
  await until(driver, question, 'no answer');

  // A pod that comes is guarded from its first packet on.
  await remove('Pod', 'server');
  await until(driver, question, 'no answer');
  await gone('server');
  await apply('Pod', 'server', podBody({ app: 'server' }));
  const again = await server();
  assert.is.not((await ask(driver, again)).outcome, 'connected');
  await remove('NetworkPolicy', 'guard');
  await until(driver, again, 'connected');
  await api.patch(path('Pod', 'client'), { metadata: { labels: { role: 'client' } } });
});

testIf(test, ...needs)('a Namespace: labelled anew', async () => {
  const { api, driver } = running;
  const question = { ...(await server()), from: pod(OTHER, 'stranger') };
  const podSelector = { matchLabels: { app: 'server' } };
  const from = [{ namespaceSelector: { matchLabels: { team: 'friends' } } }];
  await apply('NetworkPolicy', 'guard', {
    spec: { podSelector, policyTypes: ['Ingress'], ingress: [{ from }] },
  });
  await until(driver, question, 'no answer');
  await api.patch(path('Namespace', OTHER), { metadata: { labels: { team: 'friends' } } });
  await until(driver, question, 'connected');
  await api.patch(path('Namespace', OTHER), { metadata: { labels: { team: null } } });
  await until(driver, question, 'no answer');
  await remove('NetworkPolicy', 'guard');
  await until(driver, question, 'connected');
});

testIf(test, ...needs)('a Service: its ports, its type, its selector', async () => {
  const { api, driver } = running;
  const spec = (port: number, type = 'ClusterIP', app = 'server') => ({
    spec: { type, selector: { app }, ports: [{ name: 'web', port, targetPort: 'http', protocol: 'TCP' }] },
  });
  const made = await apply('Service', 'web', spec(80));
  const address = String(made.spec?.['clusterIP']);
  const question = { from: client, address, port: 80 };
  assert.is(await until(driver, question, 'connected'), 'lab/server');
  await api.patch(path('Service', 'web'), {
    spec: { ports: [{ name: 'web', port: 81, targetPort: 'http' }] },
  });
  await until(driver, { ...question, port: 81 }, 'connected');
  await until(driver, question, 'no answer');

  await api.patch(path('Service', 'web'), { spec: { type: 'NodePort' } });
  const { spec: now } = (await api.get(path('Service', 'web'))) as unknown as ApiObject;
  const [port] = (now?.['ports'] ?? []) as readonly { readonly nodePort: number }[];
  const node = running.cluster.state.nodes[0]?.address ?? '';
  const outside = { from: OUTSIDE, address: node, port: port?.nodePort ?? 0 };
  await until(driver, outside, 'connected');
  await api.patch(path('Service', 'web'), { spec: { type: 'ClusterIP' } });
  await until(driver, outside, 'no answer');

  await api.patch(path('Service', 'web'), { spec: { selector: { app: 'nobody' } } });
  await until(driver, { ...question, port: 81 }, 'no answer');
  await remove('Service', 'web');
});

testIf(test, ...needs)('an endpoint: ready, not ready, ready again', async () => {
  const { api, driver } = running;
  const gate = 'example.com/open';
  await apply('Pod', 'gated', podBody({ app: 'gated' }, { readinessGates: [{ conditionType: gate }] }));
  const made = await apply('Service', 'gated', {
    spec: { selector: { app: 'gated' }, ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }] },
  });
  const question = { from: client, address: String(made.spec?.['clusterIP']), port: 80 };
  await running.cluster.settled();
  await until(driver, question, 'no answer');
  const open = (status: 'True' | 'False') =>
    api.patch(
      `${path('Pod', 'gated')}/status`,
      { status: { conditions: [{ type: gate, status }] } },
      'strategic',
    );
  await open('True');
  assert.is(await until(driver, question, 'connected'), 'lab/gated');
  await open('False');
  await until(driver, question, 'no answer');
  await open('True');
  await until(driver, question, 'connected');
});

testIf(test, ...needs)('a host port: there with its pod, gone with it', async () => {
  const { driver } = running;
  const containers = [
    { name: 'main', image: 'example.com/x', ports: [{ containerPort: 8080, hostPort: 8088 }] },
  ];
  await apply('Pod', 'hosted', { spec: { nodeName: 'node-2', containers } });
  await addressOf('hosted');
  const address = running.cluster.state.nodes.find(({ name }) => name === 'node-2')?.address ?? '';
  const question = { from: OUTSIDE, address, port: 8088 };
  assert.is(await until(driver, question, 'connected'), 'lab/hosted');
  await remove('Pod', 'hosted');
  await until(driver, question, 'no answer');
});

testIf(test, ...needs)('an EndpointSlice written by hand, for a Service without a selector', async () => {
  const { driver } = running;
  const made = await apply('Service', 'manual', { spec: { ports: [{ port: 80, protocol: 'TCP' }] } });
  const question = { from: client, address: String(made.spec?.['clusterIP']), port: 80 };
  const slice = (address: string) => ({
    metadata: { labels: { 'kubernetes.io/service-name': 'manual' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: '', port: 8080, protocol: 'TCP' }],
  });
  await until(driver, question, 'no answer');
  await apply('EndpointSlice', 'manual-1', slice(await addressOf('server')));
  assert.is(await until(driver, question, 'connected'), 'lab/server');
  await apply('EndpointSlice', 'manual-1', slice(await addressOf('stranger', OTHER)));
  let answer: string | null = null;
  for (const end = Date.now() + 5000; answer !== 'elsewhere/stranger' && Date.now() < end; )
    answer = await until(driver, question, 'connected');
  assert.is(answer, 'elsewhere/stranger');
  await remove('EndpointSlice', 'manual-1');
  await until(driver, question, 'no answer');
});

testIf(test, ...needs)('a Node: its zone', async () => {
  const { api, driver } = running;
  const zone = (name: string, value: string | null) =>
    api.patch(path('Node', name), { metadata: { labels: { 'topology.kubernetes.io/zone': value } } });
  for (const node of ['node-1', 'node-2'])
    await apply('Pod', `on-${node}`, podBody({ app: 'zoned' }, { nodeName: node }));
  await apply('Pod', 'asks', podBody({}, { nodeName: 'node-1' }));
  for (const name of ['on-node-1', 'on-node-2', 'asks']) await addressOf(name);
  const made = await apply('Service', 'zoned', {
    spec: {
      selector: { app: 'zoned' },
      trafficDistribution: 'PreferClose',
      ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }],
    },
  });
  const question = { from: pod(NAMESPACE, 'asks'), address: String(made.spec?.['clusterIP']), port: 80 };
  await until(driver, question, 'connected');
  /** Who answers, asked twenty times. */
  const answers = async (wanted: readonly string[]): Promise<void> => {
    let seen: readonly string[] = [];
    for (const end = Date.now() + 10_000; Date.now() < end; ) {
      const some = new Set<string>();
      for (let i = 0; i < 20; i++) some.add((await ask(driver, question)).answer ?? '');
      seen = [...some].sort();
      if (seen.join() === wanted.join()) return;
    }
    assert.equal(seen, wanted);
  };
  await answers(['lab/on-node-1', 'lab/on-node-2']);
  await zone('node-1', 'a');
  await zone('node-2', 'b');
  await answers(['lab/on-node-1']);
  await zone('node-1', 'b');
  await answers(['lab/on-node-1', 'lab/on-node-2']);
  for (const node of ['node-1', 'node-2']) await zone(node, null);
});

testIf(test, ...needs)('a ClusterNetworkPolicy: added and removed', async () => {
  const { driver } = running;
  const question = await server();
  await until(driver, question, 'connected');
  await apply('ClusterNetworkPolicy', 'no-lab', {
    spec: {
      tier: 'Admin',
      priority: 10,
      subject: { namespaces: { matchLabels: { 'kubernetes.io/metadata.name': NAMESPACE } } },
      ingress: [{ name: 'no', action: 'Deny', from: [{ namespaces: {} }] }],
    },
  });
  await until(driver, question, 'no answer');
  await remove('ClusterNetworkPolicy', 'no-lab');
  await until(driver, question, 'connected');
});

testIf(test, ...needs)('a Deployment: scaled, and gone with its namespace', async () => {
  const { api, driver } = running;
  await apply('Namespace', 'short', {});
  const labels = { app: 'many' };
  const template = podBody(labels) as { readonly spec: object };
  await apply(
    'Deployment',
    'many',
    {
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: template.spec },
      },
    },
    'short',
  );
  const made = await apply(
    'Service',
    'many',
    { spec: { selector: labels, ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }] } },
    'short',
  );
  const question = { from: client, address: String(made.spec?.['clusterIP']), port: 80 };
  await until(driver, question, 'connected');
  await api.patch(path('Deployment', 'many', 'short'), { spec: { replicas: 3 } });
  const answers = new Set<string | null>();
  for (const end = Date.now() + 10_000; answers.size < 3 && Date.now() < end; )
    answers.add(await until(driver, question, 'connected'));
  assert.is(answers.size, 3);
  await api.delete(path('Namespace', 'short'));
  await until(driver, question, 'no answer');
  await running.cluster.settled();
  const left = (await api.get(collectionPath(kindNamed('Pod'), 'short'))) as {
    readonly items?: readonly unknown[];
  };
  assert.equal(left['items'], []);
});

test.run();
