/** Manifests as they go to an API server: without what a server writes itself. Pure. */
import { cidrContains, parseCidr, parseIp } from '../../common/ip.js';
import { isRecord } from '../../objects/document.js';
import type { ManifestItem } from '../manifest-set.js';
import type { ApiObject, Json } from './api.js';
import { kindNamed } from './kinds.js';

const SERVER_FIELDS = [
  'managedFields',
  'resourceVersion',
  'uid',
  'creationTimestamp',
  'generation',
  'selfLink',
];

/**
 * The object to apply. Of manifests taken from another cluster it leaves out what only meant something there: status,
 * addresses outside `serviceCIDRs`, and nodes that are not among `nodes`.
 */
export function applicable(
  { document }: ManifestItem,
  serviceCIDRs: readonly string[],
  nodes: readonly string[],
): ApiObject {
  const value = document.value as ApiObject;
  const metadata = Object.fromEntries(
    Object.entries(value.metadata).filter(([field]) => !SERVER_FIELDS.includes(field)),
  );
  const { namespaced } = kindNamed(document.kind);
  const { status: _, ...rest } = value as ApiObject & Json;
  const out = {
    ...rest,
    apiVersion: document.apiVersion,
    kind: document.kind,
    metadata: { ...metadata, ...(namespaced ? { namespace: value.metadata.namespace ?? 'default' } : {}) },
  } as ApiObject;
  const spec = out.spec;
  if (spec === undefined) return out;
  if (document.kind === 'Service') return { ...out, spec: withoutForeignAddresses(spec, serviceCIDRs) };
  if (document.kind === 'Pod' && !nodes.includes(String(spec['nodeName']))) {
    const { nodeName: _nodeName, ...others } = spec;
    return { ...out, spec: others };
  }
  return out;
}

function withoutForeignAddresses(spec: Json, serviceCIDRs: readonly string[]): Json {
  const ranges = serviceCIDRs.map(parseCidr);
  const { clusterIP, clusterIPs, ...rest } = spec;
  const given = [clusterIP, ...(Array.isArray(clusterIPs) ? (clusterIPs as readonly unknown[]) : [])];
  const foreign = given.some(
    (ip) =>
      typeof ip === 'string' &&
      ip !== '' &&
      ip !== 'None' &&
      !ranges.some((range) => cidrContains(range, parseIp(ip))),
  );
  return foreign ? rest : spec;
}

/** Whether two objects to apply say the same. */
export function sameDocument(a: ApiObject | undefined, b: ApiObject): boolean {
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b);
}

/** The policies as they were written, for an evaluator that does its own reading. */
export function rawPolicy(object: ApiObject): unknown {
  const { managedFields: _, ...metadata } = object.metadata as ApiObject['metadata'] & Json;
  return isRecord(object) ? { ...object, metadata } : object;
}
