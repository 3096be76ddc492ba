/** The manifests and the chart against a real API server: each object is one it takes, and the rights are those that are needed. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ApiClient } from '../../control/sim/kubernetes/api.js';
import { eventually } from '../support/eventually.js';
import { helm, kubernetes, startKubernetes, type TestKubernetes } from '../support/kubernetes/start.js';
import { testIf } from '../support/requires.js';
import { applierFor } from './support/apply.js';
import { helmTemplate, K8S, type Manifest, NAMESPACE, readManifests, VARIANTS } from './support/chart.js';

const check = testIf(test, kubernetes());
const checkChart = testIf(test, kubernetes(), helm());

const account = (name: string): string => `system:serviceaccount:${NAMESPACE}:${name}`;
const ACCOUNTS = ['pteropus-ksr', 'pteropus-vswitch', 'pteropus-etcd'];

let cluster: TestKubernetes;

test.before(async () => {
  if (kubernetes() !== null) return;
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${NAMESPACE}`];
  cluster = await startKubernetes({ users: ACCOUNTS.map((name) => ({ name: account(name), groups })) });
});

test.after(async () => {
  if (kubernetes() === null) await cluster.close();
});

/** As `cat k8s/*.yaml` has them. */
const plain = (): readonly Manifest[] =>
  readdirSync(K8S)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .flatMap((name) => readManifests(readFileSync(join(K8S, name), 'utf8')));

interface Workload {
  readonly template?: { readonly metadata: object; readonly spec: { readonly containers: object[] } };
}

/** The pods that workloads would make: admission judges pods, not their templates. */
function podsOf(manifests: readonly Manifest[]): readonly Manifest[] {
  return manifests.flatMap(({ metadata, spec }) => {
    const { template } = (spec ?? {}) as Workload;
    if (template === undefined) return [];
    const { name, namespace = 'default' } = metadata;
    return [
      { ...template, apiVersion: 'v1', kind: 'Pod', metadata: { ...template.metadata, name, namespace } },
    ];
  });
}

async function dryRun(manifests: readonly Manifest[]): Promise<void> {
  const applier = applierFor(cluster.api);
  for (const manifest of manifests) {
    try {
      await applier.apply(manifest, { dryRun: true });
    } catch (cause) {
      throw new Error(`${manifest.kind} ${manifest.metadata.name}: ${String(cause)}`, { cause });
    }
  }
}

check('the API server takes k8s/*.yaml, and admits the pods', async () => {
  const manifests = plain();
  const namespace = manifests.find(({ kind }) => kind === 'Namespace');
  assert.ok(namespace !== undefined);
  await applierFor(cluster.api).apply(namespace, { dryRun: false });
  await dryRun(manifests);
  const pods = podsOf(manifests);
  assert.is(pods.length, 3);
  await dryRun(pods);
  // It would have told of a field nobody knows.
  const wrong = { ...namespace, spec: { finalizer: [] } };
  assert.match(String(await dryRun([wrong]).catch((error: Error) => error.message)), /finalizer/);
  // Dry: nothing of it is there.
  const { items } = await cluster.api.get(`/apis/apps/v1/namespaces/${NAMESPACE}/daemonsets`);
  assert.equal(items, []);
});

for (const [variant, values] of Object.entries(VARIANTS)) {
  checkChart(`the API server takes the chart: ${variant}`, async () => {
    const manifests = helmTemplate(values);
    await dryRun(manifests);
    await dryRun(podsOf(manifests));
  });
}

const VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];

const RESOURCES = [
  ...['/namespaces', '/nodes', '/pods', '/services', 'discovery.k8s.io/endpointslices'],
  ...['networking.k8s.io/networkpolicies', 'policy.networking.k8s.io/clusternetworkpolicies'],
  ...['events.k8s.io/events', '/events', '/secrets', '/configmaps', '/endpoints', '/serviceaccounts'],
  ...[
    '/serviceaccounts/token',
    '/pods/exec',
    '/pods/status',
    '/pods/eviction',
    '/nodes/proxy',
    '/nodes/status',
  ],
  ...['apps/deployments', 'apps/daemonsets', 'coordination.k8s.io/leases', 'networking.k8s.io/ingresses'],
  ...['rbac.authorization.k8s.io/clusterroles', 'rbac.authorization.k8s.io/clusterrolebindings'],
  ...['certificates.k8s.io/certificatesigningrequests', 'apiextensions.k8s.io/customresourcedefinitions'],
];

const reads = (resource: string): readonly string[] => [`list ${resource}`, `watch ${resource}`];
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'pteropus-ksr': [
    ...['/namespaces', '/nodes', '/pods', '/services', 'discovery.k8s.io/endpointslices'].flatMap(reads),
    ...['networking.k8s.io/networkpolicies', 'policy.networking.k8s.io/clusternetworkpolicies'].flatMap(
      reads,
    ),
    'create events.k8s.io/events',
  ],
  'pteropus-vswitch': [],
  'pteropus-etcd': [],
};

check('each account may do what it needs, and nothing else', async () => {
  const applier = applierFor(cluster.api);
  const rights = ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding'];
  for (const manifest of plain())
    if (rights.includes(manifest.kind ?? '')) await applier.apply(manifest, { dryRun: false });
  for (const [name, allowed] of Object.entries(ALLOWED)) {
    const api = await ApiClient.fromKubeconfig(cluster.kubeconfigOf(account(name)));
    try {
      // The server reads new roles a moment after they were written.
      await eventually(
        `${name} has its rights`,
        async () => allowed[0] === undefined || (await may(api, allowed[0])),
      );
      const asked = RESOURCES.flatMap((resource) => VERBS.map((verb) => `${verb} ${resource}`));
      const answers = await Promise.all(asked.map(async (what) => ((await may(api, what)) ? what : null)));
      assert.equal(answers.filter((what) => what !== null).sort(), [...allowed].sort(), name);
    } finally {
      api.close();
    }
  }
});

/** `what`: `VERB GROUP/RESOURCE[/SUBRESOURCE]`, in all namespaces. */
async function may(api: ApiClient, what: string): Promise<boolean> {
  const [verb = '', path = ''] = what.split(' ');
  const [group, resource, subresource] = path.split('/');
  const { status } = await api.create('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: {
      resourceAttributes: { verb, group, resource, ...(subresource === undefined ? {} : { subresource }) },
    },
  });
  return (status as { readonly allowed: boolean }).allowed;
}

test.run();
