/** What is accepted, but does not do all that its author may expect. Pure. */
import { cidrContains, parseCidr, parseIp } from '../common/ip.js';
import type { ClusterNetworkPolicy, KubeObject, Pod, Service } from '../objects/types.js';
import { getOrMake } from './label-index.js';

/** How a Service's backends are chosen: `random` (the default) or `maglev`, which moves few connections when backends change. */
export const ALGORITHM_ANNOTATION = 'service.pteropus.io/algorithm';
/** A pod's annotation: its share of the traffic of Services it is behind, 1-1000 (1). */
export const WEIGHT_ANNOTATION = 'service.pteropus.io/weight';

export interface Problem {
  readonly object: KubeObject;
  /** Path inside the object; null = the object as a whole. */
  readonly field: string | null;
  readonly message: string;
}

/** The weight an annotation asks for; null if there is none or it is not a weight. */
export function parseWeight(text: string | undefined): number | null {
  const weight = text !== undefined && /^\d{1,4}$/.test(text) ? Number(text) : 0;
  return weight >= 1 && weight <= 1000 ? weight : null;
}

/** `externalIPCIDRs`: where externalIPs may lie (ClusterConfig). In the order of the objects. */
export function problemsOf(
  objects: Iterable<KubeObject>,
  externalIPCIDRs: readonly string[],
): readonly Problem[] {
  const all = [...objects];
  const policies = all.filter((object) => object.kind === 'ClusterNetworkPolicy');
  return [
    ...all.flatMap((object) => {
      switch (object.kind) {
        case 'ClusterNetworkPolicy':
          return notUnderstood(object);
        case 'Service':
          return ofService(object, externalIPCIDRs);
        case 'Pod':
          return ofPod(object);
        default:
          return [];
      }
    }),
    ...samePriority(policies),
  ];
}

/** `ClusterNetworkPolicy guard: spec.ingress[0].from[1].nodes: is not …`. */
export function problemText({ object: { kind, metadata }, field, message }: Problem): string {
  const name = metadata.namespace === null ? metadata.name : `${metadata.namespace}/${metadata.name}`;
  return `${kind} ${name}: ${field === null ? '' : `${field}: `}${message}`;
}

function notUnderstood(policy: ClusterNetworkPolicy): readonly Problem[] {
  return [...policy.spec.ingress, ...policy.spec.egress].flatMap(({ unsupported, action }) =>
    unsupported.map((field) => ({
      object: policy,
      field,
      message: `is not supported; the rule fails closed: ${action === 'Accept' ? 'it accepts nothing' : 'it denies everything'}`,
    })),
  );
}

/** The API leaves open which of them is asked first. */
function samePriority(policies: readonly ClusterNetworkPolicy[]): readonly Problem[] {
  const groups = new Map<string, ClusterNetworkPolicy[]>();
  for (const policy of policies) {
    getOrMake(groups, `${policy.spec.tier} ${policy.spec.priority}`, () => []).push(policy);
  }
  return [...groups.values()].flatMap((group) => {
    const [first, ...more] = group.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    return more.map((object) => ({
      object,
      field: 'spec.priority',
      message: `${object.spec.priority} is that of ${first?.metadata.name} too, in the tier ${object.spec.tier}: the API does not say which comes first; here it is the order of their names`,
    }));
  });
}

function ofService(service: Service, externalIPCIDRs: readonly string[]): readonly Problem[] {
  const { externalIPs, trafficDistribution } = service.spec;
  const ranges = externalIPCIDRs.map(parseCidr);
  const refused = externalIPs.filter((ip) => !ranges.some((range) => cidrContains(range, parseIp(ip))));
  const algorithm = service.metadata.annotations[ALGORITHM_ANNOTATION];
  const known = ['PreferSameZone', 'PreferClose', 'PreferSameNode', null];
  return [
    ...refused.map((ip) => ({
      object: service,
      field: 'spec.externalIPs',
      message: `${ip} is not served: it is in none of the cluster's externalIPCIDRs (CVE-2020-8554)`,
    })),
    ...(known.includes(trafficDistribution)
      ? []
      : [
          {
            object: service,
            field: 'spec.trafficDistribution',
            message: `${trafficDistribution} is not known; all endpoints are used`,
          },
        ]),
    ...(algorithm === undefined || algorithm === 'maglev' || algorithm === 'random'
      ? []
      : [
          {
            object: service,
            field: `metadata.annotations["${ALGORITHM_ANNOTATION}"]`,
            message: `${algorithm} is neither random nor maglev; random is used`,
          },
        ]),
  ];
}

function ofPod(pod: Pod): readonly Problem[] {
  const text = pod.metadata.annotations[WEIGHT_ANNOTATION];
  if (text === undefined || parseWeight(text) !== null) return [];
  const field = `metadata.annotations["${WEIGHT_ANNOTATION}"]`;
  return [{ object: pod, field, message: `${text} is not a weight from 1 to 1000; 1 is used` }];
}
