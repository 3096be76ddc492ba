/** The labels of a pod and of its namespace, and the namespace's name, in one: so that one index answers peers that name both. */
import { type Labels, type Requirement, requirementsOf } from '../../model/selector.js';
import type { LabelSelector, Pod } from '../../objects/types.js';

// No label key has a space.
const NAMESPACE = 'namespace';
const ofNamespace = (key: string): string => `namespace ${key}`;
const ofPod = (key: string): string => `pod ${key}`;

/** `outer`: the labels of the pod's namespace, if it is there. */
export function combinedLabels({ metadata }: Pod, outer: Labels | undefined): Labels {
  const labels: Record<string, string> = { [NAMESPACE]: metadata.namespace ?? '' };
  for (const [key, value] of Object.entries(outer ?? {})) labels[ofNamespace(key)] = value;
  for (const [key, value] of Object.entries(metadata.labels)) labels[ofPod(key)] = value;
  return labels;
}

/** What combined labels must have; `namespaces`: the name of one, or those that match. */
export function combinedRequirements(
  namespaces: string | LabelSelector,
  pods: LabelSelector,
): readonly Requirement[] {
  const own = requirementsOf(pods).map((requirement) => ({ ...requirement, key: ofPod(requirement.key) }));
  if (typeof namespaces === 'string')
    return [...own, { key: NAMESPACE, operator: 'In', values: [namespaces] }];
  const outer = requirementsOf(namespaces).map((r) => ({ ...r, key: ofNamespace(r.key) }));
  return [...own, ...outer];
}
