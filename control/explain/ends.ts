/** The two ends of the question: what a person calls them, found in the cluster, and where they are in one family. */
import { InvalidInputError } from '../common/errors.js';
import { canonicalIp, type Family } from '../common/ip.js';
import { familyOf, refOf } from '../compiler/context.js';
import type { Pod, Service } from '../objects/types.js';
import type { Ip, PodRef } from '../ruleset/types.js';
import type { PaperCluster } from './cluster.js';

/** An end as it is in one family: what a ruleset can be asked about. */
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

/** An end with all the addresses it may be asked at. */
export interface End extends Omit<Place, 'address'> {
  readonly addresses: readonly Ip[];
}

export type Target = { readonly end: End } | { readonly service: Service };

/** Where the connection comes from. Throws InvalidInputError if there is no such thing. */
export function findSource(cluster: PaperCluster, text: string): End {
  const found = findEnd(cluster, text);
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
    const end = findEnd(cluster, text);
    if (end !== null) return { end };
  }
  throw new InvalidInputError('is not a pod, Service, workload, node/NAME or address', {
    object: '--to',
    value: text,
  });
}

function findEnd(cluster: PaperCluster, text: string): End | null {
  const address = ipOrNull(text);
  if (address !== null) return { ...placeAt(cluster, address), addresses: [address] };
  const [first = '', name = ''] = text.split('/');
  const pod = cluster.model.get('Pod', first, name) ?? cluster.workloads.get(text)?.[0];
  if (pod !== undefined) return endOf(pod);
  const node = first === 'node' ? cluster.model.nodeRecord(name) : undefined;
  if (node === undefined || node.addresses.length === 0) return null;
  return { name: `node ${name}`, addresses: node.addresses, pod: null, node: name };
}

function endOf(pod: Pod): End {
  const ref = refOf(pod);
  const [name, node, addresses] = [`${ref.namespace}/${ref.name}`, pod.spec.nodeName, pod.status.podIPs];
  return pod.spec.hostNetwork
    ? { name, addresses, pod: null, node, hostNetwork: true }
    : { name, addresses, pod: ref, node };
}

/** Throws InvalidInputError if it has no address of that family. */
export function placeIn({ addresses, ...end }: End, family: Family): Place {
  const address = addresses.find((ip) => familyOf(ip) === family);
  if (address !== undefined) return { ...end, address };
  throw new InvalidInputError(`has no IPv${family} address`, { object: end.name });
}

/** Throws InvalidInputError if the pod has no address of that family. */
export function placeOf(pod: Pod, family: Family): Place {
  return placeIn(endOf(pod), family);
}

/** Throws InvalidInputError if there is no such node, or it has no address of that family. */
export function placeOfNode({ model }: PaperCluster, node: string, family: Family): Place {
  const addresses = model.nodeRecord(node)?.addresses ?? [];
  return placeIn({ name: `node ${node}`, addresses, pod: null, node }, family);
}

/** Whoever has this address: a pod, a node, or somebody outside. */
export function placeAt(cluster: PaperCluster, address: Ip): Place {
  for (const pod of cluster.model.podsAt(address)) {
    if (!pod.spec.hostNetwork) return placeOf(pod, familyOf(address));
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
