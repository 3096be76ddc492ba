/** How the packets of a pod reach the data plane, and who chooses. */
import { InvalidInputError } from '../common/errors.js';
import type { Pod } from '../objects/types.js';

/**
 * afxdp: a veth, whose node end is read and written through AF_XDP. tap: a TAP in the pod's namespace, whose stack leaves
 * checksums and segments to the data plane; faster for bulk TCP between pods of one node.
 */
export type PodFeed = 'afxdp' | 'tap';

/** On a pod: chooses its feed, read when the pod is wired. */
export const FEED_ANNOTATION = 'pteropus.io/feed';

function isPodFeed(value: unknown): value is PodFeed {
  return value === 'afxdp' || value === 'tap';
}

/** The feed of a pod; `fallback` where it does not say, or is not known. Throws InvalidInputError. */
export function feedOf(pod: Pod | undefined, fallback: PodFeed): PodFeed {
  const value = pod?.metadata.annotations[FEED_ANNOTATION];
  if (value === undefined) return fallback;
  if (isPodFeed(value)) return value;
  throw new InvalidInputError('must be afxdp or tap', {
    object: `pod ${pod?.metadata.namespace}/${pod?.metadata.name}`,
    field: `metadata.annotations[${FEED_ANNOTATION}]`,
    value,
  });
}
