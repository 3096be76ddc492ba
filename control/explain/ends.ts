/** The two ends of the question: what a person calls them, found in the cluster. */
import { InvalidInputError } from '../common/errors.js';
import { canonicalIp } from '../common/ip.js';
import { refOf } from '../compiler/context.js';
import type { Pod, Service } from '../objects/types.js';
import type { PodRef } from '../ruleset/types.js';
import type { PaperCluster } from './cluster.js';

export interface Place {
  /** As a person calls it. */
  readonly name: string;
  readonly address: string;
  /** The pod, unless it is on the host's network: then it is its node. */
  readonly pod: PodRef | null;
  readonly node: string | null;
  /** Asked for as a pod, which is on its node's network. */
  readonly hostNetwork?: true;
}

export type Target = { readonly place: Place } | { readonly service: Service };

/** Where the connection comes from. Throws InvalidInputError if there is no such thing. */
export function findSource(cluster: PaperCluster, text: string): Place {
  const found = findPlace(cluster, text);
  if (found !== null) return found;
  throw new InvalidInputError('is not a pod, workload, node/NAME or address', {
    object: '--from',
    value: text,
  });
}

export function findTarget(cluster: PaperCluster, text: string): Target {
  const { model } = cluster;
  const [first = '', second = '', third] = text.split('/');
  if (first === 'service' && third !== undefined) {
    const service = model.get('Service', second, third);
    if (service !== undefined) return { service };
  } else {
    const pod = second === '' ? undefined : model.get('Pod', first, second);
    const service =
      pod === undefined && third === undefined ? model.get('Service', first, second) : undefined;
    if (service !== undefined) return { service };
    const place = findPlace(cluster, text);
    if (place !== null) return { place };
  }
  throw new InvalidInputError('is not a pod, Service, workload, node/NAME or address', {
    object: '--to',
    value: text,
  });
}

function findPlace(cluster: PaperCluster, text: string): Place | null {
  const address = ipOrNull(text);
  if (address !== null) return placeAt(cluster, address);
  const [first = '', name = ''] = text.split('/');
  const pod = cluster.model.get('Pod', first, name) ?? cluster.workloads.get(text)?.[0];
  if (pod !== undefined) return placeOf(pod);
  const node = first === 'node' ? cluster.model.nodeRecord(name) : undefined;
  const own = node?.addresses[0];
  return own === undefined ? null : { name: `node ${name}`, address: own, pod: null, node: name };
}

export function placeOf(pod: Pod): Place {
  const ref = refOf(pod);
  const name = `${ref.namespace}/${ref.name}`;
  const [address] = pod.status.podIPs;
  if (address === undefined) throw new InvalidInputError('has no address', { object: `Pod ${name}` });
  const node = pod.spec.nodeName;
  return pod.spec.hostNetwork
    ? { name, address, pod: null, node, hostNetwork: true }
    : { name, address, pod: ref, node };
}

/** Whoever has this address: a pod, a node, or somebody outside. */
export function placeAt(cluster: PaperCluster, address: string): Place {
  for (const pod of cluster.model.podsAt(address)) {
    if (!pod.spec.hostNetwork) return placeOf(pod);
  }
  for (const { metadata, addresses } of cluster.model.all('NodeRecord')) {
    if (addresses.includes(address))
      return { name: `node ${metadata.name}`, address, pod: null, node: metadata.name };
  }
  return { name: address, address, pod: null, node: null };
}

function ipOrNull(text: string): string | null {
  try {
    return canonicalIp(text);
  } catch {
    return null;
  }
}
