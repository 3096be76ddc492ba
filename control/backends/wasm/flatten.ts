/**
 * From ordered rules to disjoint intervals: what one policy does to one class of peers, for every protocol and port. Pure.
 * Semantics: PolicyItem in control/ruleset/types.ts.
 */
import { ACTION_ALLOW, ACTION_DENY, RULE_OPEN } from '../../../dataplane-as/layout/index.js';
import type { PortRange, Tier } from '../../ruleset/types.js';
import { PROTOCOL_NUMBERS } from './bytes.js';

/** Ends included, over protocol << 16 | port. */
export interface KeyRange {
  readonly from: number;
  readonly to: number;
}

export interface FlatRule {
  readonly tier: Tier;
  readonly action: 'allow' | 'deny' | 'pass';
  /** null = every protocol and port. */
  readonly ranges: readonly KeyRange[] | null;
  readonly rule: number;
}

export interface Interval extends KeyRange {
  readonly action: number;
  readonly rule: number;
}

/** Sorted, disjoint intervals; what none covers gets the default. `id` is equal for equal contents. */
export interface PortSet {
  readonly id: string;
  readonly intervals: readonly Interval[];
  readonly action: number;
  readonly rule: number;
}

/** All 256 protocols with all ports. */
export const LAST_KEY = 0xffffff;

export function keyRanges(ports: readonly PortRange[] | null): readonly KeyRange[] | null {
  if (ports === null || ports.some((range) => range.protocol === null)) return null;
  return ports.map(({ protocol, from, to }) => {
    const base = protocol === null ? 0 : PROTOCOL_NUMBERS[protocol] << 16;
    return { from: base + from, to: base + to };
  });
}

/**
 * Flattens the rules that match one class of peers, in their order. `denied` is the rule of the default deny when the
 * direction is isolated, null when it is not.
 */
export function flatten(rules: readonly FlatRule[], denied: number | null): PortSet {
  const cuts = [0];
  for (const { ranges } of rules) {
    if (ranges === null) continue;
    for (const { from, to } of ranges) {
      cuts.push(from);
      if (to < LAST_KEY) cuts.push(to + 1);
    }
  }
  cuts.sort((a, b) => a - b);
  const segments: { from: number; to: number; action: number; rule: number }[] = [];
  for (let i = 0; i < cuts.length; i++) {
    const from = cuts[i] ?? 0;
    const to = (cuts[i + 1] ?? LAST_KEY + 1) - 1;
    // Cut here more than once.
    if (to < from) continue;
    const { action, rule } = judge(rules, denied, from);
    const last = segments.at(-1);
    if (last !== undefined && last.action === action && last.rule === rule) last.to = to;
    else segments.push({ from, to, action, rule });
  }
  // The last segment holds the protocols without ports: what holds there is what holds where nothing special is said.
  const rest = segments.at(-1) ?? { action: ACTION_ALLOW, rule: RULE_OPEN };
  const intervals = segments.filter((s) => s.action !== rest.action || s.rule !== rest.rule);
  const id = [
    `${rest.action}:${rest.rule}`,
    ...intervals.map((i) => `${i.from}-${i.to}=${i.action}:${i.rule}`),
  ];
  return { id: id.join(), intervals, action: rest.action, rule: rest.rule };
}

const OPEN_TIERS: readonly Tier[] = ['admin', 'network', 'baseline'];
const ISOLATED_TIERS: readonly Tier[] = ['admin', 'network'];

/** What the rules say about one key: admin, then network, then (only where nothing isolates) baseline. */
function judge(
  rules: readonly FlatRule[],
  denied: number | null,
  key: number,
): { readonly action: number; readonly rule: number } {
  const tiers = denied === null ? OPEN_TIERS : ISOLATED_TIERS;
  for (const tier of tiers) {
    for (const rule of rules) {
      if (rule.tier !== tier) continue;
      if (rule.ranges !== null && !rule.ranges.some(({ from, to }) => from <= key && key <= to)) continue;
      if (rule.action === 'pass') break;
      return { action: rule.action === 'allow' ? ACTION_ALLOW : ACTION_DENY, rule: rule.rule };
    }
  }
  return denied === null ? { action: ACTION_ALLOW, rule: RULE_OPEN } : { action: ACTION_DENY, rule: denied };
}
