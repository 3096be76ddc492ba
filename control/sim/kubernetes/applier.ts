/** Brings manifests to the API server: what is new or changed is applied, what is no longer there is deleted. */
import { isOwnedBy } from '../expand.js';
import type { ManifestItem, ManifestSet } from '../manifest-set.js';
import type { ApiClient, ApiObject } from './api.js';
import type { ApiCache } from './cache.js';
import { remove } from './controllers/controller.js';
import { applicable, sameDocument } from './documents.js';
import { KINDS, kindNamed, objectPath } from './kinds.js';

/** One change the server has taken; `version` null = deleted. */
export interface Written {
  readonly kind: string;
  readonly key: string;
  readonly version: string | null;
}

const MANAGER = 'pteropus-sim';
const PARALLEL = 16;

/** Kinds that the simulator itself is about. */
const PLAYED: ReadonlySet<string> = new Set(['Node']);

export class Applier {
  /** `KIND NS/NAME` -> what was applied. */
  #applied: ReadonlyMap<string, ApiObject> = new Map();

  constructor(
    private readonly api: ApiClient,
    private readonly cache: ApiCache,
    private readonly spec: { readonly serviceCIDRs: readonly string[]; readonly nodes: readonly string[] },
  ) {}

  /** Throws ApiError naming the object; what was written before stays. */
  async bring(set: ManifestSet): Promise<readonly Written[]> {
    const wanted = this.#wanted(set);
    const written: Written[] = [];
    const namespaces = new Set([...wanted.values()].flatMap(({ metadata }) => metadata.namespace ?? []));
    for (const name of namespaces) {
      if (this.cache.get('Namespace', name) !== undefined || wanted.has(`Namespace ${name}`)) continue;
      const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
      written.push(await this.#apply('Namespace', namespace));
    }
    for (const { kind } of KINDS) {
      const changed = [...wanted].filter(
        ([key, object]) => key.startsWith(`${kind} `) && !sameDocument(this.#applied.get(key), object),
      );
      for (let i = 0; i < changed.length; i += PARALLEL) {
        const some = changed.slice(i, i + PARALLEL);
        written.push(...(await Promise.all(some.map(([, object]) => this.#apply(kind, object)))));
      }
    }
    // In reverse: what lies in a namespace goes before the namespace.
    for (const [key, { metadata }] of [...this.#applied].reverse()) {
      if (wanted.has(key)) continue;
      const kind = key.split(' ')[0] ?? '';
      await remove(this.api, objectPath(kindNamed(kind), metadata.namespace, metadata.name));
      written.push({ kind, key: key.slice(kind.length + 1), version: null });
    }
    this.#applied = wanted;
    return written;
  }

  #wanted(set: ManifestSet): ReadonlyMap<string, ApiObject> {
    const { serviceCIDRs, nodes } = this.spec;
    const workloads = new Set([...set.items].filter(([, item]) => item.object === null).map(([key]) => key));
    const out = new Map<string, ApiObject>();
    for (const [itemKey, item] of set.items) {
      const namespace = itemKey.split('/')[1] ?? '';
      if (isOwnedBy(item.document.value, namespace, workloads) || isPlayed(item)) continue;
      const object = applicable(item, serviceCIDRs, nodes);
      out.set(`${item.document.kind} ${keyOf(object)}`, object);
    }
    return out;
  }

  async #apply(kind: string, object: ApiObject): Promise<Written> {
    const { namespace, name } = object.metadata;
    const path = objectPath(kindNamed(kind), namespace, name);
    const result = (await this.api.apply(path, object, MANAGER)) as unknown as ApiObject;
    return { kind, key: keyOf(object), version: result.metadata.resourceVersion ?? null };
  }
}

function keyOf({ metadata: { namespace, name } }: ApiObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Made by the simulator's own controllers, or over already. */
function isPlayed({ document, object }: ManifestItem): boolean {
  if (PLAYED.has(document.kind)) return true;
  if (object?.kind === 'EndpointSlice')
    return (
      object.metadata.labels['endpointslice.kubernetes.io/managed-by'] === 'endpointslice-controller.k8s.io'
    );
  if (object?.kind !== 'Pod') return false;
  const { phase, terminating } = object.status;
  return phase === 'Succeeded' || phase === 'Failed' || terminating;
}
