/** Manifests (YAML or JSON text) to objects. */
import { parseClusterNetworkPolicy } from './cluster-policy.js';
import { parseNamespace, parseNode } from './cluster-scoped.js';
import {
  DuplicateObjectError,
  documentOf,
  formatPath,
  InvalidObjectError,
  isRecord,
  type Path,
  type RawDocument,
} from './document.js';
import { objectName } from './field.js';
import { parsePod } from './pod.js';
import { parseNetworkPolicy } from './policy.js';
import { parseService, unknownServiceFields } from './service.js';
import { parseEndpointSlice } from './slice.js';
import { type KubeObject, type ObjectKey, objectKey, type Source } from './types.js';
import { readText } from './yaml.js';

const PARSERS: Readonly<Record<string, (document: RawDocument) => KubeObject>> = {
  'v1 Namespace': parseNamespace,
  'v1 Node': parseNode,
  'v1 Pod': parsePod,
  'v1 Service': parseService,
  'discovery.k8s.io/v1 EndpointSlice': parseEndpointSlice,
  'networking.k8s.io/v1 NetworkPolicy': parseNetworkPolicy,
  'policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy': parseClusterNetworkPolicy,
};

const WORKLOADS: ReadonlySet<string> = new Set([
  'apps/v1 Deployment',
  'apps/v1 StatefulSet',
  'apps/v1 DaemonSet',
  'apps/v1 ReplicaSet',
  'batch/v1 Job',
  'batch/v1 CronJob',
]);

export interface Manifests {
  readonly objects: readonly KubeObject[];
  /** The documents behind `objects`, as they were read. */
  readonly documents: ReadonlyMap<ObjectKey, RawDocument>;
  /** What makes pods; expanded by whoever plays the controllers. */
  readonly workloads: readonly RawDocument[];
  /** Kinds that mean nothing to a network -> how many; the API group is named where it is not a core one. */
  readonly skipped: ReadonlyMap<string, number>;
  readonly sources: ReadonlyMap<ObjectKey, Source>;
  /** What was tolerated, a line each. */
  readonly warnings: readonly string[];
}

/**
 * Parses one input. Throws SyntaxInputError, InvalidObjectError or DuplicateObjectError, each naming file and line.
 */
export function parseManifests(text: string, file: string): Manifests {
  const { documents: read, warnings } = readText(text, file);
  const result = {
    objects: [] as KubeObject[],
    documents: new Map<ObjectKey, RawDocument>(),
    workloads: [] as RawDocument[],
    skipped: new Map<string, number>(),
    sources: new Map<ObjectKey, Source>(),
    warnings: [...warnings],
  };
  const seen = new Map<string, RawDocument>();
  for (const { value, line, locate, costly } of read) {
    const top = { apiVersion: '', kind: '', value, source: { file, line }, locate };
    for (const document of unfold(top, costly)) {
      const type = `${document.apiVersion} ${document.kind}`;
      const parse = PARSERS[type];
      if (parse !== undefined) {
        const object = parse(document);
        const key = objectKey(object.kind, object.metadata.namespace, object.metadata.name);
        refuseDuplicate(seen, key, document);
        result.objects.push(object);
        result.documents.set(key, document);
        if (document.source !== null) result.sources.set(key, document.source);
        if (object.kind === 'Service') result.warnings.push(...unknownFields(document));
      } else if (WORKLOADS.has(type)) {
        refuseDuplicate(seen, `${document.kind}/${workloadName(document)}`, document);
        result.workloads.push(document);
      } else {
        const name = document.apiVersion.split('/')[0]?.includes('.')
          ? `${document.kind}.${document.apiVersion}`
          : document.kind;
        result.skipped.set(name, (result.skipped.get(name) ?? 0) + 1);
        if (document.kind.endsWith('NetworkPolicy')) result.warnings.push(notEnforced(document));
      }
    }
  }
  return result;
}

/** Validates one object of a kind we know. Throws InvalidObjectError. */
export function parseObject(document: RawDocument): KubeObject {
  const parse = PARSERS[`${document.apiVersion} ${document.kind}`];
  if (parse === undefined) {
    throw new InvalidObjectError('is not a kind this network uses', {
      object: `${document.apiVersion} ${document.kind}`,
      ...(document.source ?? {}),
    });
  }
  return parse(document);
}

/** An API's JSON as a KubeObject. */
export function parseApiObject(value: unknown): KubeObject {
  return parseObject(documentOf(value));
}

/**
 * Lists (`List`, `PodList`, …) become their items; items of a typed list may leave out apiVersion and kind. Where lines are
 * costly to find, the source of an item is the line of its list; an error still names its own line.
 */
function* unfold(top: RawDocument, costly: boolean): Generator<RawDocument> {
  const { value, source } = top;
  const fail = (message: string, path: Path): never => {
    const line = top.locate(path);
    throw new InvalidObjectError(message, {
      ...(source === null ? {} : { file: source.file }),
      ...(line === null ? {} : { line }),
      value: path.length === 0 ? value : undefined,
    });
  };
  if (!isRecord(value)) return fail('is not an object', []);
  const apiVersion = typeof value['apiVersion'] === 'string' ? value['apiVersion'] : top.apiVersion;
  const kind = typeof value['kind'] === 'string' ? value['kind'] : top.kind;
  if (apiVersion === '') return fail('an object needs apiVersion', ['apiVersion']);
  if (kind === '') return fail('an object needs kind', ['kind']);
  const items = value['items'];
  if (!kind.endsWith('List') || !('items' in value)) {
    yield { ...top, apiVersion, kind };
    return;
  }
  if (items === null) return;
  if (!Array.isArray(items)) return fail('items must be a list', ['items']);
  for (const [i, item] of items.entries()) {
    const at: Path = ['items', i];
    yield* unfold(
      {
        apiVersion,
        kind: kind.slice(0, -'List'.length),
        value: item as unknown,
        source:
          source === null || costly ? source : { file: source.file, line: top.locate(at) ?? source.line },
        locate: (path) => top.locate([...at, ...path]),
      },
      costly,
    );
  }
}

/** Passing over a policy of another project or version in silence would leave its author believing in it. */
function notEnforced({ apiVersion, kind, source }: RawDocument): string {
  const where = source === null ? '' : `${source.file}:${source.line}: `;
  return `${where}${kind} of ${apiVersion} is not enforced: only NetworkPolicy of networking.k8s.io/v1 and ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2 are`;
}

function unknownFields(document: RawDocument): readonly string[] {
  return unknownServiceFields(document).map(({ path }) => {
    const { file, line } = document.source ?? {};
    const where = file === undefined ? '' : `${file}:${document.locate(path) ?? line}: `;
    return `${where}${objectName(document)}: ${formatPath(path)}: unknown field, it has no effect`;
  });
}

function workloadName(document: RawDocument): string {
  const metadata = isRecord(document.value) ? document.value['metadata'] : undefined;
  const { name, namespace } = isRecord(metadata) ? metadata : {};
  return `${typeof namespace === 'string' ? namespace : 'default'}/${String(name)}`;
}

function refuseDuplicate(seen: Map<string, RawDocument>, key: string, document: RawDocument): void {
  const first = seen.get(key);
  if (first !== undefined) {
    const { file, line } = document.source ?? {};
    throw new DuplicateObjectError(`is defined twice, first in line ${first.source?.line ?? '?'}`, {
      object: key.replace('/', ' ').replace(/ \//, ' '),
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
    });
  }
  seen.set(key, document);
}
