/** A difference as a person reads it, and as JSON. Pure. */
import type { Family } from '../common/ip.js';
import type { Judgement } from '../ruleset/evaluate.js';
import { formatLocated, type Locate } from '../ruleset/format.js';
import type { Origin } from '../ruleset/types.js';
import type { Entry } from './fold.js';
import type { Because, Ports } from './pairs.js';

export interface Difference {
  readonly entries: readonly Entry[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Those of the cluster. */
  readonly families: readonly Family[];
}

const SHOWN = 6;

export function formatDifference(
  { entries, added, removed, families: all }: Difference,
  locateOld: Locate,
  locateNew: Locate,
): string {
  const lines: string[] = [];
  for (const opens of [true, false]) {
    const some = entries.filter((entry) => entry.opens === opens);
    if (some.length === 0) continue;
    lines.push(opens ? 'opens' : 'closes');
    for (const { from, to, ports, because, families, pairs } of some) {
      const where = families.length === all.length ? '' : ` over ${families.map(familyName).join(', ')}`;
      const count = pairs > 1 ? `  (${pairs.toLocaleString('en-US')} pairs)` : '';
      lines.push(`  ${opens ? '+' : '-'} ${names(from)} → ${names(to)}  ${portsText(ports)}${where}${count}`);
      for (const decision of because) lines.push(...becauseLines(decision, locateOld, locateNew));
    }
    lines.push('');
  }
  lines.push(...added.map((name) => `note: ${name} is only in the new manifests: nothing to compare`));
  lines.push(...removed.map((name) => `note: ${name} is only in the old manifests: nothing to compare`));
  const [opened, closed] = [
    entries.filter(({ opens }) => opens).length,
    entries.filter(({ opens }) => !opens).length,
  ];
  lines.push(opened + closed === 0 ? 'nothing opens, nothing closes' : `${opened} open, ${closed} close`);
  return `${lines.join('\n')}\n`;
}

export function differenceJson({ entries, added, removed }: Difference): unknown {
  const plain = ({ from, to, ports, families, pairs, because }: Entry) => ({
    from,
    to,
    ports: ports.map(({ protocol, from: first, to: last }) =>
      protocol === 'ICMP' ? { protocol } : { protocol, from: first, to: last },
    ),
    families: families.map(familyName),
    pairs,
    because: because.map(({ direction, before, after }) => ({
      direction,
      before: judgementText(before, () => null),
      after: judgementText(after, () => null),
    })),
  });
  return {
    opens: entries.filter(({ opens }) => opens).map(plain),
    closes: entries.filter(({ opens }) => !opens).map(plain),
    added,
    removed,
  };
}

function familyName(family: Family): string {
  return `IPv${family}`;
}

function becauseLines(
  { direction, before, after }: Because,
  locateOld: Locate,
  locateNew: Locate,
): readonly string[] {
  return [
    `      ${direction.padEnd(7)} before: ${judgementText(before, locateOld)}`,
    `      ${''.padEnd(7)} after:  ${judgementText(after, locateNew)}`,
  ];
}

function judgementText(judgement: Judgement | null, locate: Locate): string {
  if (judgement === null) return 'no policy is asked';
  const { allowed, by, origin, isolatedBy } = judgement;
  const named = (o: Origin): string => formatLocated(o, locate);
  switch (by) {
    case 'rule':
      return `${allowed ? 'allowed' : 'denied'} by ${origin === null ? 'a rule' : named(origin)}`;
    case 'isolated':
      return `no rule of ${isolatedBy.map(named).join(', ')} allows it`;
    case 'open':
      return 'open: no policy selects it';
    case 'unmatched':
      return 'open: no rule says anything about it';
    default:
      return `allowed: ${by}`;
  }
}

/** `everything`, or `TCP 80, UDP, ICMP`: a protocol without ports stands for all of them. */
function portsText(ports: readonly Ports[]): string {
  const isWhole = ({ protocol, from, to }: Ports) => protocol === 'ICMP' || (from === 1 && to === 65535);
  if (ports.length === 4 && ports.every(isWhole)) return 'everything';
  return ports
    .map((range) => {
      const { protocol, from, to } = range;
      if (isWhole(range)) return protocol;
      return `${protocol} ${from === to ? from : `${from}-${to}`}`;
    })
    .join(', ');
}

function names(all: readonly string[]): string {
  if (all.length <= SHOWN) return all.join(', ');
  return `${all.slice(0, SHOWN - 1).join(', ')} and ${all.length - SHOWN + 1} more`;
}
