/** What the API server and a cloud give to Services: cluster IPs, node ports, load balancer addresses. Pure. */
import { createHash } from 'node:crypto';
import { type ErrorDetails, InvalidInputError } from '../common/errors.js';
import { bitsOf, cidrContains, formatIp, hostAt, type ParsedCidr, parseCidr, parseIp } from '../common/ip.js';
import type { Service, ServicePort } from '../objects/types.js';

const NODE_PORT_FIRST = 30000;
const NODE_PORT_LAST = 32767;

/** Where a field of a Service stands, for errors. */
export type FieldPlace = (service: Service, path: readonly (string | number)[]) => ErrorDetails;

export interface AssignSpec {
  readonly serviceCIDR: string;
  /** In a dual-stack cluster: for Services that ask for both families. */
  readonly serviceCIDR6?: string | null;
  readonly loadBalancerCIDR: string;
  readonly placeOf?: FieldPlace;
}

export interface Assigned {
  readonly services: readonly Service[];
  readonly warnings: readonly string[];
}

const nameOf = (service: Service) => `${service.metadata.namespace ?? ''}/${service.metadata.name}`;

/**
 * Fills in what is missing and keeps what was given, but for addresses that other clusters' ranges gave: here nobody would
 * know the way to them. Choices follow from the Service's name, so that adding one Service
 * does not move another. Throws InvalidInputError where two Services claim one address or port.
 */
export function assignServices(services: readonly Service[], spec: AssignSpec): Assigned {
  const foreign = { cluster: [] as string[], balancer: [] as string[] };
  const placeOf: FieldPlace = spec.placeOf ?? ((service) => ({ object: `Service ${nameOf(service)}` }));
  const sorted = [...services].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const range = parseCidr(spec.serviceCIDR);
  const clusterIps = new Pool('cluster IP', range, reserved(range));
  const range6 = spec.serviceCIDR6 == null ? null : parseCidr(spec.serviceCIDR6);
  const clusterIps6 = range6 === null ? null : new Pool('cluster IP', range6, reserved(range6));
  const balancers = parseCidr(spec.loadBalancerCIDR);
  const balancerIps = new Pool('load balancer IP', balancers, 1n);
  const nodePorts = new Map<number, string>();

  // What is given comes first, so that a choice of ours never takes it away.
  for (const service of sorted) {
    const at = (...path: readonly (string | number)[]) => placeOf(service, path);
    for (const ip of givenIps(service, range)) clusterIps.claim(ip, nameOf(service), at('spec', 'clusterIP'));
    for (const ip of range6 === null ? [] : givenIps(service, range6)) {
      clusterIps6?.claim(ip, nameOf(service), at('spec', 'clusterIPs'));
    }
    for (const { ip } of balancerIpsOf(service, balancers)) {
      balancerIps.claim(ip, nameOf(service), at('status', 'loadBalancer'));
    }
    for (const [i, port] of service.spec.ports.entries()) {
      claimNodePort(nodePorts, service, port, at('spec', 'ports', i, 'nodePort'));
    }
  }
  const out = sorted.map((service) => {
    let { spec: s, status } = service;
    if (s.type === 'ExternalName') return service;
    if (s.clusterIPs[0] !== 'None') {
      const given = givenIps(service, range);
      const given6 = range6 === null ? [] : givenIps(service, range6);
      const others = s.clusterIPs.filter((ip) => !given.includes(ip) && !given6.includes(ip));
      if (others.length > 0) foreign.cluster.push(`${nameOf(service)} ${others.join(', ')}`);
      const wanted = familiesOf(s, clusterIps6 !== null);
      const chosen = wanted.flatMap((family) => {
        const kept = family === 'IPv4' ? given : given6;
        const pool = family === 'IPv4' ? clusterIps : clusterIps6;
        return kept.length > 0 ? kept : (pool?.choose(nameOf(service)) ?? []);
      });
      s = { ...s, clusterIPs: chosen, ...(range6 === null ? {} : { ipFamilies: wanted }) };
    }
    if (s.type === 'NodePort' || (s.type === 'LoadBalancer' && s.allocateLoadBalancerNodePorts)) {
      s = { ...s, ports: s.ports.map((port) => withNodePort(nodePorts, service, port)) };
    }
    if (s.type === 'LoadBalancer') {
      const given = balancerIpsOf(service, balancers);
      const others = status.loadBalancer.filter((ingress) => !given.includes(ingress));
      if (others.length > 0)
        foreign.balancer.push(`${nameOf(service)} ${others.map(({ ip }) => ip).join(', ')}`);
      const chosen = () => [{ ip: balancerIps.choose(nameOf(service)), ipMode: 'VIP' as const }];
      status = { loadBalancer: given.length > 0 ? given : chosen() };
    }
    return { ...service, spec: s, status };
  });
  return {
    services: out,
    warnings: [
      ...reassigned('cluster IPs', spec.serviceCIDR, foreign.cluster),
      ...reassigned('load balancer IPs', spec.loadBalancerCIDR, foreign.balancer),
    ],
  };
}

/** The families a Service gets, as the API server decides (KEP-563): IPv4 unless it asks, and IPv6 only where there is any. */
function familiesOf(
  { ipFamilies, ipFamilyPolicy }: Service['spec'],
  dual: boolean,
): Service['spec']['ipFamilies'] {
  if (!dual) return ['IPv4'];
  const [first = 'IPv4'] = ipFamilies;
  if (ipFamilyPolicy === 'PreferDualStack' || ipFamilyPolicy === 'RequireDualStack') {
    return first === 'IPv4' ? ['IPv4', 'IPv6'] : ['IPv6', 'IPv4'];
  }
  return [first];
}

function reassigned(what: string, range: string, services: readonly string[]): readonly string[] {
  if (services.length === 0) return [];
  const more = services.length === 1 ? '' : ` and ${services.length - 1} more`;
  return [`${what} outside ${range} are replaced (they are of another cluster): ${services[0]}${more}`];
}

function balancerIpsOf({ status }: Service, range: ParsedCidr): Service['status']['loadBalancer'] {
  return status.loadBalancer.filter(({ ip }) => cidrContains(range, parseIp(ip)));
}

/** Cluster IPs given in the manifest that lie in the service range. */
function givenIps(service: Service, range: ParsedCidr): readonly string[] {
  if (service.spec.type === 'ExternalName') return [];
  return service.spec.clusterIPs.filter((ip) => ip !== 'None' && cidrContains(range, parseIp(ip)));
}

/** Kubernetes keeps the low part of the range for addresses given by hand (KEP-3070). */
function reserved(range: ParsedCidr): bigint {
  const size = 1n << BigInt(bitsOf(range.family) - range.length);
  const band = size / 16n;
  const bounded = band < 16n ? 16n : band > 256n ? 256n : band;
  return bounded < size ? bounded : 1n;
}

function hash(text: string): number {
  return createHash('sha1').update(text).digest().readUInt32BE(0);
}

class Pool {
  readonly #owners = new Map<string, string>();
  readonly #size: bigint;

  constructor(
    readonly what: string,
    readonly range: ParsedCidr,
    readonly first: bigint,
  ) {
    this.#size = (1n << BigInt(bitsOf(range.family) - range.length)) - first - 1n;
  }

  claim(ip: string, owner: string, place: ErrorDetails): void {
    const other = this.#owners.get(ip);
    if (other !== undefined && other !== owner) {
      throw new InvalidInputError(`${this.what} already belongs to Service ${other}`, {
        ...place,
        value: ip,
      });
    }
    this.#owners.set(ip, owner);
  }

  choose(owner: string): string {
    const start = BigInt(hash(owner));
    for (let i = 0n; i < this.#size; i++) {
      const ip = formatIp(hostAt(this.range, this.first + ((start + i) % this.#size)));
      if (this.#owners.has(ip)) continue;
      this.#owners.set(ip, owner);
      return ip;
    }
    throw new InvalidInputError(`no ${this.what} is left`, { object: `Service ${owner}` });
  }
}

/** One node port may serve TCP and UDP of one Service; the key keeps protocols apart as the API server does. */
const portKey = (port: number, protocol: string) => port * 4 + ['TCP', 'UDP', 'SCTP'].indexOf(protocol);

function claimNodePort(
  taken: Map<number, string>,
  service: Service,
  port: ServicePort,
  place: ErrorDetails,
): void {
  if (port.nodePort === null) return;
  if (port.nodePort < NODE_PORT_FIRST || port.nodePort > NODE_PORT_LAST) {
    throw new InvalidInputError(`outside ${NODE_PORT_FIRST}-${NODE_PORT_LAST}`, {
      ...place,
      value: port.nodePort,
    });
  }
  const key = portKey(port.nodePort, port.protocol);
  const other = taken.get(key);
  if (other !== undefined) {
    throw new InvalidInputError(`already belongs to Service ${other}`, {
      ...place,
      value: port.nodePort,
    });
  }
  taken.set(key, nameOf(service));
}

function withNodePort(taken: Map<number, string>, service: Service, port: ServicePort): ServicePort {
  if (port.nodePort !== null) return port;
  const size = NODE_PORT_LAST - NODE_PORT_FIRST + 1;
  const start = hash(`${nameOf(service)} ${port.protocol} ${port.port}`);
  for (let i = 0; i < size; i++) {
    const nodePort = NODE_PORT_FIRST + ((start + i) % size);
    const key = portKey(nodePort, port.protocol);
    if (taken.has(key)) continue;
    taken.set(key, nameOf(service));
    return { ...port, nodePort };
  }
  throw new InvalidInputError('no node port is left', { object: `Service ${nameOf(service)}` });
}
