/** The scheduler: gives pods a node, by the same rules as a simulation without an API server. */

import type { Planned } from '../../expand.js';
import { schedule } from '../../schedule.js';
import { collectionPath, kindNamed } from '../kinds.js';
import { WorkQueue } from '../queue.js';
import { type Controller, type ControllerParts, controllerOf, create } from './controller.js';

const EVERYTHING = 'pods';
const PARALLEL_BINDINGS = 8;

export class Scheduler implements Controller {
  readonly #queue: WorkQueue;
  #told: ReadonlySet<string> = new Set();
  /** Bound by us, though our watch does not show it yet: `NS/NAME` -> node. */
  readonly #bound = new Map<string, { readonly uid: string | undefined; readonly node: string }>();

  constructor(private readonly parts: ControllerParts) {
    const reconcile = () => this.#reconcile();
    this.#queue = new WorkQueue({ name: 'scheduler', reconcile, parallel: 1, log: parts.log });
    this.#queue.add(EVERYTHING);
    parts.cache.listen(({ kind, object }) => {
      const waits = kind === 'Pod' && object !== null && object.spec?.['nodeName'] === undefined;
      if (waits || kind === 'Node') this.#queue.add(EVERYTHING);
    });
  }

  get idle(): boolean {
    return this.#queue.idle;
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  async #reconcile(): Promise<void> {
    const { cache, log } = this.parts;
    const nodes = cache.typedAll('Node').map(({ metadata: { name, labels } }) => {
      return { name, labels, cordoned: cache.get('Node', name)?.spec?.['unschedulable'] === true };
    });
    if (nodes.every(({ cordoned }) => cordoned)) return;
    const planned: Planned[] = [];
    const waiting = new Set<string>();
    for (const [key, raw] of cache.all('Pod')) {
      const pod = cache.typed(raw);
      if (pod?.kind !== 'Pod' || pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') continue;
      const owner = controllerOf(raw);
      const workload = owner === null ? key : `${pod.metadata.namespace}/${owner.name}`;
      const bound = this.#bound.get(key);
      if (pod.spec.nodeName !== null || bound?.uid !== raw.metadata.uid) this.#bound.delete(key);
      if (pod.spec.nodeName === null) {
        if (raw.metadata.deletionTimestamp !== undefined) continue;
        if (!this.#bound.has(key)) waiting.add(key);
      }
      planned.push({ pod, workload, workloadKind: owner?.kind ?? 'Pod' });
    }
    for (const key of this.#bound.keys()) if (cache.get('Pod', key) === undefined) this.#bound.delete(key);
    if (waiting.size === 0) return;
    planned.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    const known = new Set(nodes.map(({ name }) => name));
    // Pods of nodes that are not there are nobody's to move.
    const ours = planned.filter(({ pod }) => pod.spec.nodeName === null || known.has(pod.spec.nodeName));
    const placed = new Map([...this.#bound].map(([key, { node }]) => [key, node]));
    const { pods, warnings } = schedule(ours, nodes, placed);
    for (const warning of warnings) if (!this.#told.has(warning)) log(warning);
    this.#told = new Set(warnings);
    const bindings = pods.filter((one) => waiting.has(nameOf(one)));
    for (let i = 0; i < bindings.length; i += PARALLEL_BINDINGS) {
      await Promise.all(bindings.slice(i, i + PARALLEL_BINDINGS).map((one) => this.#bind(one)));
    }
  }

  async #bind({ pod }: Planned): Promise<void> {
    const { api, cache } = this.parts;
    const { namespace, name } = pod.metadata;
    const node = pod.spec.nodeName ?? '';
    const path = `${collectionPath(kindNamed('Pod'), namespace ?? 'default')}/${name}/binding`;
    const target = { apiVersion: 'v1', kind: 'Node', name: node };
    const key = `${namespace}/${name}`;
    const uid = cache.get('Pod', key)?.metadata.uid;
    await create(api, path, { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace }, target });
    this.#bound.set(key, { uid, node });
  }
}

function nameOf({ pod }: Planned): string {
  return `${pod.metadata.namespace}/${pod.metadata.name}`;
}
