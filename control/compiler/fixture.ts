/** Whole small clusters for tests: objects in, every node's ruleset and plain verdicts out. */
import { nodeAddresses, planNode } from '../ipam/arithmetic.js';
import { Model } from '../model/model.js';
import { parseApiObject } from '../objects/manifest.js';
import type { KubeObject, NodeRecord, Pod } from '../objects/types.js';
import { type Judgement, judge } from '../ruleset/evaluate.js';
import type { Ip, PodRef, Protocol, Ruleset } from '../ruleset/types.js';
import { compile } from './compile.js';
import { hasEnded } from './context.js';
import { type ClusterConfig, DEFAULT_CONFIG, type NodeLocal } from './input.js';

export interface TestNode {
  readonly name: string;
  readonly id: number;
}

export const NODES: readonly TestNode[] = [1, 2, 3].map((id) => ({ name: `n${id}`, id }));

export interface CompiledCluster {
  readonly model: Model;
  readonly rulesets: ReadonlyMap<string, Ruleset>;
  /** Address -> the pod that holds it, and its node. */
  readonly holders: ReadonlyMap<Ip, { readonly pod: PodRef; readonly node: string }>;
}

export function nodeRecord({ name, id }: TestNode, config: ClusterConfig = DEFAULT_CONFIG): NodeRecord {
  return {
    kind: 'NodeRecord',
    metadata: { name, namespace: null, uid: null, labels: {}, annotations: {} },
    id,
    addresses: nodeAddresses(planNode(config, id)),
  };
}

function isWired(pod: Pod): boolean {
  return !pod.spec.hostNetwork && !hasEnded(pod) && pod.status.podIPs.length > 0;
}

export function refOfPod({ metadata }: Pod): PodRef {
  return { namespace: metadata.namespace ?? '', name: metadata.name };
}

/** A node with these pods wired; links and MACs are made up. */
export function localOf(node: string, pods: Iterable<Pod>): NodeLocal {
  const mine = [...pods].filter((pod) => isWired(pod) && pod.spec.nodeName === node);
  return {
    node,
    uplink: { link: 'eth0', mac: '02:00:00:00:00:01' },
    host: { link: 'ptero0', mac: '02:00:00:00:00:02', peerMac: '02:00:00:00:00:03' },
    attachments: mine.map((pod) => ({
      pod: refOfPod(pod),
      link: `pod-${pod.metadata.name}`,
      mac: '02:00:00:00:01:00',
      peerMac: '02:00:00:00:02:00',
      addresses: pod.status.podIPs,
    })),
  };
}

/** Compiles every node, with all living pods wired on the node they name. */
export function compileCluster(
  objects: readonly KubeObject[],
  nodes: readonly TestNode[] = NODES,
  config: ClusterConfig = DEFAULT_CONFIG,
): CompiledCluster {
  const model = Model.of([...objects, ...nodes.map((node) => nodeRecord(node, config))]);
  const rulesets = nodes.map(
    ({ name }) => [name, compile(model, localOf(name, model.all('Pod')), config)] as const,
  );
  const holders = [...model.all('Pod')].filter(isWired).flatMap((pod) => {
    const holder = { pod: refOfPod(pod), node: pod.spec.nodeName ?? '' };
    return pod.status.podIPs.map((ip) => [ip, holder] as const);
  });
  return { model, rulesets: new Map(rulesets), holders: new Map(holders) };
}

/** As `compileCluster`, from API objects. */
export function clusterOf(...values: readonly unknown[]): CompiledCluster {
  return compileCluster(values.map(parseApiObject));
}

export interface TestPacket {
  readonly from: Ip;
  readonly to: Ip;
  /** null = ICMP. */
  readonly protocol: Protocol | null;
  readonly port: number;
}

/** Both judgements of a packet; null where that end is no pod of the cluster. */
export function judgeBoth(
  { rulesets, holders }: CompiledCluster,
  { from, to, protocol, port }: TestPacket,
): { readonly egress: Judgement | null; readonly ingress: Judgement | null; readonly allowed: boolean } {
  const half = (subject: Ip, peer: Ip, direction: 'ingress' | 'egress'): Judgement | null => {
    const holder = holders.get(subject);
    const ruleset = holder && rulesets.get(holder.node);
    return holder && ruleset ? judge(ruleset, { pod: holder.pod, direction, peer, protocol, port }) : null;
  };
  const egress = half(from, to, 'egress');
  const ingress = half(to, from, 'ingress');
  return { egress, ingress, allowed: egress?.allowed !== false && ingress?.allowed !== false };
}

/** A running pod as the API shows it. */
export function apiPod(
  name: string,
  namespace: string,
  ip: Ip,
  node: string,
  labels: Readonly<Record<string, string>> = {},
  ports: readonly unknown[] = [],
): Readonly<Record<string, unknown>> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: { nodeName: node, containers: [{ name: 'c', ports }] },
    status: { phase: 'Running', podIPs: [{ ip }] },
  };
}

export function apiPolicy(name: string, namespace: string, spec: unknown): Readonly<Record<string, unknown>> {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name, namespace }, spec };
}

export function apiNamespace(
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Readonly<Record<string, unknown>> {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}
