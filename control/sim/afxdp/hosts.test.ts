import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EndpointSlice, Pod, Service } from '../../objects/types.js';
import { hostsFile, resolvFile } from './hosts.js';

const metadata = (namespace: string, name: string, labels: Record<string, string> = {}) => ({
  name,
  namespace,
  uid: null,
  labels,
  annotations: {},
});

function service(namespace: string, name: string, spec: Partial<Service['spec']>): Service {
  return {
    kind: 'Service',
    metadata: metadata(namespace, name),
    spec: {
      type: 'ClusterIP',
      clusterIPs: [],
      selector: null,
      ports: [],
      externalIPs: [],
      externalName: null,
      sessionAffinity: 'None',
      sessionAffinityTimeoutSeconds: 10800,
      externalTrafficPolicy: 'Cluster',
      internalTrafficPolicy: 'Cluster',
      allocateLoadBalancerNodePorts: true,
      healthCheckNodePort: null,
      loadBalancerSourceRanges: undefined,
      publishNotReadyAddresses: false,
      trafficDistribution: null,
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ...spec,
    },
    status: { loadBalancer: [] },
  };
}

function pod(namespace: string, name: string, ip: string, subdomain: string | null = null): Pod {
  return {
    kind: 'Pod',
    metadata: metadata(namespace, name),
    spec: {
      nodeName: 'n1',
      hostNetwork: false,
      hostname: subdomain === null ? null : name,
      subdomain,
      nodeSelector: {},
      containers: [],
    },
    status: { phase: 'Running', podIPs: [ip], ready: true, terminating: false },
  };
}

const db = pod('shop', 'db-0', '10.1.1.2', 'db');
const slice: EndpointSlice = {
  kind: 'EndpointSlice',
  metadata: metadata('shop', 'db-x', { 'kubernetes.io/service-name': 'db' }),
  addressType: 'IPv4',
  endpoints: [
    {
      addresses: ['10.1.1.2'],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'n1',
      zone: null,
      hints: null,
      targetRef: { kind: 'Pod', namespace: 'shop', name: 'db-0' },
    },
  ],
  ports: [],
};
const sources = {
  services: [
    service('shop', 'web', { clusterIPs: ['10.96.0.5'] }),
    service('shop', 'db', { clusterIPs: ['None'] }),
    service('ops', 'alias', { type: 'ExternalName', externalName: 'web.shop.svc.cluster.local' }),
    service('ops', 'away', { type: 'ExternalName', externalName: 'example.com' }),
  ],
  slices: [slice],
  pods: [db, pod('shop', 'cart', '10.1.1.3')],
};

test('Services have their short name in their own namespace only', () => {
  const near = hostsFile({ namespace: 'shop', name: 'cart' }, sources);
  const far = hostsFile({ namespace: 'ops', name: 'x' }, sources);
  assert.ok(near.includes('10.96.0.5\tweb.shop.svc.cluster.local web.shop.svc web.shop web\n'));
  assert.ok(far.includes('10.96.0.5\tweb.shop.svc.cluster.local web.shop.svc web.shop\n'));
  assert.ok(near.includes('10.1.1.3\tcart\n'));
});

test('a headless Service is its pods, each with its own name', () => {
  const text = hostsFile({ namespace: 'shop', name: 'cart' }, sources);
  assert.ok(text.includes('10.1.1.2\tdb.shop.svc.cluster.local db.shop.svc db.shop db\n'));
  assert.ok(
    text.includes('10.1.1.2\tdb-0.db.shop.svc.cluster.local db-0.db.shop.svc db-0.db.shop db-0.db\n'),
  );
});

test('an ExternalName is an alias inside the cluster and absent when it points elsewhere', () => {
  const text = hostsFile({ namespace: 'ops', name: 'x' }, sources);
  assert.ok(text.includes('10.96.0.5\talias.ops.svc.cluster.local alias.ops.svc alias.ops alias\n'));
  assert.not.ok(text.includes('away'));
});

test('resolv.conf names the cluster DNS only if there is one', () => {
  const without = resolvFile({ namespace: 'shop', name: 'cart' }, sources);
  assert.not.ok(without.includes('nameserver'));
  assert.ok(without.includes('search shop.svc.cluster.local svc.cluster.local cluster.local\n'));
  const dns = service('kube-system', 'kube-dns', { clusterIPs: ['10.96.0.10'] });
  const withDns = resolvFile(
    { namespace: 'shop', name: 'cart' },
    { ...sources, services: [...sources.services, dns] },
  );
  assert.ok(withDns.startsWith('nameserver 10.96.0.10\n'));
});

test.run();
