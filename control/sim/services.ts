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
 * Fills in what is missing and keeps what was given, except addresses from another cluster's ranges: nobody here would know
 * how to reach them. Choices follow from the Service's name, so that adding one Service does not move another. Throws
 * InvalidInputError where two Services claim one address or port.
 */
export function assignServices(services: readonly Service[], spec: AssignSpec): Assigned {
  const sorted = [...services].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const assignment = new Assignment(spec);
  // What is given is claimed first, so that no choice of ours takes it away.
  for (const service of sorted) assignment.claim(service);
  return { services: sorted.map((service) => assignment.complete(service)), warnings: assignment.warnings };
}

/** What has been given out so far. */
class Assignment {
  readonly #range: ParsedCidr;
  readonly #range6: ParsedCidr | null;
  readonly #balancers: ParsedCidr;
  readonly #clusterIps: Pool;
  readonly #clusterIps6: Pool | null;
  readonly #balancerIps: Pool;
  readonly #nodePorts = new Map<number, string>();
  /** Services with addresses outside our ranges. */
  readonly #foreignCluster: string[] = [];
  readonly #foreignBalancer: string[] = [];
  /** Services that ask for a family that the cluster does not have. */
  readonly #withoutIpv6: string[] = [];

  constructor(private readonly spec: AssignSpec) {
    this.#range = parseCidr(spec.serviceCIDR);
    this.#range6 = spec.serviceCIDR6 == null ? null : parseCidr(spec.serviceCIDR6);
    this.#balancers = parseCidr(spec.loadBalancerCIDR);
    this.#clusterIps = new Pool('cluster IP', this.#range, reserved(this.#range));
    this.#clusterIps6 =
      this.#range6 === null ? null : new Pool('cluster IP', this.#range6, reserved(this.#range6));
    this.#balancerIps = new Pool('load balancer IP', this.#balancers, 1n);
  }

  get warnings(): readonly string[] {
    return [
      ...reassigned('cluster IPs', this.spec.serviceCIDR, this.#foreignCluster),
      ...reassigned('load balancer IPs', this.spec.loadBalancerCIDR, this.#foreignBalancer),
      ...withoutIpv6(this.#withoutIpv6),
    ];
  }

  /** Takes what the manifest gives. */
  claim(service: Service): void {
    const name = nameOf(service);
    const at = (...path: readonly (string | number)[]): ErrorDetails =>
      this.spec.placeOf?.(service, path) ?? { object: `Service ${name}` };
    for (const ip of givenIps(service, this.#range))
      this.#clusterIps.claim(ip, name, at('spec', 'clusterIP'));
    for (const ip of givenIps(service, this.#range6))
      this.#clusterIps6?.claim(ip, name, at('spec', 'clusterIPs'));
    for (const { ip } of balancerIpsOf(service, this.#balancers))
      this.#balancerIps.claim(ip, name, at('status', 'loadBalancer'));
    for (const [i, port] of service.spec.ports.entries())
      claimNodePort(this.#nodePorts, service, port, at('spec', 'ports', i, 'nodePort'));
  }

  /** The Service with everything it was not given. */
  complete(service: Service): Service {
    const { type, clusterIPs, allocateLoadBalancerNodePorts } = service.spec;
    if (type === 'ExternalName') return service;
    let { spec, status } = service;
    if (clusterIPs[0] !== 'None') spec = this.#withClusterIps(service);
    if (type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts)) {
      spec = { ...spec, ports: spec.ports.map((port) => withNodePort(this.#nodePorts, service, port)) };
    }
    if (type === 'LoadBalancer') status = { loadBalancer: this.#balancerIpsFor(service) };
    return { ...service, spec, status };
  }

  #withClusterIps(service: Service): Service['spec'] {
    const given = givenIps(service, this.#range);
    const given6 = givenIps(service, this.#range6);
    const others = service.spec.clusterIPs.filter((ip) => !given.includes(ip) && !given6.includes(ip));
    if (others.length > 0) this.#foreignCluster.push(`${nameOf(service)} ${others.join(', ')}`);
    const dual = this.#clusterIps6 !== null;
    if (!dual && needsIpv6(service.spec)) this.#withoutIpv6.push(nameOf(service));
    const wanted = familiesOf(service.spec, dual);
    const clusterIPs = wanted.flatMap((family) => {
      const kept = family === 'IPv4' ? given : given6;
      const pool = family === 'IPv4' ? this.#clusterIps : this.#clusterIps6;
      return kept.length > 0 ? kept : (pool?.choose(nameOf(service)) ?? []);
    });
    return { ...service.spec, clusterIPs, ...(this.#range6 === null ? {} : { ipFamilies: wanted }) };
  }

  #balancerIpsFor(service: Service): Service['status']['loadBalancer'] {
    const given = balancerIpsOf(service, this.#balancers);
    const others = service.status.loadBalancer.filter((ingress) => !given.includes(ingress));
    if (others.length > 0)
      this.#foreignBalancer.push(`${nameOf(service)} ${others.map(({ ip }) => ip).join(', ')}`);
    return given.length > 0 ? given : [{ ip: this.#balancerIps.choose(nameOf(service)), ipMode: 'VIP' }];
  }
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

/** An API server without IPv6 would refuse it. */
function needsIpv6({ ipFamilies, ipFamilyPolicy }: Service['spec']): boolean {
  return ipFamilies[0] === 'IPv6' || ipFamilyPolicy === 'RequireDualStack';
}

function withoutIpv6([first, ...more]: readonly string[]): readonly string[] {
  if (first === undefined) return [];
  const others = more.length === 0 ? '' : ` and ${more.length} more`;
  return [`Services that need IPv6 get IPv4 only (--dual-stack gives both): ${first}${others}`];
}

function reassigned(what: string, range: string, services: readonly string[]): readonly string[] {
  if (services.length === 0) return [];
  const more = services.length === 1 ? '' : ` and ${services.length - 1} more`;
  return [`${what} outside ${range} are replaced (they are of another cluster): ${services[0]}${more}`];
}

function balancerIpsOf({ status }: Service, range: ParsedCidr): Service['status']['loadBalancer'] {
  return status.loadBalancer.filter(({ ip }) => cidrContains(range, parseIp(ip)));
}

/** Cluster IPs given in the manifest that lie in the service range; none without a range. */
function givenIps(service: Service, range: ParsedCidr | null): readonly string[] {
  if (range === null || service.spec.type === 'ExternalName') return [];
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
