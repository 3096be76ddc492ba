/** Access lists as both sides of the benchmark get them: words in typed arrays, addresses in host order. */

/** Words of a rule: source, its length, destination, its length, source ports, destination ports, protocol, 0. */
export const RULE_WORDS = 8;
export const RULE_SRC = 0;
export const RULE_SRC_LENGTH = 1;
export const RULE_DST = 2;
export const RULE_DST_LENGTH = 3;
/** First port | last port << 16. */
export const RULE_SRC_PORTS = 4;
export const RULE_DST_PORTS = 5;
/** Protocol number, or ANY_PROTOCOL. */
export const RULE_PROTOCOL = 6;
export const ANY_PROTOCOL = 0xffffffff;
export const ANY_PORT = 0xffff0000;

/** Words of a header: source, destination, source port | destination port << 16, protocol. */
export const HEADER_WORDS = 4;
export const HEADER_SRC = 0;
export const HEADER_DST = 1;
export const HEADER_PORTS = 2;
export const HEADER_PROTOCOL = 3;

/** An ordered list, the first match decides, and packets to ask it about. */
export interface AccessList {
  readonly name: string;
  readonly rules: Uint32Array;
  readonly headers: Uint32Array;
}

export interface RuleSpec {
  readonly src: number;
  readonly srcLength: number;
  readonly dst: number;
  readonly dstLength: number;
  readonly srcPorts: number;
  readonly dstPorts: number;
  readonly protocol: number;
}

/** All ones above the host bits. */
export function maskOf(length: number): number {
  return length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
}

export function packRules(rules: readonly RuleSpec[]): Uint32Array {
  const words = new Uint32Array(rules.length * RULE_WORDS);
  for (const [i, rule] of rules.entries()) {
    const { src, srcLength, dst, dstLength, srcPorts, dstPorts, protocol } = rule;
    words.set([src, srcLength, dst, dstLength, srcPorts, dstPorts, protocol], i * RULE_WORDS);
  }
  return words;
}
