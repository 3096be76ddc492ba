import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../common/errors.js';
import { expandWorkload, isOwnedBy } from './expand.js';
import { template, workload } from './fixtures.js';

const NODES = ['a', 'b', 'c'].map((name) => ({ name, labels: { 'kubernetes.io/os': 'linux', name } }));
const names = (kind: string, name: string, spec: object) =>
  expandWorkload(workload(kind, name, spec), NODES).map(({ pod }) => pod.metadata.name);

test('a Deployment has its replicas, with stable names that follow the template', () => {
  const spec = { replicas: 3, template: template('web') };
  const first = names('Deployment', 'shop/web', spec);
  assert.is(first.length, 3);
  assert.is(new Set(first).size, 3);
  for (const name of first) assert.match(name, /^web-[a-z0-9]{5}-[a-z0-9]{5}$/);
  assert.equal(names('Deployment', 'shop/web', spec), first);
  const more = names('Deployment', 'shop/web', { ...spec, replicas: 4 });
  assert.equal(more.slice(0, 3), first, 'scaling keeps the pods that run');
  const changed = names('Deployment', 'shop/web', {
    ...spec,
    template: template('web', { hostNetwork: true }),
  });
  assert.ok(
    first.every((name) => !changed.includes(name)),
    'another template, other pods',
  );
});

test('replicas default to one, and none is none', () => {
  assert.is(names('Deployment', 'shop/web', { template: template('web') }).length, 1);
  assert.is(names('Deployment', 'shop/web', { replicas: 0, template: template('web') }).length, 0);
});

test('a StatefulSet counts from its first ordinal and names its pods in DNS', () => {
  const spec = { replicas: 2, serviceName: 'db', template: template('db') };
  assert.equal(names('StatefulSet', 'shop/db', spec), ['db-0', 'db-1']);
  assert.equal(names('StatefulSet', 'shop/db', { ...spec, ordinals: { start: 5 } }), ['db-5', 'db-6']);
  const [first] = expandWorkload(workload('StatefulSet', 'shop/db', spec), NODES);
  assert.is(first?.pod.spec.hostname, 'db-0');
  assert.is(first?.pod.spec.subdomain, 'db');
  assert.is(first?.pod.metadata.labels['statefulset.kubernetes.io/pod-name'], 'db-0');
  assert.is(first?.workload, 'shop/db');
});

test('a DaemonSet runs once on every node its selector meets', () => {
  const all = expandWorkload(workload('DaemonSet', 'ops/agent', { template: template('agent') }), NODES);
  assert.equal(
    all.map(({ pod }) => pod.spec.nodeName),
    ['a', 'b', 'c'],
  );
  const one = { template: template('agent', { nodeSelector: { name: 'b' } }) };
  assert.equal(
    expandWorkload(workload('DaemonSet', 'ops/agent', one), NODES).map(({ pod }) => pod.spec.nodeName),
    ['b'],
  );
});

test('a Job runs as many pods at once as it may and needs; a CronJob none', () => {
  assert.is(names('Job', 'ops/once', { template: template('once') }).length, 1);
  assert.is(
    names('Job', 'ops/many', { parallelism: 4, completions: 2, template: template('many') }).length,
    2,
  );
  assert.is(
    names('CronJob', 'ops/nightly', { jobTemplate: { spec: { template: template('n') } } }).length,
    0,
  );
});

test('pods get the template labels and are validated like any pod', () => {
  const [web] = expandWorkload(workload('ReplicaSet', 'shop/web', { template: template('web') }), NODES);
  assert.is(web?.pod.metadata.labels['app'], 'web');
  assert.is(web?.pod.metadata.namespace, 'shop');
  assert.throws(
    () => names('Deployment', 'shop/web', { template: { spec: { containers: [] } } }),
    (error: unknown) => error instanceof InvalidInputError && error.message.includes('containers'),
  );
  assert.throws(
    () => names('Deployment', 'shop/web', { replicas: -1, template: template('web') }),
    /spec\.replicas: must be a whole number/,
  );
});

test('what a workload of the same input runs is left to it', () => {
  const owned = { metadata: { ownerReferences: [{ kind: 'ReplicaSet', name: 'web-1' }] } };
  assert.ok(isOwnedBy(owned, 'shop', new Set(['ReplicaSet/shop/web-1'])));
  assert.not(isOwnedBy(owned, 'ops', new Set(['ReplicaSet/shop/web-1'])));
  assert.not(isOwnedBy({ metadata: {} }, 'shop', new Set(['ReplicaSet/shop/web-1'])));
});

test.run();
