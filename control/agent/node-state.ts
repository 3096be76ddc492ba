/** What the agent knows: the cluster's objects, this node's plan and links, and the pods wired here. Plain state, no I/O. */
import { parseIp } from '../common/ip.js';
import { compile } from '../compiler/compile.js';
import { internalAddresses } from '../compiler/host-addresses.js';
import { IncrementalCompiler } from '../compiler/incremental/compiler.js';
import type { Attachment, ClusterConfig, NodeLocal } from '../compiler/input.js';
import { podMtu } from '../compiler/interfaces.js';
import { type NodePlan, plansOf } from '../ipam/arithmetic.js';
import { PodAddresses } from '../ipam/pod-addresses.js';
import { Model } from '../model/model.js';
import type { KubeObject, NodeRecord, ObjectEvent, Pod } from '../objects/types.js';
import { diffRulesets } from '../ruleset/diff.js';
import type { Change, Ip, Key, PodRef, Ruleset } from '../ruleset/types.js';
import type { JournalState, PodRecord } from './journal.js';
import { type NodeLinks, type PodLinkSpec, tapOf } from './links.js';

export interface NodeIdentity {
  readonly record: NodeRecord;
  readonly plan: NodePlan;
  readonly links: NodeLinks;
}

/** The ruleset the data plane should have. */
export interface Wanted {
  /** A view: it changes with the state. */
  readonly ruleset: Ruleset;
  /** What changed in it since it was last asked for; null = it is new altogether. */
  readonly changes: readonly Change[] | null;
}

export function podKey(pod: PodRef): string {
  return `${pod.namespace}/${pod.name}`;
}

export class NodeState {
  readonly addresses: PodAddresses;
  readonly #pods = new Map<string, { readonly record: PodRecord; readonly attachment: Attachment }>();
  #compiler: IncrementalCompiler;
  /** What is wired here, made when it is asked for after a change. */
  #wired: NodeLocal | null = null;
  #changes: Change[] | null = null;

  constructor(
    readonly identity: NodeIdentity,
    readonly config: ClusterConfig,
  ) {
    this.addresses = new PodAddresses(identity.plan);
    this.#compiler = new IncrementalCompiler(Model.of([identity.record]), this.#local(), config);
  }

  get model(): Model {
    return this.#compiler.model;
  }

  /** Where the node is reached: by the underlay, and what Kubernetes knows it by. */
  get nodeAddresses(): readonly Ip[] {
    const { addresses, metadata } = this.identity.record;
    const internal = internalAddresses(this.config, this.model.get('Node', null, metadata.name));
    return [...new Set([...addresses, ...internal])];
  }

  /**
   * Replaces all objects (a resync) and compiles them from scratch. Returns the keys in which the ruleset kept up to date
   * differs from one compiled of the same objects: there should be none.
   */
  reset(objects: Iterable<KubeObject>): readonly Key[] {
    const drifted = diffRulesets(this.#compiler.ruleset, compile(this.model, this.#local(), this.config));
    const events = [...objects].flatMap((object) => this.#believed({ type: 'put', object }));
    const known = events.flatMap((event) => (event.type === 'put' ? [event.object] : []));
    const model = Model.of([this.identity.record, ...known]);
    this.#compiler = new IncrementalCompiler(model, this.#local(), this.config);
    this.#changes = null;
    return drifted.map(({ key }) => key);
  }

  /** See `IncrementalCompiler.anticipate`. */
  anticipate(): boolean {
    return this.#compiler.anticipate();
  }

  /** Takes changes of objects. */
  apply(events: readonly ObjectEvent[]): void {
    this.#take(events.flatMap((event) => this.#believed(event)));
  }

  /** The ruleset the data plane should have, to be read only. A view: it changes with the state. */
  get ruleset(): Ruleset {
    return this.#compiler.ruleset;
  }

  /** The ruleset, and what changed in it since the last call. */
  wanted(): Wanted {
    const changes = this.#changes;
    this.#changes = [];
    return { ruleset: this.#compiler.ruleset, changes };
  }

  pods(): readonly PodRecord[] {
    return [...this.#pods.values()].map(({ record }) => record);
  }

  pod(ref: PodRef): PodRecord | undefined {
    return this.#pods.get(podKey(ref))?.record;
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
    const { pod, link, mac, podMac, addresses, hostPorts, limits } = record;
    const tap = tapOf(record);
    const attachment: Attachment = {
      ...{ pod, link, mac, peerMac: podMac, addresses },
      ...(tap === undefined ? {} : { tap }),
      ...(hostPorts === undefined ? {} : { hostPorts }),
      ...(limits === undefined ? {} : { limits }),
    };
    this.#pods.set(podKey(pod), { record, attachment });
    this.#wired = null;
    const object = this.model.get('Pod', pod.namespace, pod.name);
    this.#take(object === undefined ? [] : [{ type: 'put', object: this.#withAddresses(object) }]);
  }

  detach(record: PodRecord): void {
    this.#pods.delete(podKey(record.pod));
    this.#wired = null;
    const object = this.model.get('Pod', record.pod.namespace, record.pod.name);
    if (object === undefined) {
      this.#take([]);
      return;
    }
    const podIPs = object.status.podIPs.filter((ip) => !record.addresses.includes(ip));
    this.#take([{ type: 'put', object: { ...object, status: { ...object.status, podIPs } } }]);
  }

  /** Whether the pod's object is known; `earlier`: only that of another pod of the same name is. */
  knows(pod: PodRef, uid: string | null): 'known' | 'unknown' | 'earlier' {
    const object = this.model.get('Pod', pod.namespace, pod.name);
    if (object === undefined) return 'unknown';
    const same = uid === null || object.metadata.uid === null || object.metadata.uid === uid;
    return same ? 'known' : 'earlier';
  }

  /** The default gateways of a pod that has these addresses: one of each family it has. */
  gateways(addresses: readonly Ip[]): readonly Ip[] {
    const families = new Set(addresses.map((address) => parseIp(address).family));
    return plansOf(this.identity.plan)
      .map(({ gateway }) => gateway)
      .filter((gateway) => families.has(parseIp(gateway).family));
  }

  linkSpec({ netns, ifname, link, feed = 'afxdp', mac, podMac, addresses }: PodRecord): PodLinkSpec {
    const gateways = this.gateways(addresses);
    return { netns, ifname, link, feed, mac, podMac, addresses, gateways, mtu: podMtu(this.config) };
  }

  journal(): JournalState {
    const { record } = this.identity;
    const { cursors } = this.addresses;
    return { node: record.metadata.name, id: record.id, cursors, pods: this.pods() };
  }

  #take(events: readonly ObjectEvent[]): void {
    const changes = this.#compiler.apply(events, this.#local());
    this.#changes?.push(...changes);
  }

  #local(): NodeLocal {
    const { record, links } = this.identity;
    if (this.#wired !== null) return this.#wired;
    const attachments = [...this.#pods.values()].map(({ attachment }) => attachment);
    this.#wired = { node: record.metadata.name, uplink: links.uplink, host: links.host, attachments };
    return this.#wired;
  }

  /** Pods wired here have the addresses they were given, whatever their objects say. */
  #believed(event: ObjectEvent): readonly ObjectEvent[] {
    const { name } = this.identity.record.metadata;
    const target =
      event.type === 'put' ? { kind: event.object.kind, name: event.object.metadata.name } : event;
    // Our own record is what we claimed; the store is put right by a new claim, not believed.
    if (target.kind === 'NodeRecord' && target.name === name) return [];
    if (event.type === 'delete' || event.object.kind !== 'Pod') return [event];
    return [{ type: 'put', object: this.#withAddresses(event.object) }];
  }

  #withAddresses(pod: Pod): Pod {
    const { namespace, name } = pod.metadata;
    const wired = this.#pods.get(podKey({ namespace: namespace ?? '', name }));
    if (wired === undefined) return pod;
    return { ...pod, status: { ...pod.status, podIPs: wired.record.addresses } };
  }
}
