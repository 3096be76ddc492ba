import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { documentOf } from '../objects/document.js';
import { Field } from '../objects/field.js';
import { parseApiObject } from '../objects/manifest.js';
import { parseSelector } from '../objects/policy.js';
import type { KubeObject, LabelSelector, ObjectEvent, Pod } from '../objects/types.js';
import { Random } from '../oracle/random.js';
import { randomCluster, randomSelector } from '../oracle/random-cluster.js';
import { Model } from './model.js';
import { matches, requirementsOf } from './selector.js';

const NAME_LABEL = 'kubernetes.io/metadata.name';

function selectorOf(raw: unknown): LabelSelector {
  return parseSelector(Field.root(documentOf(raw)));
}

/** Everything a model can be asked, found by scanning. */
function expectAll(model: Model, objects: readonly KubeObject[], selectors: readonly LabelSelector[]): void {
  const pods = objects.filter((object): object is Pod => object.kind === 'Pod');
  const names = (list: Iterable<KubeObject>) =>
    [...list].map((o) => `${o.metadata.namespace}/${o.metadata.name}`).sort();
  const namespaces = new Map(
    pods.map(({ metadata }) => [metadata.namespace ?? '', { [NAME_LABEL]: metadata.namespace ?? '' }]),
  );
  for (const object of objects) {
    if (object.kind === 'Namespace')
      namespaces.set(object.metadata.name, { ...object.metadata.labels, [NAME_LABEL]: object.metadata.name });
  }
  for (const selector of selectors) {
    for (const namespace of ['a', 'b', 'c', 'kube-system']) {
      const scanned = pods.filter(
        (pod) => pod.metadata.namespace === namespace && matches(selector, pod.metadata.labels),
      );
      assert.equal(names(model.podsOf(namespace, selector)), names(scanned));
    }
    const scanned = [...namespaces].filter(([, labels]) => matches(selector, labels)).map(([name]) => name);
    assert.equal([...model.namespacesMatching(selector)].sort(), scanned.sort());
  }
  for (const ip of ['10.1.1.2', '10.1.2.2', '192.168.16.1']) {
    assert.equal(names(model.podsAt(ip)), names(pods.filter((pod) => pod.status.podIPs.includes(ip))));
  }
  const naming = pods.filter((pod) =>
    pod.spec.containers.some((c) => c.ports.some((p) => p.name === 'http' && p.protocol === 'UDP')),
  );
  assert.equal(names(model.podsNamingPort('http', 'UDP')), names(naming));
  const policies = objects.filter((o) => o.kind === 'NetworkPolicy' && o.metadata.namespace === 'a');
  assert.equal(names(model.policiesOf('a')), names(policies));
}

test('the indexes answer what a scan would, through any events', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const model = Model.of([]);
    const present = new Map<string, KubeObject>();
    const selectors = random.times(6, () => selectorOf(randomSelector(random)));
    for (let round = 0; round < 3; round++) {
      // The same names again and again, with other contents.
      for (const object of randomCluster(random).objects.map(parseApiObject)) {
        const key = `${object.kind}/${object.metadata.namespace}/${object.metadata.name}`;
        const { kind, metadata } = object;
        const event: ObjectEvent = random.chance(0.3)
          ? { type: 'delete', kind, namespace: metadata.namespace, name: metadata.name }
          : { type: 'put', object };
        model.apply(event);
        if (event.type === 'put') present.set(key, object);
        else present.delete(key);
      }
      expectAll(model, [...present.values()], selectors);
    }
  }
});

test('a selector does not find what an object inherits from JavaScript', () => {
  const exists = selectorOf({ matchExpressions: [{ key: 'constructor', operator: 'Exists' }] });
  assert.not(matches(exists, {}));
  assert.ok(
    matches(selectorOf({ matchExpressions: [{ key: 'constructor', operator: 'NotIn', values: ['a'] }] }), {}),
  );
});

test('selectors of one meaning have one form', () => {
  const a = selectorOf({
    matchLabels: { a: '1' },
    matchExpressions: [{ key: 'b', operator: 'In', values: ['2', '1'] }],
  });
  const b = selectorOf({
    matchExpressions: [
      { key: 'b', operator: 'In', values: ['1', '2', '1'] },
      { key: 'a', operator: 'In', values: ['1'] },
    ],
  });
  assert.equal(requirementsOf(a), requirementsOf(b));
});

test('a namespace known from its pods only goes with the last of them', () => {
  const pod = randomCluster(new Random(1))
    .objects.map(parseApiObject)
    .find((o) => o.kind === 'Pod');
  if (pod === undefined) throw new Error('no pod');
  const everything = selectorOf({});
  const model = Model.of([pod]);
  assert.equal([...model.namespacesMatching(everything)], [pod.metadata.namespace]);
  model.apply({ type: 'delete', kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name });
  assert.equal([...model.namespacesMatching(everything)], []);
});

test.run();
