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
import { getOrMake, LabelIndex } from './label-index.js';
import { ReverseIndex } from './reverse-index.js';
import type { Labels } from './selector.js';

export type ObjectOf<K extends Kind> = Extract<KubeObject, { kind: K }>;

/** A pod under its key: the same as long as the pod is there, whatever becomes of its object. */
export interface PodSlot {
  readonly key: ObjectKey;
  pod: Pod;
}

export class Model {
  private readonly objects = new Map<Kind, Map<ObjectKey, KubeObject>>();
  /** Namespace -> its pods. */
  private readonly pods = new Map<string, LabelIndex<PodSlot>>();
  private readonly slots = new Map<ObjectKey, PodSlot>();
  private readonly namespaces = new LabelIndex<string>();
  /** Namespace -> its policies. */
  private readonly policies = new Map<string, Map<ObjectKey, NetworkPolicy>>();
  /** `NAMESPACE/SERVICE` -> its slices. */
  private readonly slices = new Map<string, Map<ObjectKey, EndpointSlice>>();
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
    const ofKind = getOrMake(this.objects, kind, () => new Map<ObjectKey, KubeObject>());
    const old = ofKind.get(key);
    if (old !== undefined) {
      this.unindex(key, old);
      if (event.type === 'delete') {
        ofKind.delete(key);
        this.slots.delete(key);
      }
    }
    if (event.type === 'put') {
      ofKind.set(key, event.object);
      this.index(key, event.object);
    }
    if (kind === 'Namespace') this.indexNamespace(name);
    if (kind === 'Pod') this.indexNamespace(namespace ?? '');
  }

  get<K extends Kind>(kind: K, namespace: string | null, name: string): ObjectOf<K> | undefined {
    return this.byKey(kind, objectKey(kind, namespace, name));
  }

  all<K extends Kind>(kind: K): Iterable<ObjectOf<K>> {
    return (this.objects.get(kind)?.values() ?? []) as Iterable<ObjectOf<K>>;
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
  namespacesMatching(selector: LabelSelector): Iterable<string> {
    return this.namespaces.select(selector);
  }

  /** The labels a namespace is selected by; undefined while nothing is known of it. */
  namespaceLabels(name: string): Labels | undefined {
    return this.namespaces.labelsOf(name);
  }

  policiesOf(namespace: string): Iterable<NetworkPolicy> {
    return this.policies.get(namespace)?.values() ?? [];
  }

  slicesOf(namespace: string, service: string): Iterable<EndpointSlice> {
    return this.slices.get(`${namespace}/${service}`)?.values() ?? [];
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
    return this.objects.get(kind)?.get(key) as ObjectOf<K> | undefined;
  }

  private index(key: ObjectKey, object: KubeObject): void {
    const namespace = object.metadata.namespace ?? '';
    switch (object.kind) {
      case 'Pod': {
        const slot = getOrMake(this.slots, key, () => ({ key, pod: object }));
        slot.pod = object;
        getOrMake(this.pods, namespace, () => new LabelIndex<PodSlot>()).put(slot, object.metadata.labels);
        for (const ip of object.status.podIPs) this.addresses.add(ip, slot);
        for (const port of portKeys(object)) this.portNames.add(port, slot);
        break;
      }
      case 'NetworkPolicy':
        getOrMake(this.policies, namespace, () => new Map()).set(key, object);
        break;
      case 'EndpointSlice':
        getOrMake(this.slices, serviceOf(object), () => new Map()).set(key, object);
        break;
      case 'NodeRecord':
        this.nodeRecords.set(object.metadata.name, object);
        break;
    }
  }

  private unindex(key: ObjectKey, object: KubeObject): void {
    const namespace = object.metadata.namespace ?? '';
    switch (object.kind) {
      case 'Pod': {
        const slot = this.slots.get(key);
        if (slot === undefined) break;
        const index = this.pods.get(namespace);
        index?.delete(slot);
        if (index?.size === 0) this.pods.delete(namespace);
        for (const ip of object.status.podIPs) this.addresses.delete(ip, slot);
        for (const port of portKeys(object)) this.portNames.delete(port, slot);
        break;
      }
      case 'NetworkPolicy':
        remove(this.policies, namespace, key);
        break;
      case 'EndpointSlice':
        remove(this.slices, serviceOf(object), key);
        break;
      case 'NodeRecord':
        this.nodeRecords.delete(object.metadata.name);
        break;
    }
  }

  /** Pods may be known before their namespace is: it then has the label the API server gives every namespace. */
  private indexNamespace(name: string): void {
    const object = this.byKey('Namespace', objectKey('Namespace', null, name));
    if (object !== undefined) this.namespaces.put(name, object.metadata.labels);
    else if (this.pods.has(name)) this.namespaces.put(name, impliedLabels(name));
    else this.namespaces.delete(name);
  }
}

function impliedLabels(namespace: string): Labels {
  return { [NAMESPACE_NAME_LABEL]: namespace };
}

function serviceOf(slice: EndpointSlice): string {
  return `${slice.metadata.namespace ?? ''}/${slice.metadata.labels[SERVICE_NAME_LABEL] ?? ''}`;
}

function portKeys(pod: Pod): readonly string[] {
  const keys: string[] = [];
  for (const { ports } of pod.spec.containers) {
    for (const { name, protocol } of ports) if (name !== null) keys.push(`${protocol}/${name}`);
  }
  return keys;
}

function remove<V>(map: Map<string, Map<V, unknown>>, key: string, member: V): void {
  const members = map.get(key);
  members?.delete(member);
  if (members?.size === 0) map.delete(key);
}
