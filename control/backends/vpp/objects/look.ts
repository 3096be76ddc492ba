/** Whether VPP still holds some kinds of objects as they were put in. Nothing is noted: whoever finds that it does not reads everything. */
import type { Reading } from './reading.js';
import { sameObject } from './same.js';
import type { ObjectKey, VppObject } from './types.js';

/**
 * What decides whether a pod is reached, and by whom: interfaces and whether they are up, source checks, which lists judge a pod, and
 * whether services are translated for it. A few small dumps, whatever the number of policies and services. What the lists say
 * themselves is not among it (48 bytes a rule), nor are routes and services.
 */
const LOOKED_AT: ReadonlySet<string> = new Set([
  'if',
  'link',
  'up',
  'source-check',
  'classifier-use',
  'acl-binding',
  'cnat-interface',
]);

/** Keys of objects of these kinds that are missing, are others, or are nobody's. Throws what VPP refuses, and when VPP is lost. */
export async function damaged(
  { vpp, once, descriptors }: Reading,
  wanted: Iterable<VppObject>,
  kinds: ReadonlySet<string> = LOOKED_AT,
): Promise<readonly ObjectKey[]> {
  const handles = vpp.handles.copy();
  const found = new Map<ObjectKey, VppObject>();
  try {
    for (const descriptor of descriptors) {
      if (!kinds.has(descriptor.kind)) continue;
      for (const object of await descriptor.read({ ...vpp, handles })) found.set(object.key, object);
    }
  } finally {
    once.forget();
  }
  const wrong: ObjectKey[] = [];
  for (const object of wanted) {
    if (!kinds.has(object.kind)) continue;
    const there = found.get(object.key);
    if (there === undefined || !sameObject(object, there)) wrong.push(object.key);
    found.delete(object.key);
  }
  return [...wrong, ...found.keys()];
}
