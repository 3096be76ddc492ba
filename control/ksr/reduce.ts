/** From an object as the API shows it to what the model needs of it, as text for the store. Pure. */
import { errorText, InvalidInputError } from '../common/errors.js';
import { problemsOf } from '../model/problems.js';
import { closedNetworkPolicy } from '../objects/closed.js';
import { isRecord } from '../objects/document.js';
import { toJson } from '../objects/json.js';
import { parseApiObject } from '../objects/manifest.js';
import { OBJECTS_PREFIX } from '../objects/stored-keys.js';
import { type KubeObject, objectKey } from '../objects/types.js';
import type { Resource } from './resources.js';

/** More than this etcd does not take in one request. */
const MOST_CHARACTERS = 450_000;

/** What an event about an object names. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string | null;
  readonly name: string;
  readonly uid: string | null;
}

export interface Reduced {
  /** Its key in the store. */
  readonly key: string;
  /** null: it must not be there. */
  readonly json: string | null;
  readonly reference: ObjectReference;
  /** What of it is not honoured, a line each. */
  readonly problems: readonly string[];
}

/** null if it is no object at all: without a name nothing can be said about it. */
export function reduce(
  resource: Resource,
  value: unknown,
  externalIPCIDRs: readonly string[],
): Reduced | null {
  const reference = referenceOf(resource, value);
  if (reference === null) return null;
  const key = `${OBJECTS_PREFIX}${objectKey(resource.kind, reference.namespace, reference.name)}`;
  const document = { ...(value as object), apiVersion: resource.apiVersion, kind: resource.kind };
  try {
    const object = slim(parseApiObject(document));
    const problems = problemsOf([object], externalIPCIDRs).map(
      ({ field, message }) => `${field === null ? '' : `${field}: `}${message}`,
    );
    const json = toJson(object);
    if (json.length > MOST_CHARACTERS)
      throw new InvalidInputError('is too large for the store', { value: json.length });
    return { key, json, reference, problems };
  } catch (error) {
    // Whatever it is: one object must not keep the others of its kind from being reflected.
    const closed = resource.kind === 'NetworkPolicy' ? closedNetworkPolicy(document) : null;
    const effect =
      closed === null
        ? 'it is left out as a whole'
        : 'until it can be understood, the pods it selects get no traffic in the directions it is about';
    const problems = [`${withoutName(errorText(error), reference)}; ${effect}`];
    return { key, json: closed === null ? null : toJson(slim(closed)), reference, problems };
  }
}

/** Which object it is; null if it has no name. */
export function referenceOf({ kind, apiVersion }: Resource, value: unknown): ObjectReference | null {
  const metadata = isRecord(value) ? value['metadata'] : undefined;
  if (!isRecord(metadata)) return null;
  const { name, namespace, uid } = metadata;
  if (typeof name !== 'string' || name === '') return null;
  return {
    ...{ apiVersion, kind, name },
    namespace: typeof namespace === 'string' && namespace !== '' ? namespace : null,
    uid: typeof uid === 'string' ? uid : null,
  };
}

/** Annotations that are not ours change often and mean nothing here. */
function slim<T extends KubeObject>(object: T): T {
  const annotations = Object.fromEntries(
    Object.entries(object.metadata.annotations).filter(([key]) => /(^|\.)pteropus\.io\//.test(key)),
  );
  return { ...object, metadata: { ...object.metadata, annotations } };
}

/** Events and listings name the object themselves. */
function withoutName(text: string, { kind, namespace, name }: ObjectReference): string {
  const prefix = `${kind} ${namespace === null ? name : `${namespace}/${name}`}: `;
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}
