/** Finds pods by the names people give them. Pure. */
import { InvalidInputError } from '../common/errors.js';
import type { Pod } from '../objects/types.js';
import type { PodRef } from '../ruleset/types.js';
import type { ClusterState } from './matrix/state.js';

/** The pod of that name, or the first one of the workload of that name. Throws InvalidInputError. */
export function podNamed(state: Pick<ClusterState, 'pods'>, { namespace, name }: PodRef): Pod {
  const full = `${namespace}/${name}`;
  const found =
    state.pods.find(({ pod }) => `${pod.metadata.namespace}/${pod.metadata.name}` === full) ??
    state.pods.find(({ workload }) => workload === full);
  if (found === undefined) throw new InvalidInputError('no such pod or workload', { value: full });
  return found.pod;
}
