/** ksr as a process between a real kube-apiserver, with the least rights, and a real etcd, with TLS. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startEtcd, type TestEtcd } from '../../test/support/etcd.js';
import { kubernetes, startKubernetes, type TestKubernetes } from '../../test/support/kubernetes/start.js';
import { program, testIf } from '../../test/support/requires.js';
import { COMPLETE_KEY, OBJECTS_PREFIX } from '../objects/stored-keys.js';
import { EtcdStore } from '../store/etcd.js';
import { LEADER_KEY } from './election.js';
import { differences, eventually, KsrProcess } from './fixtures.js';

const check = testIf(test, kubernetes(), program('openssl'));

/** What ksr may do, and nothing else: docs/ksr.md. */
const ACCOUNT = 'system:serviceaccount:kube-system:pteropus-ksr';
const follow = (group: string, ...resources: string[]): object => {
  return { apiGroups: [group], resources, verbs: ['list', 'watch'] };
};
const RULES = [
  follow('', 'namespaces', 'nodes', 'pods', 'services'),
  follow('discovery.k8s.io', 'endpointslices'),
  follow('networking.k8s.io', 'networkpolicies'),
  follow('policy.networking.k8s.io', 'clusternetworkpolicies'),
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create'] },
];

let cluster: TestKubernetes;
let etcd: TestEtcd;
let store: EtcdStore;

test.before(async () => {
  if (kubernetes() !== null || program('openssl') !== null) return;
  [cluster, etcd] = await Promise.all([
    startKubernetes({ users: [{ name: ACCOUNT, groups: ['system:authenticated'] }] }),
    startEtcd({ tls: true }),
  ]);
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await cluster.api.create(`${rbac}/clusterroles`, { metadata: { name: 'ksr' }, rules: RULES });
  await cluster.api.create(`${rbac}/clusterrolebindings`, {
    metadata: { name: 'ksr' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'ksr' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: ACCOUNT }],
  });
  store = new EtcdStore(etcd.config);
  await cluster.api.create('/api/v1/namespaces', { metadata: { name: 'shop', labels: { team: 'a' } } });
});

test.after(async () => {
  if (kubernetes() !== null || program('openssl') !== null) return;
  for (const ksr of started) await ksr.end('SIGKILL');
  await store.close();
  await etcd.close();
  await cluster.close();
});

const started: KsrProcess[] = [];

async function start(identity: string, leaseSeconds = 2): Promise<KsrProcess> {
  const kubeconfig = cluster.kubeconfigOf(ACCOUNT);
  const ksr = await KsrProcess.start({ identity, store: etcd.config, kubeconfig, leaseSeconds });
  started.push(ksr);
  return ksr;
}

const policy = (name: string, i: number): object => ({
  metadata: { name },
  spec: { podSelector: { matchLabels: { app: `a${i}` } }, policyTypes: ['Ingress'] },
});
async function restartApiServer(): Promise<void> {
  process.kill(cluster.server.process.pid ?? 0, 'SIGKILL');
  await cluster.server.ready();
}

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
    await cluster.api.create(POLICIES, policy('p', 1));
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
  await cluster.api.create(POLICIES, policy('while-away', 1));
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
    await cluster.api.create(POLICIES, policy('goes-on', 3));
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
  const clusterPolicy = (name: string, from: object): object => ({
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
  await cluster.api.create(path, clusterPolicy('good', { namespaces: {} }));
  await cluster.api.create(path, clusterPolicy('strange', { planets: {} }));
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
  await cluster.api.create(POLICIES, policy('during-the-pause', 5));
  await eventually(
    () => second.lines.join('\n'),
    async () => (await second.status()).role === 'leader' && (await second.status()).ready,
  );
  await same();
  const held = await store.get(LEADER_KEY);
  assert.is(held?.value, 'second');
  assert.ok((held?.revision ?? 0) > (lead?.revision ?? 0));
  const { revision } = await store.list(OBJECTS_PREFIX);
  await cluster.api.patch(`${POLICIES}/during-the-pause`, { metadata: { labels: { now: 'x' } } });
  await same();
  first.signal('SIGCONT');
  await eventually(
    () => first.lines.join('\n'),
    async () => (await first.status()).role === 'standby' && (await first.status()).leader === 'second',
  );
  assert.is((await store.get(LEADER_KEY))?.revision, held?.revision);
  const changed = (await store.list(OBJECTS_PREFIX)).entries.filter((entry) => entry.revision > revision);
  assert.equal(
    changed.map(({ key }) => key),
    [`${OBJECTS_PREFIX}NetworkPolicy/shop/during-the-pause`],
  );
  await second.end();
  await eventually(
    () => first.lines.join('\n'),
    async () => (await first.status()).role === 'leader' && (await first.status()).ready,
  );
  await first.end();
});

check('the API server forgets what happened (410 Gone): everything is listed again', async () => {
  // It stays the leader while it is paused.
  const ksr = await start('five', 60);
  await ready(ksr);
  ksr.signal('SIGSTOP');
  await restartApiServer();
  // Nothing of this is in what the paused one has received already.
  await cluster.api.create(POLICIES, policy('in-the-gap', 1));
  await cluster.api.delete(`${POLICIES}/while-away`);
  await restartApiServer();
  await cluster.api.create(POLICIES, policy('after-the-gap', 1));
  ksr.signal('SIGCONT');
  await eventually(
    () => ksr.lines.slice(-8).join('\n'),
    async () => (await ksr.status()).role === 'leader' && (await ksr.status()).ready,
  );
  await same();
  assert.match(await ksr.text('/metrics'), /pteropus_ksr_api_gaps_total\{kind="NetworkPolicy"\} [1-9]/);
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
  assert.ok(Number(created.get('NetworkPolicy')) < Number(created.get('Service')), 'policies come first');
  await ksr.end();
});

check('kill -9 of ksr and etcd, 20 times while objects change: the end is what the API says', async () => {
  const random = seeded(7);
  const ksr = await start('seven');
  await ready(ksr);
  for (let round = 0; round < 20; round++) {
    const change = async (i: number): Promise<void> => {
      const name = `r-${Math.floor(random() * 12)}`;
      if (random() < 0.4) await cluster.api.delete(`${POLICIES}/${name}`).catch(() => undefined);
      else {
        const labels = { metadata: { labels: { round: `${round}-${i}` } } };
        await cluster.api
          .create(POLICIES, policy(name, i))
          .catch(() => cluster.api.patch(`${POLICIES}/${name}`, labels).catch(() => undefined));
      }
    };
    const changes = (async () => {
      for (let i = 0; i < 6; i++) await change(i);
    })();
    const kind = random();
    if (kind < 0.6) {
      await ksr.end('SIGKILL');
      await ksr.start();
    }
    if (kind > 0.4) {
      await etcd.stop();
      await etcd.start();
    }
    await changes;
  }
  await ready(ksr);
  await same();
  await ksr.end();
});

/** mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

test.run();
