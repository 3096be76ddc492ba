/** VPP's ACL plugin as far as policies need it, plainly: rules in order, sessions. What the renderer makes is tested against it. */
import { cidrContains, parseCidr, parseIp } from '../../../common/ip.js';
import type { Ip } from '../../../ruleset/types.js';
import { type AclRule, ICMP, ICMP6, TCP, UDP } from './acl-rules.js';

export interface AclPacket {
  readonly source: Ip;
  readonly destination: Ip;
  readonly protocol: number;
  /** ICMP: the type. */
  readonly sourcePort: number;
  /** ICMP: the code. */
  readonly destinationPort: number;
  readonly flags: number;
}

/** Index of the rule that decides, or null: denied, as VPP denies what no rule of a list matches. */
export function firstMatch(rules: readonly AclRule[], packet: AclPacket): number | null {
  const found = rules.findIndex((rule) => matches(rule, packet));
  return found < 0 ? null : found;
}

function matches(rule: AclRule, packet: AclPacket): boolean {
  const within = (cidr: string, address: Ip): boolean => cidrContains(cidrOf(cidr), ipOf(address));
  if (!within(rule.source, packet.source) || !within(rule.destination, packet.destination)) return false;
  if (rule.protocol === 0) return true;
  if (rule.protocol !== packet.protocol) return false;
  // The ports of other protocols are not read.
  const read = [TCP, UDP, ICMP, ICMP6].includes(packet.protocol);
  const [from, to] = read ? [packet.sourcePort, packet.destinationPort] : [0, 0];
  if (from < rule.sourcePorts[0] || from > rule.sourcePorts[1]) return false;
  if (to < rule.destinationPorts[0] || to > rule.destinationPorts[1]) return false;
  return packet.protocol !== TCP || (packet.flags & rule.flags.mask) === rule.flags.value;
}

/** A function that remembers what it answered: the same few texts are read over and over. */
function remembering<T>(read: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    let found = known.get(text);
    if (found === undefined) {
      found = read(text);
      known.set(text, found);
    }
    return found;
  };
}

const cidrOf = remembering(parseCidr);
const ipOf = remembering(parseIp);

/** One interface with its lists; reclassifies sessions when a list changes. */
export class AclInterface {
  /** Tuple and direction → the epoch of the list that let its first packet through. */
  readonly #sessions = new Map<string, { readonly input: boolean; readonly epoch: number }>();
  #input: { readonly rules: readonly AclRule[]; readonly epoch: number } = { rules: [], epoch: 0 };
  #output: { readonly rules: readonly AclRule[]; readonly epoch: number } = { rules: [], epoch: 0 };

  set(input: readonly AclRule[], output: readonly AclRule[]): void {
    this.#input = { rules: input, epoch: this.#input.epoch + 1 };
    this.#output = { rules: output, epoch: this.#output.epoch + 1 };
  }

  /** Whether the packet passes. `input`: it comes from the station behind the interface. */
  pass(input: boolean, packet: AclPacket): boolean {
    const list = input ? this.#input : this.#output;
    const name = tuple(input, packet);
    const session = this.#sessions.get(name);
    if (session !== undefined) {
      // Only packets of the direction in which the session was made are judged again.
      if (session.input !== input || session.epoch === list.epoch) return true;
      this.#sessions.delete(name);
      this.#sessions.delete(answer(input, packet) ?? '');
    }
    const index = firstMatch(list.rules, packet);
    const action = index === null ? 'deny' : list.rules[index]?.action;
    if (action === 'reflect') {
      const made = { input, epoch: list.epoch };
      this.#sessions.set(name, made);
      const reverse = answer(input, packet);
      if (reverse !== null) this.#sessions.set(reverse, made);
    }
    return action !== 'deny';
  }
}

function tuple(input: boolean, packet: AclPacket): string {
  const { source, destination, protocol, sourcePort, destinationPort } = packet;
  return [input, source, destination, protocol, sourcePort, destinationPort].join();
}

/** The tuple of the answers; null: a message of ICMP that has none. */
function answer(input: boolean, packet: AclPacket): string | null {
  const { source: destination, destination: source, protocol } = packet;
  const reversed = { ...packet, source, destination };
  if (protocol === ICMP || protocol === ICMP6) {
    const type = new Map([
      [8, 0],
      [128, 129],
    ]).get(packet.sourcePort);
    return type === undefined ? null : tuple(!input, { ...reversed, sourcePort: type });
  }
  return tuple(!input, {
    ...reversed,
    sourcePort: packet.destinationPort,
    destinationPort: packet.sourcePort,
  });
}
