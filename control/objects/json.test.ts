import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../oracle/random.js';
import { randomCluster } from '../oracle/random-cluster.js';
import { fromJson, toJson } from './json.js';
import { parseApiObject } from './manifest.js';
import { StoredObjectError } from './shape.js';
import type { KubeObject, NetworkPolicy } from './types.js';

const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's' },
  spec: { ports: [{ port: 80 }], loadBalancerSourceRanges: [] },
};

test('what is written is read back, field by field', () => {
  const record: KubeObject = {
    kind: 'NodeRecord',
    metadata: { name: 'n', namespace: null, uid: null, labels: {}, annotations: {} },
    id: 3,
    addresses: ['192.168.16.3'],
  };
  const objects = [record, parseApiObject(SERVICE)];
  for (let seed = 1; seed <= 200; seed++) {
    objects.push(...randomCluster(new Random(seed)).objects.map(parseApiObject));
  }
  for (const object of objects) {
    const back = fromJson(toJson(object));
    assert.equal(back, object);
    assert.is(toJson(back), toJson(object));
  }
});

test('empty and absent stay apart in every optional list', () => {
  const policy = (spec: object): NetworkPolicy => {
    const value = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'p' },
      spec,
    };
    return fromJson(toJson(parseApiObject(value))) as NetworkPolicy;
  };
  assert.is(policy({}).spec.ingress, undefined);
  assert.equal(policy({ ingress: [] }).spec.ingress, []);
  assert.is(policy({ ingress: [{}] }).spec.ingress?.[0]?.peers, undefined);
  assert.equal(policy({ ingress: [{ from: [] }] }).spec.ingress?.[0]?.peers, []);
  const service = fromJson(toJson(parseApiObject(SERVICE)));
  assert.equal(service.kind === 'Service' && service.spec.loadBalancerSourceRanges, []);
});

test('what is not ours is refused, with the field', () => {
  const good = JSON.parse(toJson(parseApiObject(SERVICE))) as { spec: Record<string, unknown> };
  const refused: readonly (readonly [string, RegExp])[] = [
    ['{', /key: is not JSON/],
    ['{"kind":"Pony"}', /key: is of no known kind/],
    ['{"kind":"constructor"}', /is of no known kind/],
    [JSON.stringify({ ...good, spec: { ...good.spec, type: 'X' } }), /spec\.type: must be one of ClusterIP/],
    [JSON.stringify({ ...good, spec: { ...good.spec, extra: 1 } }), /spec\.extra: unknown field/],
    [JSON.stringify({ ...good, spec: { ...good.spec, ports: null } }), /spec\.ports: must be a list/],
  ];
  for (const [text, message] of refused) {
    assert.throws(
      () => fromJson(text, 'key'),
      (error: unknown) => error instanceof StoredObjectError && message.test(error.message),
      text,
    );
  }
});

test.run();
