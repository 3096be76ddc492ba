/** Why a Service has no endpoint, in what its author can mend. Pure. */
import type { Pod, Service } from '../objects/types.js';
import type { ServiceItem } from '../ruleset/types.js';
import { namedPort } from '../sim/endpoints.js';
import type { PaperCluster } from './cluster.js';

/** `no pod has the labels app=web`, `none of the 2 pods it selects has a port named http`; null: the manifests do not tell. */
export function whyEmpty({ model }: PaperCluster, item: ServiceItem): string | null {
  const service = model.get('Service', item.namespace, item.name);
  const matchLabels = service?.spec.selector ?? {};
  const wanted = Object.entries(matchLabels);
  if (service === undefined || wanted.length === 0) return null;
  const selected = [...model.podsOf(item.namespace, { matchLabels, matchExpressions: [] })];
  if (selected.length === 0) {
    return `no pod has the labels ${wanted.map((label) => label.join('=')).join(',')}`;
  }
  const missing = missingPort(service, selected);
  if (missing === null) return null;
  const pods =
    selected.length === 1
      ? 'the pod it selects has no'
      : `none of the ${selected.length} pods it selects has a`;
  return `${pods} port named ${missing}`;
}

function missingPort(service: Service, pods: readonly Pod[]): string | null {
  for (const { targetPort, protocol } of service.spec.ports) {
    if (typeof targetPort === 'number') continue;
    if (pods.every((pod) => namedPort(pod, targetPort, protocol) === null)) return targetPort;
  }
  return null;
}
