/** Selectors, address blocks and ports, word for word as the API documentation has them. */
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { at, listAt, numberAt, type Raw, textAt } from './raw.js';

/** "A null label selector matches no objects; an empty one matches all": callers decide what an absent one means. */
export function selects(selector: unknown, labels: Raw): boolean {
  const wanted = Object.entries((at(selector, 'matchLabels') ?? {}) as Raw);
  if (!wanted.every(([key, value]) => at(labels, key) === value)) return false;
  return (listAt(selector, 'matchExpressions') ?? []).every((expression) => {
    const value = at(labels, textAt(expression, 'key') ?? '');
    const values = listAt(expression, 'values') ?? [];
    switch (at(expression, 'operator')) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      default:
        return false;
    }
  });
}

export function inBlock(block: unknown, ip: string): boolean {
  if (!inCidr(textAt(block, 'cidr') ?? '', ip)) return false;
  return !(listAt(block, 'except') ?? []).some((except) => inCidr(String(except), ip));
}

export function inCidr(cidr: string, ip: string): boolean {
  const [address = '', length = ''] = cidr.split('/');
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  if ((family === 'ipv4') !== isIPv4(ip) || (family === 'ipv6') !== isIPv6(ip)) return false;
  const list = new BlockList();
  list.addSubnet(address, Number(length), family);
  return list.check(ip, family);
}

export type PacketProtocol = 'TCP' | 'UDP' | 'SCTP' | 'ICMP';

export interface Destination {
  readonly protocol: PacketProtocol;
  /** Meaningless for ICMP. */
  readonly port: number;
  /** The pod the packet goes to, where it is one: port names are its names. */
  readonly pod: unknown;
}

/** "If this field is empty or missing, this rule matches all traffic (traffic not restricted by port)." */
export function portsMatch(ports: readonly unknown[] | undefined, to: Destination): boolean {
  if (ports === undefined || ports.length === 0) return true;
  return ports.some((entry) => {
    if ((textAt(entry, 'protocol') ?? 'TCP') !== to.protocol) return false;
    const port = at(entry, 'port');
    if (port === undefined) return true;
    if (typeof port === 'string') return namedPort(to.pod, port, to.protocol) === to.port;
    return Number(port) <= to.port && to.port <= (numberAt(entry, 'endPort') ?? Number(port));
  });
}

/** The container port of this name and protocol. */
function namedPort(pod: unknown, name: string, protocol: string): number | undefined {
  const sidecars = (listAt(pod, 'spec', 'initContainers') ?? []).filter(
    (c) => at(c, 'restartPolicy') === 'Always',
  );
  const ports = [...(listAt(pod, 'spec', 'containers') ?? []), ...sidecars].flatMap(
    (c) => listAt(c, 'ports') ?? [],
  );
  const port = ports.find((p) => at(p, 'name') === name && (textAt(p, 'protocol') ?? 'TCP') === protocol);
  return numberAt(port, 'containerPort');
}
