/**
 * Deployments, StatefulSets, DaemonSets, ReplicaSets and Jobs: makes the pods they want and takes away those they do not.
 * A changed template replaces all pods at once; there is no rollout.
 */
import { createHash } from 'node:crypto';
import { documentOf, isRecord } from '../../../objects/document.js';
import { expandDocuments } from '../../expand.js';
import type { ApiObject } from '../api.js';
import type { CacheChange } from '../cache.js';
import { collectionPath, kindNamed, WORKLOADS } from '../kinds.js';
import { WorkQueue } from '../queue.js';
import { type Controller, type ControllerParts, controllerOf, create, pathOf, remove } from './controller.js';

const KINDS: ReadonlySet<string> = new Set(WORKLOADS.map(({ kind }) => kind));
/** Which template a pod was made of: one that keeps its name (StatefulSet) is replaced when it changes. */
const TEMPLATE = 'sim.pteropus.io/template';

export class WorkloadController implements Controller {
  readonly #queue: WorkQueue;

  constructor(private readonly parts: ControllerParts) {
    const reconcile = (key: string) => this.#reconcile(key);
    this.#queue = new WorkQueue({ name: 'workloads', reconcile, parallel: 8, log: parts.log });
    for (const { kind } of WORKLOADS)
      for (const key of parts.cache.all(kind).keys()) this.#queue.add(`${kind} ${key}`);
    for (const pod of parts.cache.all('Pod').values()) this.#addOwner(pod);
    parts.cache.listen((change) => this.#changed(change));
  }

  get idle(): boolean {
    return this.#queue.idle;
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  #changed({ kind, object, old }: CacheChange): void {
    const at = object ?? old;
    if (at === null) return;
    if (KINDS.has(kind)) this.#queue.add(`${kind} ${at.metadata.namespace}/${at.metadata.name}`);
    if (kind === 'Pod') this.#addOwner(at);
    if (kind === 'Node')
      for (const key of this.parts.cache.all('DaemonSet').keys()) this.#queue.add(`DaemonSet ${key}`);
  }

  #addOwner(pod: ApiObject): void {
    const owner = controllerOf(pod);
    if (owner !== null && KINDS.has(owner.kind))
      this.#queue.add(`${owner.kind} ${pod.metadata.namespace}/${owner.name}`);
  }

  async #reconcile(item: string): Promise<void> {
    const { api, cache } = this.parts;
    const [kind = '', key = ''] = item.split(' ');
    const [namespace = '', name = ''] = key.split('/');
    const workload = cache.get(kind, key);
    const pods = [...cache.all('Pod').values()].filter((pod) => {
      const owner = controllerOf(pod);
      return pod.metadata.namespace === namespace && owner?.kind === kind && owner.name === name;
    });
    const living =
      workload !== undefined && workload.metadata.deletionTimestamp === undefined ? workload : null;
    const wanted = living === null ? new Map<string, object>() : this.#wanted(living, kind);
    for (const pod of pods) {
      if (pod.metadata.deletionTimestamp !== undefined) continue;
      if (wanted.has(pod.metadata.name) && living !== null && isCurrent(pod, living)) continue;
      await remove(api, pathOf('Pod', pod));
    }
    for (const [podName, body] of wanted) {
      // One of the name that still ends is waited for: its end brings us here again.
      if (cache.get('Pod', `${namespace}/${podName}`) !== undefined) continue;
      await create(api, collectionPath(kindNamed('Pod'), namespace), body);
    }
    if (living !== null) await this.#report(living, kind, wanted.size, pods);
  }

  #wanted(workload: ApiObject, kind: string): ReadonlyMap<string, object> {
    const nodes = this.parts.cache.typedAll('Node').map(({ metadata }) => metadata);
    const { apiVersion = '' } = kindNamed(kind);
    const { uid, name } = workload.metadata;
    const owner = { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
    return new Map(
      expandDocuments(documentOf({ apiVersion, ...workload, kind }), nodes).map(({ value }) => {
        const pod = value as ApiObject;
        const annotations = { ...pod.metadata.annotations, [TEMPLATE]: templateOf(workload) };
        const metadata = { ...pod.metadata, annotations, ownerReferences: [owner] };
        return [pod.metadata.name, { ...pod, metadata }];
      }),
    );
  }

  /** What `kubectl get` shows. */
  async #report(
    workload: ApiObject,
    kind: string,
    wanted: number,
    pods: readonly ApiObject[],
  ): Promise<void> {
    const ready = pods.filter((pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined).length;
    const observedGeneration = workload.metadata.generation;
    const replicas = { replicas: pods.length, readyReplicas: ready, observedGeneration };
    const status: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
      Deployment: { ...replicas, updatedReplicas: pods.length, availableReplicas: ready },
      ReplicaSet: { ...replicas, availableReplicas: ready },
      StatefulSet: { ...replicas, availableReplicas: ready, currentReplicas: pods.length },
      DaemonSet: {
        ...{ desiredNumberScheduled: wanted, currentNumberScheduled: pods.length, numberReady: ready },
        ...{ numberAvailable: ready, numberMisscheduled: 0, observedGeneration },
      },
    };
    const next = status[kind];
    if (next === undefined) return;
    const now = workload.status ?? {};
    // A count of none is left out by the server.
    if (Object.entries(next).every(([field, value]) => (now[field] ?? 0) === value)) return;
    await this.parts.api.patch(`${pathOf(kind, workload)}/status`, { status: next });
  }
}

function templateOf(workload: ApiObject): string {
  const text = JSON.stringify(workload.spec?.['template'] ?? null);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function isCurrent(pod: ApiObject, workload: ApiObject): boolean {
  const { uid } = controllerOf(pod) ?? {};
  return uid === workload.metadata.uid && pod.metadata.annotations?.[TEMPLATE] === templateOf(workload);
}

/** Whether the pod's condition Ready is true. */
function isReady(pod: ApiObject): boolean {
  const conditions = pod.status?.['conditions'];
  return (
    Array.isArray(conditions) &&
    conditions.some((one: unknown) => isRecord(one) && one['type'] === 'Ready' && one['status'] === 'True')
  );
}
