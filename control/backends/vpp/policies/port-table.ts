/**
 * What one policy does to one class of peers, for every protocol and port: tiers, passes and the default deny are dealt with here,
 * so that what is left is a table of verdicts. Pure. Semantics: PolicyItem in control/ruleset/types.ts.
 */
import { formatOrigin } from '../../../ruleset/format.js';
import type { PolicyItem, PolicyRule, PortRange, Protocol, Tier } from '../../../ruleset/types.js';

export interface Verdict {
  readonly allowed: boolean;
  /** The rule's origin, or which default it is. */
  readonly text: string;
}

/** Ports of one protocol, ends included. */
export interface Segment {
  readonly from: number;
  readonly to: number;
  readonly verdict: Verdict;
}

/** Equal verdicts are one object within a policy, so that tables are compared by `===`. */
export interface PortTable {
  /** Sorted; together all ports, neighbours differ. */
  readonly TCP: readonly Segment[];
  readonly UDP: readonly Segment[];
  /** Always one segment: VPP does not read SCTP's ports. */
  readonly SCTP: readonly Segment[];
  /** ICMP and all protocols without ports. */
  readonly other: Verdict;
}

export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
export const DEFAULT_ALLOW = 'default allow (no policy decides)';
const LAST_PORT = 65535;

/** Makes the tables of one policy. */
export class PortTables {
  readonly #tiers: readonly Tier[];
  readonly #fallback: Verdict;
  readonly #rules: readonly { readonly rule: PolicyRule; readonly verdict: Verdict }[];

  constructor(policy: PolicyItem) {
    const isolated = policy.isolatedBy.length > 0;
    const verdicts = new Map<string, Verdict>();
    const verdict = (allowed: boolean, text: string): Verdict => {
      const name = `${allowed} ${text}`;
      const known = verdicts.get(name) ?? { allowed, text };
      verdicts.set(name, known);
      return known;
    };
    // A pod that a NetworkPolicy selects is done after that tier.
    this.#tiers = isolated ? ['admin', 'network'] : ['admin', 'network', 'baseline'];
    const isolating = policy.isolatedBy.map(formatOrigin).join(', ');
    this.#fallback = isolated
      ? verdict(false, `default deny (${policy.direction} isolated by ${isolating})`)
      : verdict(true, DEFAULT_ALLOW);
    this.#rules = policy.rules.map((rule) => ({
      rule,
      verdict: verdict(rule.action === 'allow', formatOrigin(rule.origin)),
    }));
  }

  /** For peers whom the rules of these indexes name. */
  of(matching: ReadonlySet<number>): PortTable {
    const rules = this.#rules.filter((_, i) => matching.has(i));
    const judge = (protocol: Protocol | null, port: number): Verdict => {
      for (const tier of this.#tiers) {
        const found = rules.find(({ rule }) => rule.tier === tier && covers(rule.ports, protocol, port));
        if (found !== undefined && found.rule.action !== 'pass') return found.verdict;
      }
      return this.#fallback;
    };
    const segments = (protocol: Protocol): Segment[] =>
      merge(cutsOf(rules, protocol).map(({ from, to }) => ({ from, to, verdict: judge(protocol, from) })));
    const sctp = segments('SCTP').map(({ verdict }) => verdict);
    // Closed unless all ports are open.
    const strictest = sctp.find(({ allowed }) => !allowed) ?? sctp[0] ?? this.#fallback;
    return {
      TCP: segments('TCP'),
      UDP: segments('UDP'),
      SCTP: [{ from: 0, to: LAST_PORT, verdict: strictest }],
      other: judge(null, 0),
    };
  }
}

function covers(ports: readonly PortRange[] | null, protocol: Protocol | null, port: number): boolean {
  if (ports === null) return true;
  return ports.some(
    (range) =>
      range.protocol === null || (range.protocol === protocol && range.from <= port && port <= range.to),
  );
}

/** The stretches of ports within which no rule begins or ends. */
function cutsOf(
  rules: readonly { readonly rule: PolicyRule }[],
  protocol: Protocol,
): { readonly from: number; readonly to: number }[] {
  const starts = new Set([0]);
  for (const { rule } of rules) {
    for (const range of rule.ports ?? []) {
      if (range.protocol !== protocol) continue;
      starts.add(range.from);
      if (range.to < LAST_PORT) starts.add(range.to + 1);
    }
  }
  const sorted = [...starts].sort((a, b) => a - b);
  return sorted.map((from, i) => ({ from, to: (sorted[i + 1] ?? LAST_PORT + 1) - 1 }));
}

function merge(segments: readonly Segment[]): Segment[] {
  const merged: Segment[] = [];
  for (const segment of segments) {
    const last = merged.at(-1);
    if (last !== undefined && last.verdict === segment.verdict)
      merged[merged.length - 1] = { ...last, to: segment.to };
    else merged.push(segment);
  }
  return merged;
}
