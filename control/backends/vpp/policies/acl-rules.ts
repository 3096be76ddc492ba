/** Rules of VPP's ACL plugin: what one says, where it came from, and how it is written in a message. */
import type { Cidr } from '../../../ruleset/types.js';
import type { Value } from '../api/api.js';

/** `permit` lets one packet through, `reflect` the whole connection: later packets of both directions pass by its session. */
export type AclAction = 'deny' | 'permit' | 'reflect';

/** Ends included. */
export type Range = readonly [first: number, last: number];

export interface AclRule {
  readonly action: AclAction;
  /** Both of one family. */
  readonly source: Cidr;
  readonly destination: Cidr;
  /** IP protocol number; 0 = any, and then neither ports nor flags are looked at. */
  readonly protocol: number;
  /** ICMP: the type. */
  readonly sourcePorts: Range;
  /** ICMP: the code. */
  readonly destinationPorts: Range;
  /** TCP flags: of those in the mask, exactly those in the value are set. */
  readonly flags: { readonly mask: number; readonly value: number };
}

/** Where a rule came from, in the words of counters and traces. */
export interface RuleNote {
  /** `NetworkPolicy shop/web spec.ingress[0]`, or what it is that needs no policy. */
  readonly text: string;
  readonly allowed: boolean;
  /** Which direction of the pod was judged; null = the rule serves both. */
  readonly direction: 'ingress' | 'egress' | null;
}

/** Notes of an ACL, one for each of its rules. */
export interface AclNotes {
  readonly rules: readonly RuleNote[];
}

export interface AclSpec {
  readonly rules: readonly AclRule[];
}

/** A list of rules while it is made: rules and notes side by side. */
export interface NotedRule {
  readonly rule: AclRule;
  readonly note: RuleNote;
}

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMP6 = 58;
export const SCTP = 132;

export const TCP_SYN = 0x02;
export const TCP_ACK = 0x10;

export const ALL_PORTS: Range = [0, 65535];
export const NO_FLAGS: AclRule['flags'] = { mask: 0, value: 0 };

/** Everything of a family. */
export const EVERYWHERE: Readonly<Record<4 | 6, Cidr>> = { 4: '0.0.0.0/0', 6: '::/0' };

/** A rule that says what is given, and of everything else nothing. */
export function aclRule(
  action: AclAction,
  family: 4 | 6,
  rest: Partial<Omit<AclRule, 'action'>> = {},
): AclRule {
  return {
    action,
    source: EVERYWHERE[family],
    destination: EVERYWHERE[family],
    protocol: 0,
    sourcePorts: ALL_PORTS,
    destinationPorts: ALL_PORTS,
    flags: NO_FLAGS,
    ...rest,
  };
}

const ACTIONS: Readonly<Record<AclAction, string>> = {
  deny: 'ACL_ACTION_API_DENY',
  permit: 'ACL_ACTION_API_PERMIT',
  reflect: 'ACL_ACTION_API_PERMIT_REFLECT',
};

/** Those of our rules, by the names of VPP's enum `ip_proto`. */
const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [0, 'IP_API_PROTO_HOPOPT'],
  [ICMP, 'IP_API_PROTO_ICMP'],
  [TCP, 'IP_API_PROTO_TCP'],
  [UDP, 'IP_API_PROTO_UDP'],
  [ICMP6, 'IP_API_PROTO_ICMP6'],
  [SCTP, 'IP_API_PROTO_SCTP'],
]);

/** The fields of message type `acl_rule`. */
export function encodeRule(rule: AclRule): { readonly [field: string]: Value } {
  return {
    is_permit: ACTIONS[rule.action],
    src_prefix: rule.source,
    dst_prefix: rule.destination,
    proto: PROTOCOLS.get(rule.protocol) ?? rule.protocol,
    srcport_or_icmptype_first: rule.sourcePorts[0],
    srcport_or_icmptype_last: rule.sourcePorts[1],
    dstport_or_icmpcode_first: rule.destinationPorts[0],
    dstport_or_icmpcode_last: rule.destinationPorts[1],
    tcp_flags_mask: rule.flags.mask,
    tcp_flags_value: rule.flags.value,
  };
}

/** A rule as VPP gives it back. What none of our rules says comes out as something none of ours is equal to. */
export function decodeRule(value: Value): AclRule {
  const fields = value as Readonly<Record<string, Value>>;
  const number = (name: string): number => Number(fields[name]);
  const action = (Object.keys(ACTIONS) as AclAction[]).find((name) => ACTIONS[name] === fields['is_permit']);
  const proto = fields['proto'];
  const named = [...PROTOCOLS].find(([, name]) => name === proto)?.[0];
  return {
    action: action ?? 'deny',
    source: String(fields['src_prefix']),
    destination: String(fields['dst_prefix']),
    protocol: named ?? (typeof proto === 'number' ? proto : -1),
    sourcePorts: [number('srcport_or_icmptype_first'), number('srcport_or_icmptype_last')],
    destinationPorts: [number('dstport_or_icmpcode_first'), number('dstport_or_icmpcode_last')],
    flags: { mask: number('tcp_flags_mask'), value: number('tcp_flags_value') },
  };
}
