/** The namespace controller: empties a namespace that is being deleted, then lets it go. */
import type { CacheChange } from '../cache.js';
import { KINDS, kindNamed, objectPath } from '../kinds.js';
import { WorkQueue } from '../queue.js';
import { type Controller, type ControllerParts, pathOf, remove } from './controller.js';

export class NamespaceController implements Controller {
  readonly #queue: WorkQueue;

  constructor(private readonly parts: ControllerParts) {
    const reconcile = (key: string) => this.#reconcile(key);
    this.#queue = new WorkQueue({ name: 'namespaces', reconcile, parallel: 4, log: parts.log });
    for (const name of parts.cache.all('Namespace').keys()) this.#queue.add(name);
    parts.cache.listen((change) => this.#changed(change));
  }

  get idle(): boolean {
    return this.#queue.idle;
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  #changed({ kind, object, old }: CacheChange): void {
    const { name, namespace } = (object ?? old)?.metadata ?? { name: '' };
    if (kind === 'Namespace') this.#queue.add(name);
    else if (object === null && namespace !== undefined) this.#queue.add(namespace);
  }

  async #reconcile(name: string): Promise<void> {
    const { api, cache } = this.parts;
    const namespace = cache.get('Namespace', name);
    if (namespace?.metadata.deletionTimestamp === undefined) return;
    let left = 0;
    for (const { kind, namespaced } of KINDS) {
      if (!namespaced) continue;
      for (const object of cache.all(kind).values()) {
        if (object.metadata.namespace !== name) continue;
        left++;
        if (object.metadata.deletionTimestamp === undefined) await remove(api, pathOf(kind, object));
      }
    }
    // The last object's end brings us here again.
    if (left > 0) return;
    const path = `${objectPath(kindNamed('Namespace'), undefined, name)}/finalize`;
    await api.replace(path, { ...namespace, apiVersion: 'v1', kind: 'Namespace', spec: { finalizers: [] } });
  }
}
