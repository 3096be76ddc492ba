/** ksr as a process between a real kube-apiserver and a real etcd. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startEtcd, type TestEtcd } from '../../test/support/etcd.js';
import { kubernetes, startKubernetes, type TestKubernetes } from '../../test/support/kubernetes/start.js';
import { testIf } from '../../test/support/requires.js';
import { COMPLETE_KEY, OBJECTS_PREFIX } from '../objects/stored-keys.js';
import { EtcdStore } from '../store/etcd.js';
import { LEADER_KEY } from './election.js';
import { differences, eventually, KsrProcess } from './fixtures.js';

const check = testIf(test, kubernetes());
let cluster: TestKubernetes;
let etcd: TestEtcd;
let store: EtcdStore;

test.before(async () => {
  if (kubernetes() !== null) return;
  [cluster, etcd] = await Promise.all([startKubernetes(), startEtcd()]);
  store = new EtcdStore(etcd.config);
  await cluster.api.create('/api/v1/namespaces', { metadata: { name: 'shop', labels: { team: 'a' } } });
});

test.after(async () => {
  if (kubernetes() !== null) return;
  await store.close();
  await etcd.close();
  await cluster.close();
});

const start = (identity: string): Promise<KsrProcess> =>
  KsrProcess.start({ identity, store: etcd.config, kubeconfig: cluster.kubeconfig });

const configMap = (name: string, i: number): object => ({
  metadata: { name },
  spec: { podSelector: { matchLabels: { app: `a${i}` } }, policyTypes: ['Ingress'] },
});
const POLICIES = '/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies';

async function same(): Promise<void> {
  let last: readonly string[] = [];
  await eventually(
    () => last.slice(0, 10).join(', '),
    async () => {
      last = await differences(store, cluster.kubeconfig);
      return last.length === 0;
    },
    30_000,
  );
}

const ready = (ksr: KsrProcess): Promise<void> =>
  eventually(
    () => ksr.lines.slice(-5).join('\n'),
    async () => (await ksr.status()).ready,
  );

check(
  'what the API has is in the store, reduced; changes follow; the store is told to be complete',
  async () => {
    const ksr = await start('one');
    await ready(ksr);
    await same();
    assert.ok((await store.get(COMPLETE_KEY)) !== null);
    await cluster.api.create('/api/v1/namespaces/shop/services', {
      metadata: {
        name: 'web',
        annotations: { 'example.com/noise': 'x', 'service.pteropus.io/algorithm': 'maglev' },
      },
      spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
    });
    await cluster.api.create(POLICIES, configMap('p', 1));
    await same();
    const key = `${OBJECTS_PREFIX}Service/shop/web`;
    const service = JSON.parse((await store.get(key))?.value ?? '{}') as {
      metadata: { annotations: object };
    };
    assert.equal(service.metadata.annotations, { 'service.pteropus.io/algorithm': 'maglev' });
    const { revision } = await store.list(OBJECTS_PREFIX);
    await cluster.api.patch('/api/v1/namespaces/shop/services/web', {
      metadata: { annotations: { 'example.com/noise': 'y' } },
    });
    await cluster.api.delete(`${POLICIES}/p`);
    await same();
    const writes = (await store.list(OBJECTS_PREFIX)).revision - revision;
    assert.is(writes, 1, 'noise writes nothing');
    // Somebody else's hand in the store is put right.
    await store.put(key, '{}');
    await store.put(`${OBJECTS_PREFIX}Pod/shop/ghost`, '{}');
    await store.delete(`${OBJECTS_PREFIX}Namespace//shop`);
    await same();
    await ksr.end();
    assert.is(await store.get(LEADER_KEY), null, 'who ends gives the lead up');
  },
);

check('what changed while nobody reflected is found; only differences are written', async () => {
  await cluster.api.create(POLICIES, configMap('while-away', 1));
  await cluster.api.delete('/api/v1/namespaces/shop/services/web');
  const before = await store.list(OBJECTS_PREFIX);
  const ksr = await start('two');
  await ready(ksr);
  await same();
  const after = await store.list(OBJECTS_PREFIX);
  const old = new Map(before.entries.map(({ key, revision }) => [key, revision]));
  assert.equal(
    after.entries.filter(({ key, revision }) => old.get(key) !== revision).map(({ key }) => key),
    [`${OBJECTS_PREFIX}NetworkPolicy/shop/while-away`],
  );
  await ksr.end();
});

check(
  'an object that cannot be honoured: an event on it, REST, metric; everything else goes on',
  async () => {
    const ksr = await start('three');
    await ready(ksr);
    await cluster.api.create('/api/v1/namespaces/shop/services', {
      metadata: { name: 'greedy' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80 }], externalIPs: ['8.8.8.8'] },
    });
    await eventually(
      () => ksr.lines.slice(-5).join('\n'),
      async () => {
        const { items } = (await cluster.api.get(
          '/apis/events.k8s.io/v1/namespaces/shop/events',
        )) as unknown as {
          items: readonly { readonly regarding: { readonly name: string }; readonly note: string }[];
        };
        return items.some(({ regarding, note }) => regarding.name === 'greedy' && note.includes('8.8.8.8'));
      },
    );
    assert.match(await ksr.text('/problems'), /"name":"greedy".*8\.8\.8\.8/);
    assert.match(await ksr.text('/metrics'), 'pteropus_ksr_problem_objects{kind="Service"} 1');
    await cluster.api.create(POLICIES, configMap('goes-on', 3));
    await same();
    await cluster.api.delete('/api/v1/namespaces/shop/services/greedy');
    await eventually(
      () => 'the problem stays',
      async () => !(await ksr.text('/problems')).includes('greedy'),
    );
    await ksr.end();
  },
);

check('a custom resource that comes and goes', async () => {
  const ksr = await start('four');
  await ready(ksr);
  const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const name = 'clusternetworkpolicies.policy.networking.k8s.io';
  await cluster.api.create(crds, {
    metadata: {
      name,
      annotations: {
        'api-approved.kubernetes.io': 'https://github.com/kubernetes-sigs/network-policy-api/pull/300',
      },
    },
    spec: {
      group: 'policy.networking.k8s.io',
      names: { kind: 'ClusterNetworkPolicy', plural: 'clusternetworkpolicies' },
      scope: 'Cluster',
      versions: [
        {
          name: 'v1alpha2',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  });
  const policy = (name: string, from: object): object => ({
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name },
    spec: {
      ...{ tier: 'Admin', priority: 7, subject: { namespaces: {} } },
      ingress: [{ action: 'Accept', from: [from] }],
    },
  });
  const path = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies';
  await eventually(
    () => 'the API does not have it',
    async () => (await cluster.api.get(path)) !== null,
  );
  await cluster.api.create(path, policy('good', { namespaces: {} }));
  await cluster.api.create(path, policy('strange', { planets: {} }));
  await eventually(
    () => ksr.lines.slice(-5).join('\n'),
    async () => (await store.list(`${OBJECTS_PREFIX}ClusterNetworkPolicy/`)).entries.length === 2,
  );
  await same();
  const problems = await ksr.text('/problems');
  assert.match(problems, /"name":"strange".*planets/);
  assert.match(problems, /spec\.priority/);
  await cluster.api.delete(`${crds}/${name}`);
  await eventually(
    () => ksr.lines.slice(-5).join('\n'),
    async () => (await store.list(`${OBJECTS_PREFIX}ClusterNetworkPolicy/`)).entries.length === 0,
  );
  await ksr.end();
});

check('two of them: one leads; one that was paused past its lease writes no more', async () => {
  const first = await start('first');
  await ready(first);
  const second = await start('second');
  await eventually(
    () => second.lines.join('\n'),
    async () => (await second.status()).role === 'standby',
  );
  assert.is((await second.status()).leader, 'first');
  const lead = await store.get(LEADER_KEY);
  first.signal('SIGSTOP');
  // It has this to write when it wakes up.
  await cluster.api.create(POLICIES, configMap('during-the-pause', 5));
  await eventually(
    () => second.lines.join('\n'),
    async () => (await second.status()).role === 'leader' && (await second.status()).ready,
  );
  await same();
  const held = await store.get(LEADER_KEY);
  assert.is(held?.value, 'second');
  assert.ok((held?.created ?? 0) > (lead?.created ?? 0));
  const { revision } = await store.list(OBJECTS_PREFIX);
  await cluster.api.patch(`${POLICIES}/during-the-pause`, { metadata: { labels: { now: 'x' } } });
  await same();
  first.signal('SIGCONT');
  await eventually(
    () => first.lines.join('\n'),
    async () => (await first.status()).role === 'standby' && (await first.status()).leader === 'second',
  );
  assert.is((await store.get(LEADER_KEY))?.created, held?.created);
  const changed = (await store.list(OBJECTS_PREFIX)).entries.filter((entry) => entry.revision > revision);
  assert.equal(
    changed.map(({ key }) => key),
    [`${OBJECTS_PREFIX}NetworkPolicy/shop/during-the-pause`],
  );
  await second.end();
  await ready(first);
  assert.is((await first.status()).role, 'leader');
  await first.end();
});

check('the API server forgets what happened (410 Gone): everything is listed again', async () => {
  const ksr = await start('five');
  await ready(ksr);
  ksr.signal('SIGSTOP');
  await cluster.api.create(POLICIES, configMap('in-the-gap', 1));
  await cluster.api.delete(`${POLICIES}/while-away`);
  await cluster.server.stop();
  await cluster.server.start();
  await cluster.api.create(POLICIES, configMap('after-the-gap', 1));
  ksr.signal('SIGCONT');
  await eventually(
    () => ksr.lines.slice(-8).join('\n'),
    async () => (await ksr.status()).role === 'leader' && (await ksr.status()).ready,
  );
  await same();
  await ksr.end();
});

check('an emptied etcd is filled again, and told to be complete only then', async () => {
  const ksr = await start('six');
  await ready(ksr);
  await etcd.stop();
  etcd.empty();
  await etcd.start();
  await same();
  await eventually(
    () => ksr.lines.slice(-8).join('\n'),
    async () => (await store.get(COMPLETE_KEY)) !== null,
  );
  const marker = await store.get(COMPLETE_KEY);
  const { entries } = await store.list(OBJECTS_PREFIX);
  assert.ok(entries.every(({ created }) => created < (marker?.created ?? 0)));
  const created = new Map(entries.map(({ key, created }) => [key.split('/')[3] ?? '', created]));
  assert.ok((created.get('NetworkPolicy') ?? 0) < (created.get('EndpointSlice') ?? 0), 'policies come first');
  await ksr.end();
});

test.run();
