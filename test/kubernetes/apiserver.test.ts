import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ApiClient } from '../../control/sim/kubernetes/api.js';
import { ApiError } from '../../control/sim/kubernetes/errors.js';
import { Follower } from '../../control/sim/kubernetes/follow.js';
import { eventually } from '../support/eventually.js';
import { kubernetes, startKubernetes } from '../support/kubernetes/start.js';
import { testIf } from '../support/requires.js';

const KSR = 'system:serviceaccount:pteropus:ksr';

testIf(test, kubernetes())('a real API server: watches, RBAC, a restart', async () => {
  const cluster = await startKubernetes({
    users: [{ name: KSR, groups: ['system:serviceaccounts', 'system:serviceaccounts:pteropus'] }],
  });
  const logged: string[] = [];
  let follower: Follower | null = null;
  try {
    const { api } = cluster;
    assert.is((await api.get('/version'))['major'], '1');

    // Everything is followed: what is there, what comes and what goes, over a death of the server too.
    const seen = waitable<string>();
    follower = await Follower.start({
      api,
      path: '/api/v1/configmaps',
      changed: (object, old) =>
        seen.push(`${object === null ? 'gone' : 'here'} ${(object ?? old)?.metadata.name}`),
      log: (line) => logged.push(line),
    });
    const map = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
    const maps = '/api/v1/namespaces/default/configmaps';
    await api.create(maps, map('a'));
    await seen.until('here a');
    process.kill(cluster.etcd.process.pid ?? 0, 'SIGKILL');
    process.kill(cluster.server.process.pid ?? 0, 'SIGKILL');
    await eventually(
      'both were started anew',
      () => cluster.etcd.process.deaths + cluster.server.process.deaths === 2,
    );
    await cluster.etcd.ready();
    await cluster.server.ready();
    await api.create(maps, map('b'));
    await seen.until('here b');
    await api.delete(`${maps}/a`);
    await seen.until('gone a');
    assert.equal(follower.objects.get('default/b')?.metadata.name, 'b');
    assert.is(follower.objects.has('default/a'), false);

    // A service account without rights gets none.
    const ksr = await ApiClient.fromKubeconfig(cluster.kubeconfigOf(KSR));
    const refused = await ksr.get('/api/v1/pods').catch((error: unknown) => error);
    assert.instance(refused, ApiError);
    assert.is((refused as ApiError).code, 403);
    // Roles of our own: nobody here fills the aggregated ones (`view`, `edit`).
    await api.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'ksr' },
      rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list'] }],
    });
    await api.create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'ksr' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'ksr' },
      subjects: [{ kind: 'ServiceAccount', name: 'ksr', namespace: 'pteropus' }],
    });
    // RBAC is read by the server a moment after it was written.
    await eventually('ksr may read', async () => {
      const list = await ksr.get('/api/v1/pods').catch(() => null);
      return list !== null;
    });
    ksr.close();
  } finally {
    await follower?.close();
    await cluster.close();
  }
});

/** A list of what happened that can be waited on. */
function waitable<T>() {
  const items: T[] = [];
  let wake: () => void = () => undefined;
  return {
    push(item: T) {
      items.push(item);
      wake();
    },
    async until(item: T): Promise<void> {
      while (!items.includes(item)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

test.run();
