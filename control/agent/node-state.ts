/** What the agent knows: the cluster's objects, this node's plan and links, and the pods wired here. Plain state, no I/O. */
import { compile } from '../compiler/compile.js';
import type { ClusterConfig, NodeLocal } from '../compiler/input.js';
import { podMtu } from '../compiler/interfaces.js';
import { PodAllocator } from '../ipam/allocator.js';
import type { NodePlan } from '../ipam/arithmetic.js';
import { Model } from '../model/model.js';
import type { KubeObject, NodeRecord, ObjectEvent, Pod } from '../objects/types.js';
import type { PodRef, Ruleset } from '../ruleset/types.js';
import type { JournalState, PodRecord } from './journal.js';
import type { NodeLinks, PodLinkSpec } from './links.js';

export interface NodeIdentity {
  readonly record: NodeRecord;
  readonly plan: NodePlan;
  readonly links: NodeLinks;
}

export function podKey(pod: PodRef): string {
  return `${pod.namespace}/${pod.name}`;
}

export class NodeState {
  readonly addresses: PodAllocator;
  #model: Model;
  readonly #pods = new Map<string, PodRecord>();

  constructor(
    readonly identity: NodeIdentity,
    readonly config: ClusterConfig,
  ) {
    this.addresses = new PodAllocator(identity.plan.podSubnet);
    this.#model = Model.of([identity.record]);
  }

  get model(): Model {
    return this.#model;
  }

  /** Replaces all objects (a resync). */
  reset(objects: Iterable<KubeObject>): void {
    this.#model = Model.of([this.identity.record]);
    for (const object of objects) this.apply({ type: 'put', object });
  }

  /** Takes one change of an object. Pods wired here have the addresses they were given, whatever the object says. */
  apply(event: ObjectEvent): void {
    const { name } = this.identity.record.metadata;
    const target =
      event.type === 'put' ? { kind: event.object.kind, name: event.object.metadata.name } : event;
    // Our own record is what we claimed; the store is put right by a new claim, not believed.
    if (target.kind === 'NodeRecord' && target.name === name) return;
    if (event.type === 'put' && event.object.kind === 'Pod') {
      this.#model.apply({ type: 'put', object: this.#withAddresses(event.object) });
    } else {
      this.#model.apply(event);
    }
  }

  compile(): Ruleset {
    const { record, links } = this.identity;
    const local: NodeLocal = {
      node: record.metadata.name,
      uplink: links.uplink,
      host: links.host,
      attachments: [...this.#pods.values()].map(({ pod, link, mac, podMac, addresses }) => {
        return { pod, link, mac, peerMac: podMac, addresses };
      }),
    };
    return compile(this.#model, local, this.config);
  }

  pods(): readonly PodRecord[] {
    return [...this.#pods.values()];
  }

  pod(ref: PodRef): PodRecord | undefined {
    return this.#pods.get(podKey(ref));
  }

  /** The record of a sandbox; one whose container id is not known is found by its pod's name. */
  sandbox(containerId: string, ifname: string, pod: PodRef | null): PodRecord | undefined {
    const own = this.pods().find((r) => r.containerId === containerId && r.ifname === ifname);
    if (own !== undefined || pod === null) return own;
    const named = this.pod(pod);
    return named?.containerId === null ? named : undefined;
  }

  /** From here on the pod is part of the ruleset, and its addresses are known to every policy. */
  attach(record: PodRecord): void {
    this.#pods.set(podKey(record.pod), record);
    const object = this.#model.get('Pod', record.pod.namespace, record.pod.name);
    if (object !== undefined) this.#model.apply({ type: 'put', object: this.#withAddresses(object) });
  }

  detach(record: PodRecord): void {
    this.#pods.delete(podKey(record.pod));
    const object = this.#model.get('Pod', record.pod.namespace, record.pod.name);
    if (object === undefined) return;
    const podIPs = object.status.podIPs.filter((ip) => !record.addresses.includes(ip));
    this.#model.apply({ type: 'put', object: { ...object, status: { ...object.status, podIPs } } });
  }

  /** Whether the pod's object is known; `earlier`: only that of another pod of the same name is. */
  knows(pod: PodRef, uid: string | null): 'known' | 'unknown' | 'earlier' {
    const object = this.#model.get('Pod', pod.namespace, pod.name);
    if (object === undefined) return 'unknown';
    const same = uid === null || object.metadata.uid === null || object.metadata.uid === uid;
    return same ? 'known' : 'earlier';
  }

  linkSpec({ netns, ifname, link, mac, podMac, addresses }: PodRecord): PodLinkSpec {
    const { gateway } = this.identity.plan;
    return { netns, ifname, link, mac, podMac, addresses, gateway, mtu: podMtu(this.config) };
  }

  journal(): JournalState {
    const { record } = this.identity;
    return { node: record.metadata.name, id: record.id, cursor: this.addresses.cursor, pods: this.pods() };
  }

  #withAddresses(pod: Pod): Pod {
    const { namespace, name } = pod.metadata;
    const record = this.#pods.get(podKey({ namespace: namespace ?? '', name }));
    if (record === undefined) return pod;
    return { ...pod, status: { ...pod.status, podIPs: record.addresses } };
  }
}
