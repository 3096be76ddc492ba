/** What every part of one compilation looks at: the node, its peers, and who holds which address. */
import { PteropusError } from '../common/errors.js';
import { NodeIdRangeError, nodeAddresses, planNode } from '../ipam/arithmetic.js';
import type { Model } from '../model/model.js';
import { DATAPLANE_ANNOTATION } from '../objects/stored-keys.js';
import type { Node, NodeRecord, Pod } from '../objects/types.js';
import { compareText } from '../ruleset/canonical.js';
import type { Ip, PodRef } from '../ruleset/types.js';
import { internalAddresses, withoutSharedAddresses } from './host-addresses.js';
import type { Attachment, ClusterConfig, NodeLocal } from './input.js';
import type { NodeView } from './node-view.js';

export interface Context {
  readonly model: Model;
  readonly local: NodeLocal;
  readonly config: ClusterConfig;
  readonly self: NodeView;
  /** All other nodes, by id. */
  readonly peers: readonly NodeView[];
  /** `NAMESPACE/NAME` -> what is wired here. */
  readonly attached: ReadonlyMap<string, Attachment>;
  /** Address -> `NAMESPACE/NAME` of the pod wired here that holds it. */
  readonly holders: ReadonlyMap<Ip, string>;
}

/** The model has no NodeRecord for the node the ruleset is for: it has no id yet. */
export class UnknownNodeError extends PteropusError {}

/** Throws UnknownNodeError, or what `planNode` throws for an id outside the configured ranges. */
export function makeContext(model: Model, local: NodeLocal, config: ClusterConfig): Context {
  const record = model.nodeRecord(local.node);
  if (record === undefined) {
    throw new UnknownNodeError('has no node record', { object: `node ${local.node}`, retryable: true });
  }
  const self = viewOf(model, config, record);
  const peers = [...model.all('NodeRecord')]
    .filter((other) => other.metadata.name !== local.node)
    .flatMap((other) => peerView(model, config, other))
    .sort((a, b) => a.id - b.id || compareText(a.name, b.name));
  return withLocal({ model, config, self, peers: withoutSharedAddresses(self, peers) }, local);
}

/** The same nodes, with other things wired here. */
export function withLocal(
  context: Pick<Context, 'model' | 'config' | 'self' | 'peers'>,
  local: NodeLocal,
): Context {
  const attached = new Map<string, Attachment>();
  const holders = new Map<Ip, string>();
  for (const attachment of local.attachments) {
    const name = refText(attachment.pod);
    attached.set(name, attachment);
    for (const ip of attachment.addresses) holders.set(ip, name);
  }
  return { ...context, local, attached, holders };
}

/** A peer whose id has no place in the ranges cannot be reached; its own agent says so. It must not stop this node. */
function peerView(model: Model, config: ClusterConfig, record: NodeRecord): readonly NodeView[] {
  try {
    return [viewOf(model, config, record)];
  } catch (error) {
    if (error instanceof NodeIdRangeError) return [];
    throw error;
  }
}

interface Viewed {
  readonly node: Node | undefined;
  readonly view: NodeView;
}

/** Objects and configurations are never changed in place, so a view is worked out once, and stays until an address of the node changes. */
const VIEWS = new WeakMap<ClusterConfig, WeakMap<NodeRecord, Viewed>>();

function viewOf(model: Model, config: ClusterConfig, record: NodeRecord): NodeView {
  let views = VIEWS.get(config);
  if (views === undefined) {
    views = new WeakMap();
    VIEWS.set(config, views);
  }
  const node = model.get('Node', null, record.metadata.name);
  const known = views.get(record);
  if (known !== undefined && known.node === node) return known.view;
  const made = makeView(config, record, node);
  const same = known !== undefined && known.view.hostAddresses.join() === made.hostAddresses.join();
  const view = same ? known.view : made;
  views.set(record, { node, view });
  return view;
}

function makeView(config: ClusterConfig, record: NodeRecord, node: Node | undefined): NodeView {
  const plan = planNode(config, record.id);
  const addresses = record.addresses.length > 0 ? record.addresses : nodeAddresses(plan);
  const hostAddresses = internalAddresses(config, node).filter((ip) => !addresses.includes(ip));
  // VPP keeps nothing of a connection that would tell through which tunnel it came.
  const answersByUplink = record.metadata.annotations[DATAPLANE_ANNOTATION] === 'vpp';
  return { name: record.metadata.name, id: record.id, plan, addresses, hostAddresses, answersByUplink };
}

export function refText(pod: PodRef): string {
  return `${pod.namespace}/${pod.name}`;
}

export function refOf(pod: Pod): PodRef {
  return { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name };
}

/**
 * The addresses by which selectors know a pod: none if it is on the host's network or has ended. What is wired here
 * counts more than what a record says, so that a pod that reuses an address inherits nothing from its last holder.
 */
export function podAddresses(context: Context, pod: Pod): readonly Ip[] {
  if (pod.spec.hostNetwork || hasEnded(pod)) return [];
  const name = refText(refOf(pod));
  const attachment = context.attached.get(name);
  if (attachment !== undefined) return attachment.addresses;
  if (pod.spec.nodeName === context.local.node) return [];
  return pod.status.podIPs.filter((ip) => !context.holders.has(ip));
}

export function hasEnded(pod: Pod): boolean {
  return pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';
}

/** All that the node is reached at. */
export function allAddresses({
  addresses,
  hostAddresses,
}: Pick<NodeView, 'addresses' | 'hostAddresses'>): readonly Ip[] {
  return hostAddresses.length === 0 ? addresses : [...addresses, ...hostAddresses];
}

/** The first address of each family, IPv4 first. */
export function firstOfEachFamily(addresses: readonly Ip[]): readonly Ip[] {
  return [4, 6].flatMap((family) => addresses.find((ip) => familyOf(ip) === family) ?? []);
}

/** Of an address in canonical text. */
export function familyOf(address: Ip): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/** Sorted, each once. */
export function sortedSet(texts: Iterable<string>): readonly string[] {
  return [...new Set(texts)].sort(compareText);
}
