/**
 * The kubelets of all simulated nodes: pods bound to them become namespaces and processes, wired by the CNI program, and
 * what became of them is reported to the API. A pod is ready when it runs and its readiness gates are met.
 */
import { isRecord } from '../../../objects/document.js';
import type { Pod } from '../../../objects/types.js';
import type { PodRef } from '../../../ruleset/types.js';
import type { ApiObject, Json } from '../api.js';
import type { CacheChange } from '../cache.js';
import { WorkQueue } from '../queue.js';
import { type Controller, type ControllerParts, pathOf, remove } from './controller.js';

/** What makes and removes the sandbox of a pod: the driver. */
export interface Sandboxes {
  addPod(pod: Pod): Promise<readonly string[]>;
  removePod(pod: PodRef): Promise<void>;
}

export interface KubeletSpec {
  readonly sandboxes: Sandboxes;
  /** Node -> its addresses on the underlay. */
  readonly nodes: ReadonlyMap<string, readonly string[]>;
}

interface Running {
  readonly uid: string;
  readonly ips: readonly string[];
  readonly since: string;
}

/** A pod that was told to end and may still serve. */
interface Draining {
  readonly uid: string;
  /** Clock of this process, milliseconds. */
  readonly until: number;
  readonly timer: NodeJS.Timeout;
}

/** Side by side; the driver bounds how many are wired at a time. */
const PARALLEL = 16;

export class Kubelet implements Controller {
  readonly #queue: WorkQueue;
  readonly #running = new Map<string, Running>();
  readonly #draining = new Map<string, Draining>();

  constructor(
    private readonly parts: ControllerParts,
    private readonly spec: KubeletSpec,
  ) {
    const reconcile = (key: string) => this.#reconcile(key);
    this.#queue = new WorkQueue({ name: 'kubelet', reconcile, parallel: PARALLEL, log: parts.log });
    for (const key of parts.cache.all('Pod').keys()) this.#queue.add(key);
    parts.cache.listen((change) => this.#changed(change));
  }

  get idle(): boolean {
    return this.#queue.idle;
  }

  /** Whether the pod runs, and the API says so: an address of an earlier kubelet's sandbox is somebody else's now. */
  runs(key: string, { metadata, status }: ApiObject): boolean {
    const running = this.#running.get(key);
    return running?.uid === metadata.uid && running?.ips[0] === status?.['podIP'];
  }

  close(): Promise<void> {
    for (const { timer } of this.#draining.values()) clearTimeout(timer);
    return this.#queue.close();
  }

  #changed({ kind, object, old }: CacheChange): void {
    if (kind !== 'Pod') return;
    const { metadata, spec } = object ?? old ?? {};
    if (metadata !== undefined && spec?.['nodeName'] !== undefined)
      this.#queue.add(`${metadata.namespace}/${metadata.name}`);
  }

  async #reconcile(key: string): Promise<void> {
    const { api, cache } = this.parts;
    const raw = cache.get('Pod', key);
    const running = this.#running.get(key);
    if (raw !== undefined && running?.uid === raw.metadata.uid && this.#drains(key, raw)) return;
    const ended = raw === undefined || isOver(raw) || raw.metadata.deletionTimestamp !== undefined;
    if (running !== undefined && (ended || raw.metadata.uid !== running.uid)) {
      const [namespace = '', name = ''] = key.split('/');
      await this.spec.sandboxes.removePod({ namespace, name });
      this.#running.delete(key);
      this.#draining.delete(key);
    }
    const addresses = this.spec.nodes.get(String(raw?.spec?.['nodeName']));
    if (raw === undefined || addresses === undefined) return;
    if (raw.metadata.deletionTimestamp !== undefined) {
      await remove(api, pathOf('Pod', raw), 0);
      return;
    }
    if (isOver(raw)) return;
    const now = await this.#start(key, raw);
    if (now === null) return;
    const status = statusOf(raw, now, addresses);
    if (covers(raw.status, status)) return;
    await api.patch(`${pathOf('Pod', raw)}/status`, { status: replacing(status) }, 'strategic');
  }

  /** Whether it was told to end and its preStop hook still runs; then this looks at it again when that is over. */
  #drains(key: string, { metadata, spec }: ApiObject): boolean {
    if (metadata.deletionTimestamp === undefined) return false;
    const known = this.#draining.get(key);
    if (known !== undefined && known.uid === metadata.uid) return performance.now() < known.until;
    const millis = 1000 * Math.min(preStopSeconds(spec), metadata.deletionGracePeriodSeconds ?? 0);
    if (millis === 0) return false;
    const timer = setTimeout(() => this.#queue.add(key), millis + 1);
    this.#draining.set(key, { uid: metadata.uid ?? '', until: performance.now() + millis, timer });
    return true;
  }

  /** The running pod, started if it was not; null where it cannot be understood. */
  async #start(key: string, raw: ApiObject): Promise<Running | null> {
    const known = this.#running.get(key);
    if (known !== undefined) return known;
    const pod = this.parts.cache.typed(raw);
    if (pod?.kind !== 'Pod') return null;
    const ips = await this.spec.sandboxes.addPod(pod);
    const running = { uid: raw.metadata.uid ?? '', ips, since: `${new Date().toISOString().slice(0, 19)}Z` };
    this.#running.set(key, running);
    return running;
  }
}

function isOver({ status }: ApiObject): boolean {
  return status?.['phase'] === 'Succeeded' || status?.['phase'] === 'Failed';
}

/** What the kubelet has to say about a pod that runs. */
function statusOf(raw: ApiObject, { ips, since }: Running, hostIPs: readonly string[]): Json {
  const containers = listOf(raw.spec?.['containers']);
  const ready = gatesMet(raw);
  const condition = (type: string, met: boolean, reason?: string) => ({
    ...{ type, status: met ? 'True' : 'False' },
    ...(reason === undefined ? {} : { reason }),
  });
  return {
    phase: 'Running',
    podIP: ips[0],
    podIPs: ips.map((ip) => ({ ip })),
    hostIP: hostIPs[0],
    hostIPs: hostIPs.map((ip) => ({ ip })),
    startTime: since,
    conditions: [
      condition('PodReadyToStartContainers', true),
      condition('Initialized', true),
      condition('ContainersReady', true),
      ready ? condition('Ready', true) : condition('Ready', false, 'ReadinessGatesNotReady'),
    ],
    containerStatuses: containers.map(({ name, image }) => ({
      ...{ name, image, imageID: '', ready: true, started: true, restartCount: 0 },
      state: { running: { startedAt: since } },
    })),
  };
}

/** A strategic merge would add our addresses to those an earlier sandbox of the pod had. */
function replacing(status: Json): Json {
  const lists = ['podIPs', 'hostIPs'].map((field) => [
    field,
    [{ $patch: 'replace' }, ...listOf(status[field])],
  ]);
  return { ...status, ...Object.fromEntries(lists) };
}

/** KEP-580: conditions that others set and that must be true. */
function gatesMet({ spec, status }: ApiObject): boolean {
  const conditions = listOf(status?.['conditions']);
  return listOf(spec?.['readinessGates']).every(({ conditionType }) =>
    conditions.some((one) => one['type'] === conditionType && one['status'] === 'True'),
  );
}

/** The longest `lifecycle.preStop.sleep` (KEP-3960) of its containers; hooks that run programs are over at once here. */
function preStopSeconds(spec: Json | undefined): number {
  const seconds = listOf(spec?.['containers']).map(({ lifecycle }) => {
    const preStop = isRecord(lifecycle) ? lifecycle['preStop'] : undefined;
    const sleep = isRecord(preStop) ? preStop['sleep'] : undefined;
    return isRecord(sleep) ? Number(sleep['seconds'] ?? 0) : 0;
  });
  return Math.max(0, ...seconds);
}

function listOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

/** Whether all of `wanted` stands in `now`; list items that have a type or a name are found by it. */
function covers(now: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(now)) return wanted.length === 0;
    return wanted.every((item: unknown, i) => {
      const key = isRecord(item) ? ['type', 'name'].find((field) => field in item) : undefined;
      const other: unknown =
        key === undefined
          ? now[i]
          : now.find((one: unknown) => isRecord(one) && isRecord(item) && one[key] === item[key]);
      return covers(other, item);
    });
  }
  if (!isRecord(wanted)) return now === wanted;
  return isRecord(now) && Object.entries(wanted).every(([field, value]) => covers(now[field], value));
}
