/**
 * 1,000 NetworkPolicies as a cluster has them, compiled for one node; and, to compare, the access list that one gets who writes a rule
 * for each (peer, port) pair. Deterministic.
 */

import type { ObjectKey, View, VppObject } from '../control/backends/vpp/objects/types.js';
import { DEFAULT_OPTIONS } from '../control/backends/vpp/options.js';
import type { AclBindingSpec } from '../control/backends/vpp/policies/acl-renderer.js';
import { aclRenderer } from '../control/backends/vpp/policies/acl-renderer.js';
import { type AclRule, type AclSpec, aclRule, TCP, UDP } from '../control/backends/vpp/policies/acl-rules.js';
import { prefixClasses } from '../control/backends/vpp/policies/prefix-classes.js';
import { compile } from '../control/compiler/compile.js';
import { compileCluster, localOf } from '../control/compiler/fixture.js';
import { DEFAULT_CONFIG } from '../control/compiler/input.js';
import { parseApiObject } from '../control/objects/manifest.js';
import { Random } from '../control/oracle/random.js';
import type { Raw } from '../control/oracle/raw.js';
import { judge } from '../control/ruleset/evaluate.js';
import type { AddressSetItem, EndpointItem, PolicyItem, Ruleset } from '../control/ruleset/types.js';

export const POLICIES = 1000;
const NAMESPACES = 5;
const PODS = 2000;
const LOCAL = 100;
const PORTS = [80, 443, 5432, 6379, 8080, 8443, 9090, 9092, 9100, 27017];

export interface Flow {
  readonly source: string;
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
}

export interface Workload {
  readonly ruleset: Ruleset;
  readonly endpoint: EndpointItem;
  /** Of the endpoint's pod. */
  readonly address: string;
  /** What may reach the pod, and what may not. */
  readonly allowed: readonly Flow[];
  readonly denied: readonly Flow[];
}

/** The pod whose list is the median of the node's. */
export function workload(flows: number): Workload {
  const random = new Random(1000);
  const objects = clusterObjects(random);
  const { model } = compileCluster(objects.map(parseApiObject), NODES, DEFAULT_CONFIG);
  const ruleset = compile(model, localOf('n1', model.all('Pod')), DEFAULT_CONFIG);
  const endpoints = [...ruleset.values()]
    .filter((item) => item.kind === 'endpoint')
    .filter(({ ingress }) => ingress !== null);
  const sized = endpoints
    .map((endpoint) => ({ endpoint, rules: ourIngress(ruleset, endpoint).length }))
    .sort((a, b) => a.rules - b.rules);
  const endpoint = sized[sized.length >> 1]?.endpoint;
  if (endpoint === undefined) throw new Error('no pod is judged');
  const link = ruleset.get(endpoint.interface);
  const address = link?.kind === 'interface' ? (link.peerAddresses[0] as string) : '';
  const allowed: Flow[] = [];
  const denied: Flow[] = [];
  const addresses = [...ruleset.values()].flatMap((item) =>
    item.kind === 'addressset' ? item.addresses : [],
  );
  while (allowed.length < flows || denied.length < flows) {
    const source = random.chance(0.8)
      ? random.pick(addresses)
      : `192.0.${random.below(256)}.${random.below(256)}`;
    const protocol = random.chance(0.8) ? 'TCP' : 'UDP';
    const port = random.chance(0.9) ? random.pick(PORTS) : random.below(65536);
    const { pod } = endpoint;
    if (source === address) continue;
    const verdict = judge(ruleset, { pod, direction: 'ingress', peer: source, protocol, port });
    if (verdict.by !== 'rule' && verdict.by !== 'isolated') continue;
    const list = verdict.allowed ? allowed : denied;
    if (list.length < flows) list.push({ source, protocol, port });
  }
  return { ruleset, endpoint, address, allowed, denied };
}

const NODES = Array.from({ length: PODS / LOCAL }, (_, i) => ({ name: `n${i + 1}`, id: i + 1 }));

function clusterObjects(random: Random): Raw[] {
  const objects: Raw[] = [];
  for (let n = 0; n < NAMESPACES; n++) {
    objects.push({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: `ns${n}`, labels: { team: `t${n % 3}` } },
    });
  }
  for (let i = 0; i < PODS; i++) {
    const node = 1 + (i % NODES.length);
    const labels = {
      app: `app${random.below(12)}`,
      tier: `tier${random.below(4)}`,
      env: random.pick(['x', 'y']),
    };
    const ip = `10.1.${node}.${2 + Math.floor(i / NODES.length)}`;
    objects.push({
      ...{ apiVersion: 'v1', kind: 'Pod' },
      metadata: { name: `p${i}`, namespace: `ns${i % NAMESPACES}`, uid: `u${i}`, labels },
      spec: { nodeName: `n${node}`, containers: [{ name: 'main' }] },
      status: { phase: 'Running', podIPs: [{ ip }] },
    });
  }
  for (let i = 0; i < POLICIES; i++) objects.push(randomPolicy(random, i));
  return objects;
}

function randomPolicy(random: Random, i: number): Raw {
  const app = (): Raw => ({ matchLabels: { app: `app${random.below(12)}` } });
  const peer = (): Raw => {
    switch (random.below(4)) {
      case 0:
        return { podSelector: app() };
      case 1:
        return { namespaceSelector: { matchLabels: { team: `t${random.below(3)}` } }, podSelector: app() };
      case 2:
        return { podSelector: { matchLabels: { tier: `tier${random.below(4)}` } } };
      default:
        return { ipBlock: randomBlock(random) };
    }
  };
  const ports = random.times(1 + random.below(4), (): Raw => {
    const protocol = random.chance(0.85) ? 'TCP' : 'UDP';
    const port = random.pick(PORTS);
    return random.chance(0.12)
      ? { protocol, port, endPort: port + 1 + random.below(100) }
      : { protocol, port };
  });
  return {
    ...{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
    metadata: { name: `np${i}`, namespace: `ns${i % NAMESPACES}` },
    spec: {
      podSelector: app(),
      policyTypes: ['Ingress'],
      ingress: random.times(1 + random.below(2), () => ({
        from: random.times(1 + random.below(2), peer),
        ...(random.chance(0.95) ? { ports } : {}),
      })),
    },
  };
}

function randomBlock(random: Random): Raw {
  const length = random.pick([16, 18, 20, 22, 24, 26, 28]);
  const value = (0xc0000000 + random.below(65536) * 256 + random.below(256)) >>> 0;
  const cidr = prefix(value, length);
  const except = random.times(random.below(3), () =>
    prefix(
      (value & mask(length)) + random.below(2 ** (32 - length)),
      Math.min(32, length + 1 + random.below(6)),
    ),
  );
  return { cidr, ...(except.length > 0 ? { except: [...new Set(except)].filter((e) => e !== cidr) } : {}) };
}

function mask(length: number): number {
  return (-1 << (32 - length)) >>> 0;
}

function prefix(value: number, length: number): string {
  const v = ((value & mask(length)) >>> 0) >>> 0;
  return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}/${length}`;
}

/** Our rules for packets to the pod, lists joined. */
export function ourIngress(ruleset: Ruleset, endpoint: EndpointItem): readonly AclRule[] {
  const view: View = { options: DEFAULT_OPTIONS, get: (key) => ruleset.get(key), all: () => [] };
  const objects = new Map<ObjectKey, VppObject>();
  const policy = endpoint.ingress === null ? undefined : ruleset.get(endpoint.ingress);
  for (const item of [endpoint, ...(policy === undefined ? [] : [policy])]) {
    for (const object of aclRenderer.render(item, view)) objects.set(object.key, object);
  }
  const binding = [...objects.values()].find(({ kind }) => kind === 'acl-binding')?.spec as AclBindingSpec;
  return binding.output.flatMap((key) => ((objects.get(key) as VppObject).spec as AclSpec).rules);
}

/**
 * The least that tells peers apart: a rule for each IPv4 address that these rules name, whatever the port, then deny. It judges nothing
 * rightly; no list that names the same peers can cost less.
 */
export function addressRules(rules: readonly AclRule[]): AclRule[] {
  const hosts = rules.map(({ source }) => source).filter((cidr) => /^[\d.]+\/32$/.test(cidr));
  return [...[...new Set(hosts)].map((source) => aclRule('reflect', 4, { source })), aclRule('deny', 4)];
}

/**
 * A rule for each (peer, port) pair of each rule, then deny: blocks are cut into prefixes around their exceptions. `destination`: the
 * prefix the rules are for.
 */
export function pairRules(ruleset: Ruleset, policy: PolicyItem, destination: string): AclRule[] {
  const rules: AclRule[] = [];
  for (const { peers, ports } of policy.rules) {
    const sources = (peers ?? []).flatMap((key) => prefixesOf(ruleset.get(key) as AddressSetItem));
    for (const source of peers === null ? ['0.0.0.0/0'] : sources) {
      if (ports === null) rules.push(aclRule('reflect', 4, { source, destination }));
      for (const { protocol, from, to } of ports ?? []) {
        const match = { protocol: protocol === 'UDP' ? UDP : TCP, destinationPorts: [from, to] } as const;
        rules.push(aclRule('reflect', 4, { source, destination, ...match }));
      }
    }
  }
  return [...rules, aclRule('deny', 4, { destination })];
}

/**
 * The same for all pods of the node in one list, each rule for one pod, as who writes one list for all interfaces does; cut after about
 * so many rules, the measured pod's in the middle.
 */
export function nodePairRules({ ruleset, endpoint }: Workload, most: number): AclRule[] {
  const before: AclRule[] = [];
  const after: AclRule[] = [];
  for (const item of ruleset.values()) {
    if (item.kind !== 'endpoint' || item.ingress === null || item === endpoint) continue;
    const list = before.length < most / 2 ? before : after;
    if (before.length + after.length < most) list.push(...pairRulesOf(ruleset, item));
  }
  return [...before, ...pairRulesOf(ruleset, endpoint), ...after];
}

function pairRulesOf(ruleset: Ruleset, endpoint: EndpointItem): AclRule[] {
  const link = ruleset.get(endpoint.interface);
  const policy = ruleset.get(endpoint.ingress ?? '');
  if (link?.kind !== 'interface' || policy?.kind !== 'policy') return [];
  return pairRules(ruleset, policy, `${link.peerAddresses[0]}/32`);
}

/** Disjoint prefixes that cover what the set contains. */
function prefixesOf(set: AddressSetItem): string[] {
  const hosts = set.addresses.filter((address) => !address.includes(':')).map((address) => `${address}/32`);
  const { blocks, hosts: single } = prefixClasses(4, [{ ...set, addresses: [] }]);
  const classes = [...blocks, ...single];
  const inside = classes.filter(({ id }) => id !== '');
  return [
    ...hosts,
    ...inside.flatMap((node) =>
      cut(
        node.cidr,
        classes.filter((other) => other.parent === node && other.id === '').map(({ cidr }) => cidr),
      ),
    ),
  ];
}

function cut(cidr: string, holes: readonly string[]): string[] {
  const outer = parse(cidr);
  const inner = holes.map(parse);
  if (
    inner.some(
      (hole) => hole.length <= outer.length && (outer.value & mask(hole.length)) >>> 0 === hole.value,
    )
  )
    return [];
  if (!inner.some((hole) => (hole.value & mask(outer.length)) >>> 0 === outer.value)) return [cidr];
  const length = outer.length + 1;
  return [outer.value, (outer.value + 2 ** (32 - length)) >>> 0].flatMap((half) =>
    cut(prefix(half, length), holes),
  );
}

function parse(cidr: string): { readonly value: number; readonly length: number } {
  const [address = '', length] = cidr.split('/');
  const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number];
  return { value: ((a << 24) | (b << 16) | (c << 8) | d) >>> 0, length: Number(length) };
}

/** Distinct pairs of prefix lengths and of what is said of the protocol and its ports: a table each, if VPP merges none. */
export function masksOf(rules: readonly AclRule[]): number {
  const port = ([from, to]: readonly [number, number]): string => (from === to ? 'one' : 'any');
  return new Set(
    rules.map((rule) =>
      [
        rule.source.slice(rule.source.indexOf('/')),
        rule.destination.slice(rule.destination.indexOf('/')),
        rule.source.includes(':'),
        rule.protocol !== 0,
        rule.protocol !== 0 && port(rule.sourcePorts),
        rule.protocol !== 0 && port(rule.destinationPorts),
        rule.flags.mask,
      ].join(),
    ),
  ).size;
}
