/**
 * What a pod would learn from cluster DNS, as /etc/hosts and /etc/resolv.conf: Services and the pods behind headless ones,
 * by the names that the pod's search list makes work. Pure.
 */
import type { EndpointSlice, Pod, Service } from '../../objects/types.js';
import type { PodRef } from '../../ruleset/types.js';

const CLUSTER_DOMAIN = 'cluster.local';

export interface NameSources {
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
  readonly pods: readonly Pod[];
}

/** The pod's /etc/hosts. Lines sorted, so that equal clusters give equal files. */
export function hostsFile(pod: PodRef, sources: NameSources): string {
  const own = sources.pods.find(
    (p) => p.metadata.namespace === pod.namespace && p.metadata.name === pod.name,
  );
  const lines = sources.services.flatMap((service) => serviceLines(pod, service, sources)).sort();
  const self = (own?.status.podIPs ?? []).map((ip) => `${ip}\t${own?.spec.hostname ?? pod.name}`);
  return `${['127.0.0.1\tlocalhost', ...self, ...lines].join('\n')}\n`;
}

/** The pod's /etc/resolv.conf: the cluster's DNS Service where there is one, else no server, so that unknown names fail at once. */
export function resolvFile(pod: PodRef, sources: NameSources): string {
  const dns = sources.services.find(
    (s) =>
      s.metadata.namespace === 'kube-system' &&
      (s.metadata.name === 'kube-dns' || s.metadata.name === 'coredns'),
  );
  const servers = (dns?.spec.clusterIPs ?? []).filter((ip) => ip !== 'None').map((ip) => `nameserver ${ip}`);
  const search = `search ${pod.namespace}.svc.${CLUSTER_DOMAIN} svc.${CLUSTER_DOMAIN} ${CLUSTER_DOMAIN}`;
  return `${[...servers, search, 'options ndots:5'].join('\n')}\n`;
}

function serviceLines(pod: PodRef, service: Service, sources: NameSources): string[] {
  const { name, namespace } = service.metadata;
  if (namespace === null) return [];
  const target = service.spec.type === 'ExternalName' ? aliasOf(service, sources.services) : service;
  if (target === undefined) return [];
  const names = namesOf([name], namespace, pod);
  if (!target.spec.clusterIPs.includes('None')) return target.spec.clusterIPs.map((ip) => `${ip}\t${names}`);
  return headlessLines(pod, service, target, sources);
}

/** An ExternalName that points at another Service of the cluster; one that points elsewhere needs a real DNS. */
function aliasOf(service: Service, services: readonly Service[]): Service | undefined {
  const target = service.spec.externalName?.replace(/\.$/, '');
  return services.find(
    (s) =>
      s.spec.type !== 'ExternalName' &&
      target === `${s.metadata.name}.${s.metadata.namespace}.svc.${CLUSTER_DOMAIN}`,
  );
}

function headlessLines(pod: PodRef, service: Service, target: Service, sources: NameSources): string[] {
  const { name, namespace } = service.metadata;
  const slices = sources.slices.filter(
    (slice) =>
      slice.metadata.namespace === target.metadata.namespace &&
      slice.metadata.labels['kubernetes.io/service-name'] === target.metadata.name,
  );
  const lines: string[] = [];
  for (const endpoint of slices.flatMap((slice) => slice.endpoints)) {
    if (!endpoint.conditions.ready) continue;
    const behind = sources.pods.find(
      (p) =>
        p.metadata.namespace === endpoint.targetRef?.namespace && p.metadata.name === endpoint.targetRef.name,
    );
    const own = behind !== undefined && behind.spec.subdomain === name ? behind.spec.hostname : null;
    for (const address of endpoint.addresses) {
      lines.push(`${address}\t${namesOf([name], namespace ?? '', pod)}`);
      if (own !== null) lines.push(`${address}\t${namesOf([own, name], namespace ?? '', pod)}`);
    }
  }
  return lines;
}

/** `web.shop.svc.cluster.local web.shop.svc web.shop web`: the last only for pods of the same namespace. */
function namesOf(labels: readonly string[], namespace: string, pod: PodRef): string {
  const base = labels.join('.');
  const full = [
    `${base}.${namespace}.svc.${CLUSTER_DOMAIN}`,
    `${base}.${namespace}.svc`,
    `${base}.${namespace}`,
  ];
  return (pod.namespace === namespace ? [...full, base] : full).join(' ');
}
