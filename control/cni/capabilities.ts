/**
 * What a runtime passes in runtimeConfig for the capabilities that the conflist declares (CNI CONVENTIONS.md, "Dynamic Plugin
 * specific Fields"): portMappings for a pod's hostPorts, bandwidth for its kubernetes.io/ingress-bandwidth annotations.
 */
import { canonicalIp } from '../common/ip.js';
import type { HostPort } from '../compiler/input.js';
import type { Protocol, RateLimit, RateLimits } from '../ruleset/types.js';
import { invalidConfig } from './errors.js';
import { isMapping, type Mapping } from './mapping.js';

const PROTOCOLS: Readonly<Record<string, Protocol>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' };

/** Entries without a host port ask for nothing, as with the reference plugin. Throws CniError (7). */
export function parsePortMappings(value: unknown): readonly HostPort[] {
  if (!Array.isArray(value)) throw invalidConfig('runtimeConfig.portMappings is not a list');
  const ports = (value as readonly unknown[]).flatMap((entry, i): readonly HostPort[] => {
    const where = `runtimeConfig.portMappings[${i}]`;
    if (!isMapping(entry)) throw invalidConfig(`${where} is not an object`);
    const hostPort = member(entry, 'hostPort') ?? 0;
    if (hostPort === 0) return [];
    return [
      {
        hostPort: portOf(hostPort, `${where}.hostPort`),
        containerPort: portOf(member(entry, 'containerPort'), `${where}.containerPort`),
        protocol: protocolOf(member(entry, 'protocol') ?? 'tcp', `${where}.protocol`),
        hostIP: hostIpOf(member(entry, 'hostIP') ?? '', `${where}.hostIP`),
      },
    ];
  });
  const seen = new Set<string>();
  for (const port of ports) {
    const name = hostPortName(port);
    if (seen.has(name)) throw invalidConfig(`runtimeConfig.portMappings has ${name} twice`);
    seen.add(name);
  }
  return ports;
}

/** `TCP 8080`, `TCP 192.0.2.1:8080`: for messages, and equal for equal host ports. */
export function hostPortName({ protocol, hostIP, hostPort }: HostPort): string {
  if (hostIP === null) return `${protocol} ${hostPort}`;
  return `${protocol} ${hostIP.includes(':') ? `[${hostIP}]` : hostIP}:${hostPort}`;
}

/** Rates in bits a second, bursts in bits; a rate of 0 is no limit. Throws CniError (7). */
export function parseBandwidth(value: unknown): RateLimits | null {
  if (!isMapping(value)) throw invalidConfig('runtimeConfig.bandwidth is not an object');
  const toPod = limitOf(value, 'ingress');
  const fromPod = limitOf(value, 'egress');
  return toPod === null && fromPod === null ? null : { toPod, fromPod };
}

function limitOf(value: Mapping, direction: 'ingress' | 'egress'): RateLimit | null {
  const bitsPerSecond = bitsOf(value, `${direction}Rate`);
  const burstBits = bitsOf(value, `${direction}Burst`);
  if (bitsPerSecond === 0 && burstBits === 0) return null;
  // As with the reference plugin: one means nothing without the other.
  if (bitsPerSecond === 0 || burstBits === 0) {
    throw invalidConfig(`runtimeConfig.bandwidth needs both ${direction}Rate and ${direction}Burst`);
  }
  return { bitsPerSecond, burstBits };
}

function bitsOf(value: Mapping, field: string): number {
  const bits = member(value, field) ?? 0;
  if (typeof bits !== 'number' || !Number.isSafeInteger(bits) || bits < 0) {
    throw invalidConfig(`runtimeConfig.bandwidth.${field} is not a number of bits`);
  }
  return bits;
}

/**
 * By a name in any case, as Go reads JSON, and so every reference plugin: containerd writes `HostPort` and `IngressRate`, CRI-O `hostPort`.
 */
function member(value: Mapping, name: string): unknown {
  if (value[name] !== undefined) return value[name];
  const folded = name.toLowerCase();
  const key = Object.keys(value).find((other) => other.toLowerCase() === folded);
  return key === undefined ? undefined : value[key];
}

function portOf(value: unknown, field: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 65535) {
    throw invalidConfig(`${field} is not a port`);
  }
  return value;
}

function protocolOf(value: unknown, field: string): Protocol {
  const found = typeof value === 'string' ? PROTOCOLS[value.toLowerCase()] : undefined;
  if (found === undefined) throw invalidConfig(`${field} is not tcp, udp or sctp`);
  return found;
}

/** null = every address of the node. 0.0.0.0 and :: stay: they ask for one family, and a pod may ask for both. */
function hostIpOf(value: unknown, field: string): string | null {
  if (value === '') return null;
  if (typeof value === 'string') {
    try {
      return canonicalIp(value);
    } catch {
      // Told below, with the field.
    }
  }
  throw invalidConfig(`${field} is not an IP address`);
}
