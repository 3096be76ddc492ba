/**
 * The clusters the compiler is measured on, as the API would show them (plain JSON objects), made one after the other so that none
 * need be kept. Deterministic: the same shape and size give the same objects.
 */
import type { Raw } from '../control/oracle/raw.js';

export type ShapeName = 'namespaces' | 'one-namespace' | 'overlap' | 'services' | 'wide-service' | 'blocks';

/** A pod of a shape, before it is put into an API object. */
export interface PodSpec {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly ip: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Shape {
  readonly name: ShapeName;
  /** One line for a person. */
  readonly text: string;
  readonly pods: number;
  pod(i: number): PodSpec;
  namespaces(): Iterable<Raw>;
  policies: number;
  policy(i: number, version: number): Raw | null;
  services: number;
  service(i: number): Raw;
  slices: number;
  slice(i: number, version: number): Raw;
}

/** The node the ruleset is for, and how many pods it runs. */
export const HERE = 'node-1';
export const LOCAL_PODS = 110;

const POD_BITS = 0x0a010000;

/** 10.1.0.0 and on. */
export function podIp(i: number): string {
  const v = POD_BITS + 256 + i;
  return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`;
}

export function apiPod({ name, namespace, node, ip, labels }: PodSpec): Raw {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, uid: `uid-${namespace}-${name}`, labels },
    spec: {
      nodeName: node,
      containers: [
        {
          name: 'main',
          ports: [
            { name: 'http', containerPort: 8080 },
            { name: 'metrics', containerPort: 9090 },
          ],
        },
      ],
    },
    status: { phase: 'Running', podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

export function apiNamespace(name: string, labels: Readonly<Record<string, string>>): Raw {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

function policy(name: string, namespace: string, spec: Raw): Raw {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name, namespace }, spec };
}

const labels = (matchLabels: Readonly<Record<string, string>>) => ({ matchLabels });
const tcp = (port: number | string) => [{ protocol: 'TCP', port }];

/** Of `count` pods, `LOCAL_PODS` here, evenly spread, the others on 1,000 nodes. */
function nodeOf(i: number, count: number): string {
  let every = Math.max(1, Math.floor(count / LOCAL_PODS));
  // Coprime to the number of namespaces (a power of ten, or its half): else the node's pods share few of them at one size and not at
  // another, and the sizes could not be compared.
  while (every % 2 === 0 || every % 5 === 0) every--;
  return i % every === 0 && i / every < LOCAL_PODS ? HERE : `node-${2 + (i % 1000)}`;
}

const NO_SERVICES = { services: 0, service: () => ({}), slices: 0, slice: () => ({}) };

/** (a) Namespaces of 4 pods and 3 policies each: default deny, web from the ingress namespaces, db from the namespace's own api. */
function manyNamespaces(pods: number): Shape {
  const count = pods / 4;
  const roles = ['web', 'api', 'db', 'job'] as const;
  const ns = (i: number): string => `ns-${i}`;
  return {
    name: 'namespaces',
    text: `${group(count)} namespaces x 4 pods, ${group(count * 3)} policies`,
    pods,
    pod: (i) => {
      const role = roles[i % 4] ?? 'web';
      const n = i >> 2;
      return {
        name: role,
        namespace: ns(n),
        node: nodeOf(i, pods),
        ip: podIp(i),
        labels: { app: role, team: `t${n % 100}`, version: 'v1' },
      };
    },
    *namespaces() {
      for (let i = 0; i < count; i++) {
        yield apiNamespace(ns(i), { team: `t${i % 100}`, ingress: i % 1000 === 7 ? 'yes' : 'no' });
      }
    },
    policies: count * 3,
    policy: (i, version) => {
      const namespace = ns(Math.floor(i / 3));
      const port = 8080 + (version % 16);
      if (i % 3 === 0) {
        const dns = {
          to: [{ namespaceSelector: {} }],
          ports: [{ protocol: 'UDP', port: 53 + (version % 16) }],
        };
        return policy('default', namespace, { podSelector: {}, ingress: [], egress: [dns] });
      }
      if (i % 3 === 1) {
        return policy('web', namespace, {
          podSelector: labels({ app: 'web' }),
          ingress: [{ from: [{ namespaceSelector: labels({ ingress: 'yes' }) }], ports: tcp(port) }],
        });
      }
      return policy('db', namespace, {
        podSelector: labels({ app: 'db' }),
        ingress: [
          { from: [{ podSelector: labels({ app: 'api' }) }], ports: tcp(version % 2 ? 'http' : port) },
        ],
      });
    },
    ...NO_SERVICES,
  };
}

/** (b) One namespace; each policy is about one application of ten pods, and lets another one in. */
function oneNamespace(pods: number): Shape {
  const apps = pods / 10;
  return {
    name: 'one-namespace',
    text: `1 namespace, ${group(pods)} pods, ${group(pods)} policies`,
    pods,
    pod: (i) => ({
      name: `p${i}`,
      namespace: 'big',
      node: nodeOf(i, pods),
      ip: podIp(i),
      labels: { app: `a${i % apps}`, tier: `t${i % 7}` },
    }),
    *namespaces() {
      yield apiNamespace('big', {});
    },
    policies: pods,
    policy: (i, version) =>
      policy(`np${i}`, 'big', {
        podSelector: labels({ app: `a${i % apps}` }),
        ingress: [
          {
            from: [{ podSelector: labels({ app: `a${(i * 7 + 3) % apps}` }) }],
            ports: tcp(8000 + (version % 16)),
          },
        ],
      }),
    ...NO_SERVICES,
  };
}

/** (c) 10,000 policies whose selectors overlap: by application, tier, environment and team, inside and across namespaces. */
function overlapping(pods: number): Shape {
  const apps = 1000;
  const namespaces = 100;
  const team = (i: number): string => `team${i % 50}`;
  const subject = (i: number): Raw =>
    [
      labels({ tier: `t${mix(i, 5) % 5}` }),
      labels({ team: team(mix(i, 4)) }),
      {
        matchExpressions: [
          { key: 'team', operator: 'In', values: [0, 1, 2, 3].map((n) => team(mix(i, 4) + n)) },
        ],
      },
    ][mix(i, 6) % 3] ?? {};
  const peers = (i: number): readonly Raw[] => [
    {
      podSelector: labels({ tier: `t${mix(i, 7) % 5}`, team: team(mix(i, 8)) }),
      namespaceSelector: labels({ env: `e${mix(i, 9) % 3}` }),
    },
    {
      podSelector: {
        matchExpressions: [
          { key: 'team', operator: 'In', values: [team(mix(i, 10)), team(mix(i, 10) + 1)] },
          { key: 'tier', operator: 'NotIn', values: [`t${mix(i, 11) % 5}`] },
        ],
      },
      namespaceSelector: {},
    },
    { podSelector: labels({ app: `a${mix(i, 12) % apps}` }), namespaceSelector: {} },
  ];
  return {
    name: 'overlap',
    text: `${group(pods)} pods, 10,000 policies with selectors that overlap`,
    pods,
    pod: (i) => ({
      name: `p${i}`,
      namespace: `ns-${i % namespaces}`,
      node: nodeOf(i, pods),
      ip: podIp(i),
      labels: { app: `a${mix(i, 1) % apps}`, tier: `t${mix(i, 2) % 5}`, team: `team${mix(i, 3) % 50}` },
    }),
    *namespaces() {
      for (let i = 0; i < namespaces; i++) yield apiNamespace(`ns-${i}`, { env: `e${i % 3}` });
    },
    policies: 10_000,
    policy: (i, version) =>
      policy(`np${i}`, `ns-${i % namespaces}`, {
        podSelector: subject(i),
        ingress: [{ from: peers(i), ports: tcp(8000 + (version % 16)) }],
      }),
    ...NO_SERVICES,
  };
}

/** (d) Services of several kinds, a slice each. */
function manyServices(services: number, endpoints: number): Shape {
  const each = endpoints / services;
  const name = (i: number): string => `svc-${i}`;
  const ns = (i: number): string => `ns-${i % 200}`;
  const vip = (i: number): string => `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
  const first = (i: number): number => Math.floor(i * each);
  return {
    name: 'services',
    text: `${group(services)} services, ${group(endpoints)} endpoints`,
    pods: LOCAL_PODS,
    pod: (i) => ({ name: `p${i}`, namespace: ns(i), node: HERE, ip: podIp(i), labels: { app: 'x' } }),
    *namespaces() {
      for (let i = 0; i < 200; i++) yield apiNamespace(ns(i), {});
    },
    policies: 0,
    policy: () => null,
    services,
    service: (i) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: name(i), namespace: ns(i) },
      spec: {
        type: i % 100 === 0 ? 'NodePort' : 'ClusterIP',
        clusterIP: vip(i + 1),
        selector: { app: name(i) },
        ports: [
          {
            name: 'http',
            port: 80,
            targetPort: 8080,
            ...(i % 100 === 0 ? { nodePort: 30000 + i / 100 } : {}),
          },
        ],
      },
    }),
    slices: services,
    slice: (i, version) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name(i)}-x`, namespace: ns(i), labels: { 'kubernetes.io/service-name': name(i) } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: Array.from({ length: first(i + 1) - first(i) }, (_, e) => ({
        addresses: [podIp(first(i) + e)],
        conditions: { ready: e > 0 || version % 2 === 0 },
        nodeName: `node-${(i + e) % 1000}`,
        zone: `z${(i + e) % 3}`,
        targetRef: { kind: 'Pod', name: `p${first(i) + e}`, namespace: ns(i) },
      })),
    }),
  };
}

/** (f) One Service of many ports, whose endpoints are in slices of a hundred. */
function wideService(ports: number, endpoints: number): Shape {
  const all = Array.from({ length: ports }, (_, p) => ({ name: `p${p}`, protocol: 'TCP' }));
  return {
    name: 'wide-service',
    text: `a service of ${group(ports)} ports, ${group(endpoints)} endpoints`,
    pods: LOCAL_PODS,
    pod: (i) => ({ name: `p${i}`, namespace: 'wide', node: HERE, ip: podIp(i), labels: { app: 'x' } }),
    *namespaces() {
      yield apiNamespace('wide', {});
    },
    policies: 0,
    policy: () => null,
    services: 1,
    service: () => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'wide', namespace: 'wide' },
      spec: {
        ...{ type: 'ClusterIP', clusterIP: '10.96.0.9', selector: { app: 'x' } },
        ports: all.map((port, p) => ({ ...port, port: 1000 + p, targetPort: 8000 + p })),
      },
    }),
    slices: Math.ceil(endpoints / SLICE),
    slice: (i, version) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `wide-${i}`, namespace: 'wide', labels: { 'kubernetes.io/service-name': 'wide' } },
      addressType: 'IPv4',
      ports: all.map((port, p) => ({ ...port, port: 8000 + p })),
      endpoints: Array.from({ length: Math.min(SLICE, endpoints - i * SLICE) }, (_, e) => ({
        addresses: [podIp(i * SLICE + e)],
        conditions: { ready: e !== version % SLICE },
        nodeName: `node-${(i * SLICE + e) % 1000}`,
        targetRef: { kind: 'Pod', name: `p${i * SLICE + e}`, namespace: 'wide' },
      })),
    }),
  };
}

/** Endpoints that Kubernetes puts into a slice. */
const SLICE = 100;

/** (e) Policies that list thousands of blocks, each with excepts. */
function manyBlocks(blocks: number): Shape {
  return {
    name: 'blocks',
    text: `a policy of ${group(blocks)} ipBlocks with 2 excepts each`,
    pods: LOCAL_PODS,
    pod: (i) => ({
      name: `p${i}`,
      namespace: 'edge',
      node: HERE,
      ip: podIp(i),
      labels: { app: `a${i % 10}` },
    }),
    *namespaces() {
      yield apiNamespace('edge', {});
    },
    policies: 1,
    policy: (_i, version) =>
      policy('allow-list', 'edge', {
        podSelector: {},
        policyTypes: ['Egress'],
        egress: [
          {
            to: Array.from({ length: blocks }, (_, b) => {
              const at = `${20 + (b >> 8)}.${b & 255}`;
              const moved = b === version % blocks && version > 0 ? 128 : 0;
              return { ipBlock: { cidr: `${at}.0.0/16`, except: [`${at}.${moved}.0/24`, `${at}.5.16/28`] } };
            }),
          },
        ],
      }),
    ...NO_SERVICES,
  };
}

export function shapeOf(name: ShapeName, size: number, endpoints: number): Shape {
  switch (name) {
    case 'namespaces':
      return manyNamespaces(size);
    case 'one-namespace':
      return oneNamespace(size);
    case 'overlap':
      return overlapping(size);
    case 'services':
      return manyServices(size, endpoints);
    case 'wide-service':
      return wideService(size, endpoints);
    case 'blocks':
      return manyBlocks(size);
  }
}

/** All objects of a shape, in the order in which a watch would list them by kind. */
export function* objectsOf(shape: Shape): Iterable<Raw> {
  yield* shape.namespaces();
  for (let i = 0; i < shape.pods; i++) yield apiPod(shape.pod(i));
  for (let i = 0; i < shape.policies; i++) {
    const raw = shape.policy(i, 0);
    if (raw !== null) yield raw;
  }
  for (let i = 0; i < shape.services; i++) yield shape.service(i);
  for (let i = 0; i < shape.slices; i++) yield shape.slice(i, 0);
}

/** Spreads numbers, so that labels do not go hand in hand. */
function mix(i: number, salt: number): number {
  let x = Math.imul(i + 1, 0x9e3779b1) + Math.imul(salt, 0x632be5ab);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

function group(n: number): string {
  return n.toLocaleString('en-US');
}
