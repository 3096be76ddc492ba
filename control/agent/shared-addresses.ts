/**
 * Pods of this node whose address another pod of the cluster has too, by the store: the id of a node that is gone was given to this one
 * while the old one's pods are still listed, or somebody else's plugin gave addresses out of our range. The node where a pod is wired
 * takes the address for that pod's; all others take it for both pods'.
 */
import { hasEnded } from '../compiler/context.js';
import type { Pod } from '../objects/types.js';
import type { NodeState } from './node-state.js';

/** `NAMESPACE/NAME` -> what is wrong. Looks through all pods. */
export function sharedAddresses({ model, identity }: NodeState): ReadonlyMap<string, string> {
  const node = identity.record.metadata.name;
  const owners = new Map<string, Pod>();
  const found = new Map<string, string>();
  for (const pod of model.all('Pod')) {
    // Hosts share theirs, and who has ended has none any more, whatever is written.
    if (pod.spec.hostNetwork || hasEnded(pod)) continue;
    for (const address of pod.status.podIPs) {
      const other = owners.get(address);
      owners.set(address, pod);
      if (other === undefined) continue;
      for (const [mine, theirs] of [
        [pod, other],
        [other, pod],
      ] as const)
        if (mine.spec.nodeName === node)
          found.set(
            nameOf(mine),
            `has the address ${address}, and so has pod ${nameOf(theirs)} (node ${theirs.spec.nodeName}): elsewhere policies take it for both`,
          );
    }
  }
  return found;
}

function nameOf({ metadata: { namespace, name } }: Pod): string {
  return `${namespace}/${name}`;
}
