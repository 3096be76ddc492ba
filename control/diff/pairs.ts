/** What changes between two ends, over all protocols and ports, and what decided it before and after. Pure. */
import type { PaperCluster } from '../explain/cluster.js';
import type { Place } from '../explain/ends.js';
import { Kinds } from '../matrix/kinds.js';
import { judgements } from '../matrix/verdicts.js';
import { getOrMake } from '../model/label-index.js';
import type { Protocol } from '../objects/types.js';
import { canonical } from '../ruleset/canonical.js';
import type { Judgement } from '../ruleset/evaluate.js';
import type { PolicyItem } from '../ruleset/types.js';
import type { Party, Side } from './parties.js';

export type DiffProtocol = Protocol | 'ICMP';

/** Ports of one protocol, ends included; ICMP has 0-0. */
export interface Ports {
  readonly protocol: DiffProtocol;
  readonly from: number;
  readonly to: number;
}

/** One direction whose judgement made the difference. */
export interface Because {
  readonly direction: 'egress' | 'ingress';
  readonly before: Judgement | null;
  readonly after: Judgement | null;
}

export interface PairChange {
  readonly from: Party;
  readonly to: Party;
  readonly opens: boolean;
  readonly ports: readonly Ports[];
  readonly because: readonly Because[];
}

const LAST_PORT = 65535;
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

/** What changes between two ends, whoever they are. */
type Outcome = Pick<PairChange, 'opens' | 'ports' | 'because'>;

/** Every change between any two parties; a pod to itself is left out, as is what does not touch the cluster. */
export function* changesBetween(parties: readonly Party[], before: Side, after: Side): Iterable<PairChange> {
  const [old, now] = [new Kinds(before.cluster), new Kinds(after.cluster)];
  const kindOf = (kinds: Kinds, from: Place, to: Place): string =>
    `${kinds.of(from, to, 'egress')} ${kinds.of(to, from, 'ingress')}`;
  const known = new Map<string, readonly Outcome[]>();
  for (const from of parties) {
    for (const to of parties) {
      if (from === to || (from.type !== 'pod' && to.type !== 'pod')) continue;
      if (from.family !== to.family) continue;
      const key = `${kindOf(old, from.before, to.before)} | ${kindOf(now, from.after, to.after)}`;
      const outcomes = getOrMake(known, key, () =>
        outcomesOf(from, to, { kinds: old, cluster: before.cluster }, { kinds: now, cluster: after.cluster }),
      );
      for (const outcome of outcomes) yield { from, to, ...outcome };
    }
  }
}

interface Judged {
  readonly kinds: Kinds;
  readonly cluster: PaperCluster;
}

function outcomesOf(from: Party, to: Party, before: Judged, after: Judged): readonly Outcome[] {
  const found = new Map<string, Outcome & { readonly ports: Ports[] }>();
  for (const segment of segments([
    ...policiesOf(before.kinds, from.before, to.before),
    ...policiesOf(after.kinds, from.after, to.after),
  ])) {
    const asked = { protocol: segment.protocol, port: segment.from };
    const old = judgements(before.cluster, from.before, to.before, asked);
    const now = judgements(after.cluster, from.after, to.after, asked);
    const [was, is] = [passes(old), passes(now)];
    if (was === is) continue;
    const because = (['egress', 'ingress'] as const)
      .filter((direction) => (is ? old : now)[direction]?.allowed === false)
      .map((direction) => ({ direction, before: old[direction], after: now[direction] }));
    const key = canonical({ is, because });
    const known = found.get(key);
    if (known === undefined) found.set(key, { opens: is, ports: [segment], because });
    else join(known.ports, segment);
  }
  return [...found.values()];
}

function passes({ egress, ingress }: ReturnType<typeof judgements>): boolean {
  return egress?.allowed !== false && ingress?.allowed !== false;
}

function join(ports: Ports[], next: Ports): void {
  const last = ports.at(-1);
  if (last !== undefined && last.protocol === next.protocol && last.to + 1 === next.from)
    ports[ports.length - 1] = { ...last, to: next.to };
  else ports.push(next);
}

/** Ranges of ports in which no rule begins or ends: one of each is judged for all. */
function segments(policies: readonly PolicyItem[]): readonly Ports[] {
  const ranges = policies.flatMap(({ rules }) => rules.flatMap(({ ports }) => ports ?? []));
  const ofProtocols = PROTOCOLS.flatMap((protocol) => {
    const starts = new Set([1]);
    for (const range of ranges) {
      if (range.protocol !== protocol) continue;
      if (range.from > 1) starts.add(range.from);
      if (range.to < LAST_PORT) starts.add(range.to + 1);
    }
    const sorted = [...starts].sort((a, b) => a - b);
    return sorted.map((from, i) => ({ protocol, from, to: (sorted[i + 1] ?? LAST_PORT + 1) - 1 }));
  });
  return [...ofProtocols, { protocol: 'ICMP', from: 0, to: 0 }];
}

function policiesOf(kinds: Kinds, from: Place, to: Place): readonly PolicyItem[] {
  return [kinds.policyOf(from, 'egress'), kinds.policyOf(to, 'ingress')].filter((item) => item !== null);
}
