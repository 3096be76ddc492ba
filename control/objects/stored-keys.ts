/** Where objects lie in the store: the names that whoever writes them and whoever follows them share. */
import { type Kind, type KubeObject, objectKey } from './types.js';

/** Kubernetes objects as we use them, under `KIND/NAMESPACE/NAME`. */
export const OBJECTS_PREFIX = '/pteropus/k8s/';

/** The nodes' claims to their ids. */
export const NODES_PREFIX = '/pteropus/nodes/';

/** What agents say of themselves, by the name of their node. */
export const STATUS_PREFIX = '/pteropus/status/';

/**
 * There once everything has been written that the cluster has. A store without it was emptied, or is being filled: what it
 * lacks may be a policy, so nobody believes it yet.
 */
export const COMPLETE_KEY = '/pteropus/complete';

export function nodeKey(id: number): string {
  return `${NODES_PREFIX}${id}`;
}

/** The key an object is kept under. */
export function storedKey(object: KubeObject): string {
  if (object.kind === 'NodeRecord') return nodeKey(object.id);
  return `${OBJECTS_PREFIX}${objectKey(object.kind, object.metadata.namespace, object.metadata.name)}`;
}

const KINDS: ReadonlySet<string> = new Set<Kind>([
  ...(['Namespace', 'Node', 'Pod', 'Service', 'EndpointSlice', 'NetworkPolicy'] as const),
  ...(['ClusterNetworkPolicy', 'NodeRecord'] as const),
]);

/** Which object a key under OBJECTS_PREFIX names; null if it is none that we know. */
export function parseStoredKey(
  key: string,
): { readonly kind: Kind; readonly namespace: string | null; readonly name: string } | null {
  const [kind, namespace, ...name] = key.slice(OBJECTS_PREFIX.length).split('/');
  if (!key.startsWith(OBJECTS_PREFIX) || kind === undefined || !KINDS.has(kind) || name.length === 0)
    return null;
  return {
    kind: kind as Kind,
    namespace: namespace === '' || namespace === undefined ? null : namespace,
    name: name.join('/'),
  };
}

/** Annotation of a node's record: what carries its packets, where it is not our own data plane (`vpp`). */
export const DATAPLANE_ANNOTATION = 'pteropus.io/dataplane';

/** Annotation of a node's record, by ksr: its Node is gone, and who runs as it should say so by claiming it anew. */
export const RELEASE_ANNOTATION = 'pteropus.io/release';
