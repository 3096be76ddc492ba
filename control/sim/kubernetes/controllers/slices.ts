/** The endpoint controller: keeps the EndpointSlices of Services with a selector at what their pods are. */
import { SERVICE_NAME_LABEL } from '../../../objects/slice.js';
import type { EndpointSlice, Pod, Service } from '../../../objects/types.js';
import { endpointSlices } from '../../endpoints.js';
import { matches } from '../../labels.js';
import type { ApiObject } from '../api.js';
import type { CacheChange } from '../cache.js';
import { collectionPath, kindNamed } from '../kinds.js';
import { WorkQueue } from '../queue.js';
import { type Controller, type ControllerParts, controllerOf, create, pathOf, remove } from './controller.js';

const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const CONTROLLER = 'endpointslice-controller.k8s.io';

export class SliceController implements Controller {
  readonly #queue: WorkQueue;
  /** Pods by namespace, as the network reads them. */
  readonly #pods = new Map<string, Map<string, Pod>>();
  readonly #services = new Map<string, Map<string, Service>>();

  constructor(private readonly parts: ControllerParts) {
    const reconcile = (key: string) => this.#reconcile(key);
    this.#queue = new WorkQueue({ name: 'endpoints', reconcile, parallel: 8, log: parts.log });
    for (const kind of ['Service', 'Pod', 'EndpointSlice']) {
      for (const object of parts.cache.all(kind).values()) this.#changed({ kind, object, old: null });
    }
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
    const { namespace = '', name } = at.metadata;
    if (kind === 'Service') {
      const service = object === null ? null : this.parts.cache.typed(object);
      put(this.#services, namespace, name, service?.kind === 'Service' ? service : null);
      this.#queue.add(`${namespace}/${name}`);
    }
    if (kind === 'EndpointSlice' && at.metadata.labels?.[MANAGED_BY] === CONTROLLER) {
      this.#queue.add(`${namespace}/${at.metadata.labels[SERVICE_NAME_LABEL] ?? ''}`);
    }
    if (kind === 'Pod') this.#podChanged(namespace, name, object);
  }

  #podChanged(namespace: string, name: string, object: ApiObject | null): void {
    const old = this.#pods.get(namespace)?.get(name) ?? null;
    const typed = object === null ? null : this.parts.cache.typed(object);
    const pod = typed?.kind === 'Pod' ? typed : null;
    put(this.#pods, namespace, name, pod);
    for (const [service, { spec }] of this.#services.get(namespace) ?? []) {
      const { selector } = spec;
      if (selector === null) continue;
      const selected = [old, pod].some((one) => one !== null && matches(one.metadata.labels, selector));
      if (selected) this.#queue.add(`${namespace}/${service}`);
    }
  }

  async #reconcile(key: string): Promise<void> {
    const { api, cache } = this.parts;
    const [namespace = '', name = ''] = key.split('/');
    const service = this.#services.get(namespace)?.get(name) ?? null;
    const raw = cache.get('Service', key);
    const pods = [...(this.#pods.get(namespace)?.values() ?? [])];
    const wanted = new Map(
      (service === null ? [] : endpointSlices([service], pods, [])).map((slice) => [
        slice.metadata.name,
        slice,
      ]),
    );
    const there = [...cache.all('EndpointSlice').values()].filter(
      ({ metadata }) =>
        metadata.namespace === namespace &&
        metadata.labels?.[SERVICE_NAME_LABEL] === name &&
        metadata.labels[MANAGED_BY] === CONTROLLER,
    );
    for (const slice of there) {
      if (!wanted.has(slice.metadata.name)) await remove(api, pathOf('EndpointSlice', slice));
    }
    for (const slice of wanted.values()) {
      const body = this.#body(slice, raw);
      const old = there.find(({ metadata }) => metadata.name === slice.metadata.name);
      if (old === undefined) await create(api, collectionPath(kindNamed('EndpointSlice'), namespace), body);
      else if (!isSame(old, body)) {
        const { resourceVersion } = old.metadata;
        await api.replace(pathOf('EndpointSlice', old), {
          ...body,
          metadata: { ...body.metadata, resourceVersion },
        });
      }
    }
  }

  /** The slice as the API has it. */
  #body(slice: EndpointSlice, service: ApiObject | undefined) {
    const { name, namespace, labels } = slice.metadata;
    const owner = {
      ...{
        apiVersion: 'v1',
        kind: 'Service',
        name: service?.metadata.name ?? '',
        uid: service?.metadata.uid ?? '',
      },
      ...{ controller: true, blockOwnerDeletion: true },
    };
    return {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, namespace, labels, ...(service === undefined ? {} : { ownerReferences: [owner] }) },
      addressType: slice.addressType,
      endpoints: slice.endpoints.map(({ addresses, conditions, nodeName, targetRef }) => {
        const uid = this.parts.cache.get('Pod', `${namespace}/${targetRef?.name ?? ''}`)?.metadata.uid;
        return {
          addresses,
          conditions,
          ...(nodeName === null ? {} : { nodeName }),
          ...(targetRef === null
            ? {}
            : { targetRef: { ...targetRef, ...(uid === undefined ? {} : { uid }) } }),
        };
      }),
      // The API calls a port without a name ''.
      ports: slice.ports.map(({ name: port, protocol, port: number }) => ({
        name: port ?? '',
        protocol,
        port: number,
      })),
    };
  }
}

interface SliceBody {
  readonly endpoints: readonly object[];
  readonly ports: readonly object[];
}

function isSame(old: ApiObject, next: SliceBody & { readonly metadata: object }): boolean {
  const { endpoints = [], ports = [] } = old as ApiObject & Partial<SliceBody>;
  const owner = controllerOf(old)?.uid;
  const { ownerReferences } = next.metadata as ApiObject['metadata'];
  return (
    owner === ownerReferences?.[0]?.uid &&
    canonical(endpoints) === canonical(next.endpoints) &&
    canonical(ports) === canonical(next.ports)
  );
}

/** Text that does not depend on the order of fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

function put<T>(maps: Map<string, Map<string, T>>, namespace: string, name: string, value: T | null): void {
  const map = maps.get(namespace) ?? new Map<string, T>();
  maps.set(namespace, map);
  if (value === null) map.delete(name);
  else map.set(name, value);
}
