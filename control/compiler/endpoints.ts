/** The endpoints behind one port of a Service, and which of them get traffic. */
import type { Model } from '../model/model.js';
import { parseWeight, WEIGHT_ANNOTATION } from '../model/problems.js';
import type { Endpoint, EndpointSlice, Pod, Service, ServicePort } from '../objects/types.js';
import { compareText } from '../ruleset/canonical.js';
import type { Ip, PodRef, ServiceBackend } from '../ruleset/types.js';
import { type Context, familyOf } from './context.js';
import { ZONE_LABEL } from './topology.js';

export { parseWeight, WEIGHT_ANNOTATION };

export interface Candidate {
  readonly address: Ip;
  readonly port: number;
  readonly ready: boolean;
  /** Shutting down, but still answering: used where nothing is ready. */
  readonly draining: boolean;
  readonly node: string | null;
  readonly pod: PodRef | null;
  /** Relative share of the traffic. */
  readonly weight: number;
  readonly zone: string | null;
  /** Where its traffic should come from; null = the slice does not say. */
  readonly hints: Endpoint['hints'];
}

/**
 * All endpoints of a port, its slices merged, in order of address. A slice's port belongs to the Service's port of the same
 * name and protocol. An endpoint that is in two slices (it is being moved) counts once, as the readier of the two.
 */
export function candidatesOf(
  { model }: Pick<Context, 'model'>,
  service: Service,
  port: ServicePort,
  family: 4 | 6,
): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  const type: EndpointSlice['addressType'] = family === 4 ? 'IPv4' : 'IPv6';
  const slices = [...model.slicesOf(service.metadata.namespace ?? '', service.metadata.name)]
    .filter((slice) => slice.addressType === type)
    .sort((a, b) => compareText(a.metadata.name, b.metadata.name));
  for (const slice of slices) {
    const ports = slice.ports.filter(
      ({ name, protocol }) => name === port.name && protocol === port.protocol,
    );
    for (const { port: number } of ports) {
      if (number === null) continue;
      for (const endpoint of slice.endpoints) {
        const candidate = candidateOf(model, service, endpoint, number);
        if (candidate === null || familyOf(candidate.address) !== family) continue;
        const key = `${candidate.address} ${number}`;
        const other = found.get(key);
        if (other === undefined || rank(candidate) > rank(other)) found.set(key, candidate);
      }
    }
  }
  return [...found.values()].sort((a, b) => compareText(a.address, b.address) || a.port - b.port);
}

function candidateOf(model: Model, service: Service, endpoint: Endpoint, port: number): Candidate | null {
  // The API leaves the meaning of further addresses open; every proxy takes the first.
  const [address] = endpoint.addresses;
  if (address === undefined) return null;
  const { conditions, targetRef, nodeName, zone, hints } = endpoint;
  const pod =
    targetRef?.kind === 'Pod'
      ? { namespace: targetRef.namespace ?? service.metadata.namespace ?? '', name: targetRef.name }
      : null;
  return {
    address,
    port,
    ready: conditions.ready,
    draining: conditions.serving && conditions.terminating,
    node: nodeName,
    pod,
    weight: pod === null ? 1 : weightOf(model.get('Pod', pod.namespace, pod.name)),
    zone: zone ?? zoneOf(model, nodeName),
    hints,
  };
}

function weightOf(pod: Pod | undefined): number {
  return parseWeight(pod?.metadata.annotations[WEIGHT_ANNOTATION]) ?? 1;
}

/** The zone a node is labelled with. */
export function zoneOf(model: Model, node: string | null): string | null {
  const labels = node === null ? undefined : model.get('Node', null, node)?.metadata.labels;
  return labels?.[ZONE_LABEL] || null;
}

function rank({ ready, draining }: Candidate): number {
  return ready ? 2 : draining ? 1 : 0;
}

/** The ready ones; if there is none, those that still serve while they terminate. */
export function usable(candidates: readonly Candidate[]): readonly ServiceBackend[] {
  const ready = candidates.filter((candidate) => candidate.ready);
  const chosen = ready.length > 0 ? ready : candidates.filter((candidate) => candidate.draining);
  return chosen.map(({ address, port, node, pod, weight }) => ({ address, port, weight, pod, node }));
}

export function onNode(candidates: readonly Candidate[], node: string): readonly Candidate[] {
  return candidates.filter((candidate) => candidate.node === node);
}
