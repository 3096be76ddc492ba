/**
 * Workloads to pods, as their controllers would make them: the same labels, names a person can read. Pure.
 * Objects that belong to a workload of the same input (kubectl prints Deployments, ReplicaSets and pods side by side)
 * are left to it.
 */
import { createHash } from 'node:crypto';
import {
  documentFrom,
  formatPath,
  InvalidObjectError,
  type Path,
  type RawDocument,
} from '../objects/document.js';
import { parsePod } from '../objects/pod.js';
import type { Pod } from '../objects/types.js';
import { matches, type ScheduleNode } from './labels.js';

/** A pod that shall run, and the workload it belongs to (`shop/web`); a bare pod is its own workload. */
export interface Planned {
  readonly pod: Pod;
  readonly workload: string;
  readonly workloadKind: string;
}

type Json = Readonly<Record<string | number, unknown>>;

/** Letters and digits that make no words, as Kubernetes uses them for generated names. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/** A stable name part of five characters. */
function hash5(text: string): string {
  return [...createHash('sha1').update(text).digest().subarray(0, 5)]
    .map((byte) => ALPHABET[byte % ALPHABET.length])
    .join('');
}

/** Pods of one workload document. Throws InvalidInputError naming file, line, object and field. */
export function expandWorkload(doc: RawDocument, nodes: readonly ScheduleNode[]): readonly Planned[] {
  const workload = workloadName(doc);
  return expandDocuments(doc, nodes).map((pod) => ({ pod: parsePod(pod), workload, workloadKind: doc.kind }));
}

/** The same as documents, with every field of the template, as a controller would send them to an API server. */
export function expandDocuments(doc: RawDocument, nodes: readonly ScheduleNode[]): readonly RawDocument[] {
  const value = record(doc.value);
  const metadata = record(value['metadata']);
  const spec = record(value['spec']);
  const name = metadata['name'];
  if (typeof name !== 'string' || name === '') {
    throw new InvalidObjectError('a workload needs a name', {
      object: doc.kind,
      field: 'metadata.name',
      value: name,
      ...(doc.source ?? {}),
    });
  }
  const namespace = text(metadata['namespace']) || 'default';
  const template = record(spec['template']);
  const make = (podName: string, extra: PodExtra = {}): RawDocument =>
    podOf(doc, { namespace, name: podName, template, extra });
  checkSelector(doc, spec, template);
  const replicas = count(doc, ['spec', 'replicas'], 1);

  switch (doc.kind) {
    case 'Deployment': {
      const hash = hash5(JSON.stringify(template));
      const labels = { 'pod-template-hash': hash };
      return ordinals(replicas).map((i) =>
        make(`${name}-${hash}-${hash5(`${name} ${hash} ${i}`)}`, { labels }),
      );
    }
    case 'ReplicaSet':
    case 'ReplicationController':
      return ordinals(replicas).map((i) => make(`${name}-${hash5(`${name} ${i}`)}`));
    case 'StatefulSet': {
      const start = count(doc, ['spec', 'ordinals', 'start'], 0);
      return ordinals(replicas).map((i) => {
        const podName = `${name}-${start + i}`;
        const labels = {
          'apps.kubernetes.io/pod-index': String(start + i),
          'statefulset.kubernetes.io/pod-name': podName,
        };
        return make(podName, { labels, hostname: podName, subdomain: text(spec['serviceName']) });
      });
    }
    case 'DaemonSet': {
      const { nodeSelector } = parsePod(make(`${name}-${hash5(name)}`)).spec;
      return nodes
        .filter((node) => matches(node.labels, nodeSelector))
        .map((node) => make(`${name}-${hash5(`${name} ${node.name}`)}`, { nodeName: node.name }));
    }
    case 'Job': {
      if (isOver(value)) return [];
      const parallelism = count(doc, ['spec', 'parallelism'], 1);
      const completions = count(doc, ['spec', 'completions'], parallelism);
      const labels = { 'batch.kubernetes.io/job-name': name, 'job-name': name };
      return ordinals(Math.min(parallelism, completions)).map((i) =>
        make(`${name}-${hash5(`${name} ${i}`)}`, { labels }),
      );
    }
    // A CronJob runs nothing until its time comes.
    default:
      return [];
  }
}

/**
 * Whether the object is made by a controller that stands in the same input (`KIND/NS/NAME` of all workloads). CronJobs do not
 * count: we run none, so the Jobs they have started must speak for themselves.
 */
export function isOwnedBy(value: unknown, namespace: string | null, workloads: ReadonlySet<string>): boolean {
  const metadata = record(record(value)['metadata']);
  const owners = metadata['ownerReferences'];
  if (!Array.isArray(owners)) return false;
  const has = (kind: string, name: string) => workloads.has(`${kind}/${namespace ?? ''}/${name}`);
  return owners.some((owner) => {
    const kind = text(record(owner)['kind']);
    const name = text(record(owner)['name']);
    if (kind === 'CronJob') return false;
    if (has(kind, name)) return true;
    // Its ReplicaSet may have been left out of the input, but not the Deployment behind that.
    const hash = text(record(metadata['labels'])['pod-template-hash']);
    const end = `-${hash}`;
    return (
      kind === 'ReplicaSet' &&
      hash !== '' &&
      name.endsWith(end) &&
      has('Deployment', name.slice(0, -end.length))
    );
  });
}

/** A Job as a cluster shows it once it is over: its pods have ended. */
function isOver(value: Json): boolean {
  const conditions = record(value['status'])['conditions'];
  if (!Array.isArray(conditions)) return false;
  return conditions.some((condition) => {
    const { type, status } = record(condition);
    return (type === 'Complete' || type === 'Failed') && status === 'True';
  });
}

interface PodExtra {
  readonly labels?: Readonly<Record<string, string>>;
  readonly hostname?: string;
  readonly subdomain?: string;
  readonly nodeName?: string;
}

interface PodParts {
  readonly namespace: string;
  readonly name: string;
  readonly template: Json;
  readonly extra: PodExtra;
}

/** The pod as its controller would make it. */
function podOf(doc: RawDocument, { namespace, name, template, extra }: PodParts): RawDocument {
  const meta = record(template['metadata']);
  const spec: Record<string, unknown> = { ...record(template['spec']) };
  if (extra.hostname !== undefined) spec['hostname'] ??= extra.hostname;
  if (extra.subdomain) spec['subdomain'] ??= extra.subdomain;
  if (extra.nodeName !== undefined) spec['nodeName'] = extra.nodeName;
  const labels = { ...record(meta['labels']), ...extra.labels };
  const annotations = record(meta['annotations']);
  const value = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels, annotations }, spec };
  return documentFrom(doc, 'v1', 'Pod', value, ['spec', 'template']);
}

function ordinals(length: number): readonly number[] {
  return Array.from({ length }, (_, i) => i);
}

/** More than the largest cluster that Kubernetes is tested for runs in all. */
const MAX_PODS = 150_000;

/** A whole number from 0 to MAX_PODS at `path` of the document. */
function count(doc: RawDocument, path: Path, fallback: number): number {
  const value = path.reduce<unknown>((at, step) => record(at)[step], doc.value) ?? fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_PODS) return value;
  return fail(doc, path, `must be a whole number from 0 to ${MAX_PODS}`, value);
}

/** As the API server: a selector that does not match the template's labels would never find its own pods. */
function checkSelector(doc: RawDocument, spec: Json, template: Json): void {
  const wanted = record(record(spec['selector'])['matchLabels']);
  const labels = record(record(template['metadata'])['labels']);
  for (const [key, value] of Object.entries(wanted)) {
    if (!Object.hasOwn(labels, key) || labels[key] !== value) {
      fail(doc, ['spec', 'selector', 'matchLabels', key], 'is not on the pods of the template', value);
    }
  }
}

function fail(doc: RawDocument, path: Path, message: string, value: unknown): never {
  const line = doc.locate(path);
  throw new InvalidObjectError(message, {
    object: `${doc.kind} ${workloadName(doc)}`,
    field: formatPath(path),
    value,
    ...(doc.source === null ? {} : { file: doc.source.file }),
    ...(line === null ? {} : { line }),
  });
}

/** `NS/NAME` of a workload document; namespace `default` where none is given. */
export function workloadName(doc: RawDocument): string {
  const metadata = record(record(doc.value)['metadata']);
  return `${text(metadata['namespace']) || 'default'}/${text(metadata['name'])}`;
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
