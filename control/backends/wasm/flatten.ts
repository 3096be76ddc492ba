/**
 * From ordered rules to a port set: what one policy does to one class of peers, for every protocol and port. Pure. Semantics: PolicyItem
 * in control/ruleset/types.ts.
 */
import * as L from '../../../dataplane-as/layout/index.js';
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

/** All 256 protocols with all ports. */
export const LAST_KEY = 0xffffff;

const LINE = L.PORTSET_SIZE / 4;

export function keyRanges(ports: readonly PortRange[] | null): readonly KeyRange[] | null {
  if (ports === null || ports.some((range) => range.protocol === null)) return null;
  return ports.map(({ protocol, from, to }) => {
    const base = protocol === null ? 0 : PROTOCOL_NUMBERS[protocol] << 16;
    return { from: base + from, to: base + to };
  });
}

/**
 * Flattens the rules that match one class of peers, in their order, into lines as they lie in an image (PORTSET_SIZE in
 * dataplane-as/layout), at least one; equal for rules that do the same. `denied` is the rule of the default deny when the direction is
 * isolated, null when it is not.
 */
export function flatten(rules: readonly FlatRule[], denied: number | null): Uint32Array {
  const cuts = cutsOf(rules);
  froms.length = 0;
  verdicts.length = 0;
  let last = -1;
  for (let i = 0; i < cuts.length; i++) {
    const from = cuts[i] ?? 0;
    if (from === cuts[i + 1]) continue;
    const verdict = judge(rules, denied, from);
    if (verdict === last) continue;
    froms.push(from);
    verdicts.push(verdict);
    last = verdict;
  }
  // The last stretch holds the protocols without ports: what holds there is what holds where nothing special is said.
  let special = 0;
  for (let i = 0; i < verdicts.length; i++) if (verdicts[i] !== last) special++;
  const lines = Math.max(1, Math.ceil(special / L.PORTSET_INTERVALS));
  const words = new Uint32Array(lines * LINE);
  for (let at = 0; at < words.length; at += LINE) {
    for (let i = 0; i < L.PORTSET_INTERVALS; i++) words[at + i] = L.PORTSET_NO_FROM;
    words[at + L.PORTSET_VERDICT / 4 + L.PORTSET_INTERVALS] = last;
  }
  let next = 0;
  for (let i = 0; i < verdicts.length; i++) {
    const verdict = verdicts[i] ?? 0;
    if (verdict === last) continue;
    const at = Math.floor(next / L.PORTSET_INTERVALS) * LINE + (next % L.PORTSET_INTERVALS);
    words[at + L.PORTSET_FROM / 4] = froms[i] ?? 0;
    words[at + L.PORTSET_TO / 4] = (froms[i + 1] ?? LAST_KEY + 1) - 1;
    words[at + L.PORTSET_VERDICT / 4] = verdict;
    next++;
  }
  words[L.PORTSET_LINES / 4] = lines;
  return words;
}

/** Stretches of keys with the same verdict begin at `froms`. In use during one call only. */
const froms: number[] = [];
const verdicts: number[] = [];

/** Every key from which on another set of ranges holds, in order; some of them more than once. */
function cutsOf(rules: readonly FlatRule[]): readonly number[] {
  const cuts = [0];
  for (let r = 0; r < rules.length; r++) {
    const ranges = rules[r]?.ranges ?? NO_RANGES;
    for (let i = 0; i < ranges.length; i++) {
      const { from, to } = ranges[i] as KeyRange;
      cuts.push(from);
      if (to < LAST_KEY) cuts.push(to + 1);
    }
  }
  if (cuts.length > FEW) return cuts.sort((a, b) => a - b);
  // Most rules have a port or two.
  for (let i = 1; i < cuts.length; i++) {
    const cut = cuts[i] ?? 0;
    let at = i;
    for (; at > 0 && (cuts[at - 1] ?? 0) > cut; at--) cuts[at] = cuts[at - 1] ?? 0;
    cuts[at] = cut;
  }
  return cuts;
}

const NO_RANGES: readonly KeyRange[] = [];
const FEW = 16;
const OPEN_TIERS: readonly Tier[] = ['admin', 'network', 'baseline'];
const ISOLATED_TIERS: readonly Tier[] = ['admin', 'network'];

/** What the rules say about one key, as a verdict's word: admin, then network, then (only where nothing isolates) baseline. */
function judge(rules: readonly FlatRule[], denied: number | null, key: number): number {
  const tiers = denied === null ? OPEN_TIERS : ISOLATED_TIERS;
  for (let t = 0; t < tiers.length; t++) {
    for (let r = 0; r < rules.length; r++) {
      const rule = rules[r] as FlatRule;
      if (rule.tier !== tiers[t] || !holds(rule, key)) continue;
      if (rule.action === 'pass') break;
      return ((rule.action === 'allow' ? L.VERDICT_ALLOW : 0) | rule.rule) >>> 0;
    }
  }
  return denied ?? (L.VERDICT_ALLOW | L.RULE_OPEN) >>> 0;
}

function holds({ ranges }: FlatRule, key: number): boolean {
  if (ranges === null) return true;
  for (let i = 0; i < ranges.length; i++) {
    const { from, to } = ranges[i] as KeyRange;
    if (from <= key && key <= to) return true;
  }
  return false;
}
