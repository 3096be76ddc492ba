/**
 * Ports of the node that lead to a pod here (hostPort of a container): each a service with one backend, on the node's addresses and on
 * no other (CVE-2025-67499). Connections keep their client's address, and the pod's policies judge them as any other.
 */
import { sortedBy } from '../ruleset/canonical.js';
import type { Ip, Key, ServiceItem } from '../ruleset/types.js';
import { familyOf } from './context.js';
import type { Attachment, HostPort } from './input.js';

type Ports = Pick<Attachment, 'pod' | 'addresses' | 'hostPorts'>;

const FAMILIES = [4, 6] as const;

export function compileHostPorts(wired: Ports, nodeAddresses: readonly Ip[]): readonly ServiceItem[] {
  return (wired.hostPorts ?? []).flatMap((port) =>
    FAMILIES.flatMap((family) => {
      const addresses = nodeAddresses.filter(
        (ip) => familyOf(ip) === family && hostIpsOverlap(port.hostIP, ip),
      );
      const backend = wired.addresses.find((ip) => familyOf(ip) === family);
      if (addresses.length === 0 || backend === undefined) return [];
      return [itemOf(wired, port, family, addresses, backend)];
    }),
  );
}

/** Have two values of `hostIP` an address in common? Each may also be one address. */
export function hostIpsOverlap(a: Ip | null, b: Ip | null): boolean {
  if (a === null || b === null || a === b) return true;
  return (isEveryIp(a) || isEveryIp(b)) && familyOf(a) === familyOf(b);
}

/** Does it stand for all addresses of its family? */
export function isEveryIp(ip: Ip): boolean {
  return ip === '0.0.0.0' || ip === '::';
}

/** Keys of what they become on this node. */
export function hostPortKeys(wired: Ports, nodeAddresses: readonly Ip[]): readonly Key[] {
  return compileHostPorts(wired, nodeAddresses).map(({ key }) => key);
}

function itemOf(
  { pod }: Ports,
  { protocol, hostPort, containerPort, hostIP }: HostPort,
  family: 4 | 6,
  addresses: readonly Ip[],
  backend: Ip,
): ServiceItem {
  const { namespace, name } = pod;
  const own = hostIP === null ? '' : `/${hostIP}`;
  // The tilde keeps it behind every Service, of which the first by key has a frontend that two claim.
  const key = `service/~hostport/${namespace}/${name}/${protocol}/${hostPort}${own}${family === 4 ? '' : '/ipv6'}`;
  return {
    kind: 'service',
    key,
    namespace,
    name,
    portName: null,
    protocol,
    scope: 'external',
    frontends: sortedBy(
      addresses.map((address) => ({ address, port: hostPort, type: 'HostPort' as const })),
      ({ address }) => address,
    ),
    backends: [{ address: backend, port: containerPort, weight: 1, pod, node: null }],
    affinitySeconds: null,
    algorithm: 'random',
    sourceRanges: null,
    outsideBackends: null,
  };
}
