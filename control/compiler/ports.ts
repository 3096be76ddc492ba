/** Ports of a rule: numbers and ranges at once, names by looking at the pods they are resolved on. */
import type { NetworkPolicyPort, Pod, Protocol } from '../objects/types.js';
import { compareText } from '../ruleset/canonical.js';
import type { PortRange } from '../ruleset/types.js';

export interface NamedPort {
  readonly name: string;
  readonly protocol: Protocol;
}

/** `null` = every protocol and port. */
export interface RulePorts {
  readonly ranges: readonly PortRange[];
  readonly names: readonly NamedPort[];
}

/** Absent and empty both mean every protocol and port (null). An entry without port means all ports of its protocol. */
export function splitPorts(ports: readonly NetworkPolicyPort[] | undefined): RulePorts | null {
  if (ports === undefined || ports.length === 0) return null;
  const ranges: PortRange[] = [];
  const names = new Map<string, NamedPort>();
  for (const { protocol, port, endPort } of ports) {
    if (typeof port === 'string') names.set(`${protocol}/${port}`, { name: port, protocol });
    else ranges.push({ protocol, from: port ?? 0, to: port === undefined ? 65535 : (endPort ?? port) });
  }
  return {
    ranges: sortRanges(ranges),
    names: [...names].sort(([a], [b]) => compareText(a, b)).map(([, port]) => port),
  };
}

/** The number a pod gives a port name for one protocol: that of the first container that has it; null if none has. */
export function resolvePort(pod: Pod, { name, protocol }: NamedPort): number | null {
  for (const { ports } of pod.spec.containers) {
    const port = ports.find((candidate) => candidate.name === name && candidate.protocol === protocol);
    if (port !== undefined) return port.containerPort;
  }
  return null;
}

export function singlePort(protocol: Protocol, port: number): PortRange {
  return { protocol, from: port, to: port };
}

/** In canonical order, each once. */
export function sortRanges(ranges: readonly PortRange[]): readonly PortRange[] {
  const keyed = new Map(ranges.map((range) => [`${range.protocol} ${range.from} ${range.to}`, range]));
  return [...keyed.values()].sort(
    (a, b) => compareText(a.protocol ?? '', b.protocol ?? '') || a.from - b.from || a.to - b.to,
  );
}
