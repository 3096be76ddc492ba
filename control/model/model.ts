/** All objects of one cluster, and the indexes that answer the compiler's questions. */
import { NAMESPACE_NAME_LABEL } from '../objects/metadata.js';
import { SERVICE_NAME_LABEL } from '../objects/slice.js';
import type {
  EndpointSlice,
  Kind,
  KubeObject,
  LabelSelector,
  NetworkPolicy,
  NodeRecord,
  ObjectEvent,
  ObjectKey,
  Pod,
  Protocol,
} from '../objects/types.js';
import { objectKey } from '../objects/types.js';
import { getOrMake, LabelIndex, type Labelled } from './label-index.js';
import { ReverseIndex } from './reverse-index.js';
import type { Labels } from './selector.js';

export type ObjectOf<K extends Kind> = Extract<KubeObject, { kind: K }>;

/** A pod under its key: the same as long as the pod is there, whatever becomes of its object. */
export interface PodSlot extends Labelled {
  readonly key: ObjectKey;
  pod: Pod;
}

interface NamespaceSlot extends Labelled {
  readonly name: string;
}

export class Model {
  /** All but pods. */
  private readonly objects = new Map<Kind, Map<ObjectKey, KubeObject>>();
  /** Namespace -> its pods. */
  private readonly pods = new Map<string, LabelIndex<PodSlot>>();
  private readonly slots = new Map<ObjectKey, PodSlot>();
  private readonly namespaces = new Map<string, NamespaceSlot>();
  private readonly namespacesByLabels = new LabelIndex<NamespaceSlot>();
  /** Namespace -> its policies. */
  private readonly policies = new Map<string, Map<ObjectKey, NetworkPolicy>>();
  /** `NAMESPACE/SERVICE` -> its slices. */
  private readonly slices = new ReverseIndex<ObjectKey>();
  private readonly addresses = new ReverseIndex<PodSlot>();
  /** `PROTOCOL/NAME` of a named container port -> the pods that have it. */
  private readonly portNames = new ReverseIndex<PodSlot>();
  private readonly nodeRecords = new Map<string, NodeRecord>();

  /** A model of these objects; of two with one key the later wins. */
  static of(objects: Iterable<KubeObject>): Model {
    const model = new Model();
    for (const object of objects) model.apply({ type: 'put', object });
    return model;
  }

  /** Takes one change in. Deleting what is not there does nothing. */
  apply(event: ObjectEvent): void {
    const { kind, namespace, name } =
      event.type === 'put'
        ? {
            kind: event.object.kind,
            namespace: event.object.metadata.namespace,
            name: event.object.metadata.name,
          }
        : event;
    const key = objectKey(kind, namespace, name);
    if (kind === 'Pod') {
      this.putPod(key, namespace ?? '', event.type === 'put' ? (event.object as Pod) : undefined);
      this.indexNamespace(namespace ?? '');
      return;
    }
    const ofKind = getOrMake(this.objects, kind, () => new Map<ObjectKey, KubeObject>());
    const old = ofKind.get(key);
    if (old !== undefined) {
      this.unindex(key, old);
      if (event.type === 'delete') ofKind.delete(key);
    }
    if (event.type === 'put') {
      ofKind.set(key, event.object);
      this.index(key, event.object);
    }
    if (kind === 'Namespace') this.indexNamespace(name);
  }

  get<K extends Kind>(kind: K, namespace: string | null, name: string): ObjectOf<K> | undefined {
    return this.byKey(kind, objectKey(kind, namespace, name));
  }

  all<K extends Kind>(kind: K): Iterable<ObjectOf<K>> {
    const objects = kind === 'Pod' ? this.allPods() : (this.objects.get(kind)?.values() ?? []);
    return objects as Iterable<ObjectOf<K>>;
  }

  private *allPods(): Iterable<Pod> {
    for (const { pod } of this.slots.values()) yield pod;
  }

  /** Pods of one namespace that the selector matches. */
  *podsOf(namespace: string, selector: LabelSelector): Iterable<Pod> {
    for (const { pod } of this.slotsOf(namespace, selector)) yield pod;
  }

  slotsOf(namespace: string, selector: LabelSelector): Iterable<PodSlot> {
    return this.pods.get(namespace)?.select(selector) ?? [];
  }

  get podCount(): number {
    return this.slots.size;
  }

  slot(key: ObjectKey): PodSlot | undefined {
    return this.slots.get(key);
  }

  /** Names of namespaces whose labels match; a namespace known only from its pods has its name as its one label. */
  *namespacesMatching(selector: LabelSelector): Iterable<string> {
    for (const { name } of this.namespacesByLabels.select(selector)) yield name;
  }

  /** The labels a namespace is selected by; undefined while nothing is known of it. */
  namespaceLabels(name: string): Labels | undefined {
    return this.namespaces.get(name)?.labels ?? undefined;
  }

  policiesOf(namespace: string): Iterable<NetworkPolicy> {
    return this.policies.get(namespace)?.values() ?? [];
  }

  *slicesOf(namespace: string, service: string): Iterable<EndpointSlice> {
    for (const key of this.slices.get(`${namespace}/${service}`)) {
      const slice = this.byKey('EndpointSlice', key);
      if (slice !== undefined) yield slice;
    }
  }

  /** Pods whose status names this address: usually one; host-network pods share their node's. */
  *podsAt(address: string): Iterable<Pod> {
    for (const { pod } of this.slotsAt(address)) yield pod;
  }

  slotsAt(address: string): Iterable<PodSlot> {
    return this.addresses.get(address);
  }

  *podsNamingPort(name: string, protocol: Protocol): Iterable<Pod> {
    for (const { pod } of this.slotsNamingPort(name, protocol)) yield pod;
  }

  slotsNamingPort(name: string, protocol: Protocol): Iterable<PodSlot> {
    return this.portNames.get(`${protocol}/${name}`);
  }

  nodeRecord(node: string): NodeRecord | undefined {
    return this.nodeRecords.get(node);
  }

  private byKey<K extends Kind>(kind: K, key: ObjectKey): ObjectOf<K> | undefined {
    const object = kind === 'Pod' ? this.slots.get(key)?.pod : this.objects.get(kind)?.get(key);
    return object as ObjectOf<K> | undefined;
  }

  /** Pods change all the time, and mostly in nothing that an index is about: what stays is not touched. */
  private putPod(key: ObjectKey, namespace: string, now: Pod | undefined): void {
    let slot = this.slots.get(key);
    const old = slot?.pod;
    if (now !== undefined) {
      if (slot === undefined) {
        slot = { key, pod: now, labels: null, place: 0 };
        this.slots.set(key, slot);
      }
      slot.pod = now;
      getOrMake(this.pods, namespace, () => new LabelIndex<PodSlot>()).put(slot, now.metadata.labels);
    } else {
      if (slot === undefined) return;
      this.slots.delete(key);
      const index = this.pods.get(namespace);
      index?.delete(slot);
      if (index?.size === 0) this.pods.delete(namespace);
    }
    move(this.addresses, slot, old?.status.podIPs ?? NONE, now?.status.podIPs ?? NONE);
    move(this.portNames, slot, portKeys(old), portKeys(now));
  }

  private index(key: ObjectKey, object: KubeObject): void {
    const namespace = object.metadata.namespace ?? '';
    switch (object.kind) {
      case 'NetworkPolicy':
        getOrMake(this.policies, namespace, () => new Map()).set(key, object);
        break;
      case 'EndpointSlice':
        this.slices.add(serviceOf(object), key);
        break;
      case 'NodeRecord':
        this.nodeRecords.set(object.metadata.name, object);
        break;
    }
  }

  private unindex(key: ObjectKey, object: KubeObject): void {
    const namespace = object.metadata.namespace ?? '';
    switch (object.kind) {
      case 'NetworkPolicy':
        remove(this.policies, namespace, key);
        break;
      case 'EndpointSlice':
        this.slices.delete(serviceOf(object), key);
        break;
      case 'NodeRecord':
        this.nodeRecords.delete(object.metadata.name);
        break;
    }
  }

  /** Pods may be known before their namespace is: it then has the label the API server gives every namespace. */
  private indexNamespace(name: string): void {
    const object = this.byKey('Namespace', objectKey('Namespace', null, name));
    const labels = object?.metadata.labels ?? (this.pods.has(name) ? impliedLabels(name) : null);
    const known = this.namespaces.get(name);
    if (labels !== null) {
      const slot = known ?? { name, labels: null, place: 0 };
      if (known === undefined) this.namespaces.set(name, slot);
      this.namespacesByLabels.put(slot, labels);
    } else if (known !== undefined) {
      this.namespaces.delete(name);
      this.namespacesByLabels.delete(known);
    }
  }
}

function impliedLabels(namespace: string): Labels {
  return { [NAMESPACE_NAME_LABEL]: namespace };
}

function serviceOf(slice: EndpointSlice): string {
  return [slice.metadata.namespace ?? '', slice.metadata.labels[SERVICE_NAME_LABEL] ?? ''].join('/');
}

const NONE: readonly string[] = [];

function move(
  index: ReverseIndex<PodSlot>,
  slot: PodSlot,
  before: readonly string[],
  now: readonly string[],
): void {
  if (before.length === now.length && before.every((key, i) => key === now[i])) return;
  for (const key of before) index.delete(key, slot);
  for (const key of now) index.add(key, slot);
}

function portKeys(pod: Pod | undefined): readonly string[] {
  const keys: string[] = [];
  for (const { ports } of pod?.spec.containers ?? []) {
    for (const { name, protocol } of ports) if (name !== null) keys.push(`${protocol}/${name}`);
  }
  return keys;
}

function remove<V>(map: Map<string, Map<V, unknown>>, key: string, member: V): void {
  const members = map.get(key);
  members?.delete(member);
  if (members?.size === 0) map.delete(key);
}
