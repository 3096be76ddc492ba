import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { documentOf } from '../../objects/document.js';
import { applicable } from './documents.js';

const CIDR = '10.96.0.0/12';

function applied(value: object): unknown {
  return applicable({ document: documentOf(value), object: null }, [CIDR], ['node-1']);
}

test('what only a server writes is left out', () => {
  const metadata = { name: 'a', labels: { x: 'y' } };
  const written = {
    uid: 'u',
    resourceVersion: '7',
    managedFields: [],
    creationTimestamp: 'now',
    generation: 2,
  };
  assert.equal(
    applied({
      ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { ...metadata, ...written } },
      ...{ spec: { replicas: 2 }, status: { replicas: 2 } },
    }),
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { ...metadata, namespace: 'default' },
      spec: { replicas: 2 },
    },
  );
});

test('what has no namespace gets none', () => {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } };
  assert.equal(applied(namespace), namespace);
});

test("another cluster's addresses and nodes are left out, ours stay", () => {
  const service = (spec: object) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'n' },
    spec,
  });
  const ports = [{ port: 80 }];
  assert.equal(
    applied(service({ clusterIP: '172.20.0.9', clusterIPs: ['172.20.0.9'], ports })),
    service({ ports }),
  );
  for (const kept of [
    { clusterIP: '10.100.0.9', ports },
    { clusterIP: 'None', ports },
    { clusterIP: '', ports },
  ]) {
    assert.equal(applied(service(kept)), service(kept));
  }
  const pod = (spec: object) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n' },
    spec,
  });
  assert.equal(applied(pod({ nodeName: 'ip-10-0-0-1', containers: [] })), pod({ containers: [] }));
  assert.equal(
    applied(pod({ nodeName: 'node-1', containers: [] })),
    pod({ nodeName: 'node-1', containers: [] }),
  );
});

test.run();
