/**
 * What holds beside the policies, as access lists that all pods share. Pure.
 *
 * An interface with a list in one direction has one in the other, always: a connection's session, made by its first packet, is what
 * lets its answers through the other list. So every pod's connections have sessions, and know who opened them, before any policy comes.
 */
import type { Ip } from '../../../ruleset/types.js';
import {
  type AclAction,
  aclRule,
  ICMP,
  ICMP6,
  type NotedRule,
  type Range,
  type RuleNote,
  TCP,
  TCP_ACK,
  TCP_SYN,
  UDP,
} from './acl-rules.js';
import { DEFAULT_ALLOW } from './port-table.js';

/** Where Linux and most others begin to take the ports of clients. */
const EPHEMERAL = 32768;
const SERVER_PORTS: Range = [0, EPHEMERAL - 1];
const CLIENT_PORTS: Range = [EPHEMERAL, 65535];
const NOTHING: Range = [0, 0];
const FAMILIES = [4, 6] as const;

/** A direction that no policy judges. */
export function openRules(): NotedRule[] {
  const note: RuleNote = { text: DEFAULT_ALLOW, allowed: true, direction: null };
  return [
    ownReports(),
    ...FAMILIES.flatMap((family) => [
      ...middleOfTcp(family, 'permit', note),
      { rule: aclRule('reflect', family), note },
    ]),
  ];
}

/**
 * VPP reports on every interface, once, which multicast groups it listens to there; nobody asks. CNAT, which is next, would take the packet
 * for one of a flow.
 */
export function ownReports(): NotedRule {
  return {
    rule: aclRule('deny', 6, { destination: 'ff02::16/128' }),
    note: { text: 'membership reports of VPP are for nobody', allowed: false, direction: null },
  };
}

/** In front of a policy where another one judges the other direction: TCP of which nobody knows who opened it. */
export function strayRules(): NotedRule[] {
  const note: RuleNote = { text: 'no connection known that it is part of', allowed: false, direction: null };
  return FAMILIES.flatMap((family) => middleOfTcp(family, 'deny', note));
}

/**
 * TCP that begins nothing and has no session, unless it comes from a client's port to a server's: that is taken for what it looks
 * like and judged as the beginning of its connection (sessions are lost when VPP is restarted). The rest may be what a server goes on
 * sending after a policy has ended the connection; a session made for it would bring the connection back to life.
 */
function middleOfTcp(family: 4 | 6, action: AclAction, note: RuleNote): NotedRule[] {
  const tcp = { protocol: TCP };
  const going = { mask: TCP_SYN, value: 0 };
  const answer = { mask: TCP_SYN | TCP_ACK, value: TCP_SYN | TCP_ACK };
  return [
    { ...tcp, flags: going, sourcePorts: SERVER_PORTS },
    { ...tcp, flags: going, sourcePorts: CLIENT_PORTS, destinationPorts: CLIENT_PORTS },
    { ...tcp, flags: answer },
  ].map((match) => ({ rule: aclRule(action, family, match), note }));
}

/** Addresses that reach this node's pods whatever the policies say. */
export interface Exempt {
  /** Of the node itself and its host's stack. */
  readonly node: readonly Ip[];
  /** Sources of a pod that meets itself through a Service. */
  readonly hairpin: readonly Ip[];
}

/** In front of what judges packets to a pod. */
export function toPodRules({ node, hairpin }: Exempt): NotedRule[] {
  const from = (address: Ip, text: string): NotedRule => ({
    rule: aclRule('reflect', familyOf(address), { source: hostPrefix(address) }),
    note: { text, allowed: true, direction: 'ingress' },
  });
  return [
    ownReports(),
    ...node.map((address) => from(address, NODE_TEXT)),
    ...hairpin.filter((address) => !node.includes(address)).map((address) => from(address, SELF_TEXT)),
    ...icmpErrors(),
    ...neighborDiscovery(),
    ...laterFragments(),
  ];
}

/** In front of what judges packets from a pod. */
export function fromPodRules({ hairpin }: Exempt): NotedRule[] {
  return [
    ...hairpin.map((address) => ({
      rule: aclRule('reflect', familyOf(address), { destination: hostPrefix(address) }),
      note: { text: SELF_TEXT, allowed: true, direction: 'egress' } as const,
    })),
    ...neighborDiscovery(),
  ];
}

/**
 * What a pod sends to itself, on its way to the pod. That the packet is for the pod goes without saying; saying it would make a mask of
 * its own, where this one is that of the node's addresses and of peers.
 */
export function selfToPodRules(addresses: readonly Ip[]): NotedRule[] {
  return addresses.map((address) => ({
    rule: aclRule('reflect', familyOf(address), { source: hostPrefix(address) }),
    note: { text: SELF_TEXT, allowed: true, direction: 'ingress' },
  }));
}

/** What a pod sends to itself, on its way from the pod, and its questions whether its gateway is still there. */
export function selfFromPodRules(addresses: readonly Ip[], gateways: readonly Ip[]): NotedRule[] {
  return [
    ...addresses.map((address) => ({
      rule: aclRule('reflect', familyOf(address), { destination: hostPrefix(address) }),
      note: { text: SELF_TEXT, allowed: true, direction: 'egress' } as const,
    })),
    ...gateways
      .filter((gateway) => familyOf(gateway) === 6)
      .flatMap((gateway) => discovery({ destination: hostPrefix(gateway) })),
  ];
}

const NODE_TEXT = 'a node may reach its own pods';
const SELF_TEXT = 'a pod may reach itself';

/**
 * Errors come from routers and servers on the way and are of no session; without them a pod learns neither the path's MTU nor that
 * nobody listens. Only towards pods: a pod that may not send could speak by them. (Destination unreachable, packet too big, time
 * exceeded, parameter problem.) One rule for each type: a range would make a mask of the protocol alone, shared with what follows.
 */
function icmpErrors(): NotedRule[] {
  const types = [
    ...[3, 11, 12].map((type) => [4, type] as const),
    ...[1, 2, 3, 4].map((type) => [6, type] as const),
  ];
  return types.map(([family, type]) => ({
    rule: aclRule('permit', family, { protocol: family === 4 ? ICMP : ICMP6, sourcePorts: [type, type] }),
    note: { text: 'ICMP errors reach a pod', allowed: true, direction: 'ingress' },
  }));
}

/** Link-local neighbor solicitation and advertisement, which no router forwards. */
function neighborDiscovery(): NotedRule[] {
  return [...discovery({ source: 'fe80::/64' }), ...discovery({ destination: 'fe80::/64' })];
}

function discovery(ends: { readonly source?: string; readonly destination?: string }): NotedRule[] {
  return [135, 136].map((type) => ({
    rule: aclRule('permit', 6, { protocol: ICMP6, sourcePorts: [type, type], ...ends }),
    note: { text: 'neighbors find each other', allowed: true, direction: null },
  }));
}

/**
 * VPP matches later fragments, which have no ports, by address and protocol alone. Towards a pod they pass: without the first one,
 * which is judged, nobody can put them together.
 */
function laterFragments(): NotedRule[] {
  return FAMILIES.flatMap((family) =>
    [TCP, UDP].map((protocol) => ({
      rule: aclRule('permit', family, { protocol, sourcePorts: NOTHING, destinationPorts: NOTHING }),
      note: { text: 'later fragments reach a pod', allowed: true, direction: 'ingress' as const },
    })),
  );
}

function familyOf(address: Ip): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

function hostPrefix(address: Ip): string {
  return `${address}/${address.includes(':') ? 128 : 32}`;
}
