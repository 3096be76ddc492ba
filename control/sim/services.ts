/** What the API server and a cloud give to Services: cluster IPs, node ports, load balancer addresses. Pure. */
import { createHash } from 'node:crypto';
import { InvalidInputError } from '../common/errors.js';
import { bitsOf, cidrContains, formatIp, hostAt, type ParsedCidr, parseCidr, parseIp } from '../common/ip.js';
import type { Service, ServicePort } from '../objects/types.js';

export const NODE_PORT_FIRST = 30000;
export const NODE_PORT_LAST = 32767;

export interface AssignSpec {
  readonly serviceCIDR: string;
  readonly loadBalancerCIDR: string;
}

export interface Assigned {
  readonly services: readonly Service[];
  readonly warnings: readonly string[];
}

const nameOf = (service: Service) => `${service.metadata.namespace ?? ''}/${service.metadata.name}`;

/**
 * Fills in what is missing and keeps what was given. Choices follow from the Service's name, so that adding one Service
 * does not move another. Throws InvalidInputError where two Services claim one address or port.
 */
export function assignServices(services: readonly Service[], spec: AssignSpec): Assigned {
  const warnings: string[] = [];
  const sorted = [...services].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const range = parseCidr(spec.serviceCIDR);
  const clusterIps = new Pool('cluster IP', range, reserved(range));
  const balancerIps = new Pool('load balancer IP', parseCidr(spec.loadBalancerCIDR), 1n);
  const nodePorts = new Map<number, string>();

  // What is given comes first, so that a choice of ours never takes it away.
  for (const service of sorted) {
    for (const ip of givenIps(service, range)) clusterIps.claim(ip, nameOf(service));
    for (const { ip } of service.status.loadBalancer) balancerIps.claimIfInside(ip, nameOf(service));
    for (const port of service.spec.ports) claimNodePort(nodePorts, service, port);
  }
  const out = sorted.map((service) => {
    let { spec: s, status } = service;
    if (s.type === 'ExternalName') return service;
    if (s.clusterIPs[0] !== 'None') {
      const given = givenIps(service, range);
      const foreign = s.clusterIPs.length > given.length;
      if (foreign) {
        warnings.push(
          `Service ${nameOf(service)}: cluster IP ${s.clusterIPs[0]} is outside ${spec.serviceCIDR}; another one is used`,
        );
      }
      s = { ...s, clusterIPs: given.length > 0 ? given : [clusterIps.choose(nameOf(service))] };
    }
    if (s.type === 'NodePort' || (s.type === 'LoadBalancer' && s.allocateLoadBalancerNodePorts)) {
      s = { ...s, ports: s.ports.map((port) => withNodePort(nodePorts, service, port)) };
    }
    if (s.type === 'LoadBalancer' && status.loadBalancer.length === 0) {
      status = { loadBalancer: [{ ip: balancerIps.choose(nameOf(service)), ipMode: 'VIP' }] };
    }
    return { ...service, spec: s, status };
  });
  return { services: out, warnings };
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

  claim(ip: string, owner: string): void {
    const other = this.#owners.get(ip);
    if (other !== undefined && other !== owner) {
      throw new InvalidInputError(`${this.what} already belongs to Service ${other}`, {
        object: `Service ${owner}`,
        value: ip,
      });
    }
    this.#owners.set(ip, owner);
  }

  claimIfInside(ip: string, owner: string): void {
    if (cidrContains(this.range, parseIp(ip))) this.claim(ip, owner);
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

function claimNodePort(taken: Map<number, string>, service: Service, port: ServicePort): void {
  if (port.nodePort === null) return;
  const object = `Service ${nameOf(service)}`;
  if (port.nodePort < NODE_PORT_FIRST || port.nodePort > NODE_PORT_LAST) {
    throw new InvalidInputError(`outside ${NODE_PORT_FIRST}-${NODE_PORT_LAST}`, {
      object,
      field: 'spec.ports[].nodePort',
      value: port.nodePort,
    });
  }
  const key = portKey(port.nodePort, port.protocol);
  const other = taken.get(key);
  if (other !== undefined) {
    throw new InvalidInputError(`already belongs to Service ${other}`, {
      object,
      field: 'spec.ports[].nodePort',
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
