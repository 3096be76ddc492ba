/**
 * Outcomes out of VPP's counters. VPP counts what it receives by interface, drops by interface and by reason, and some answers; what
 * it sent on is the rest. So every packet received has exactly one outcome, whatever VPP counts in more than one place.
 */
import { Growth } from './growth.js';
import { reasonOf, unknownDrop } from './reasons.js';
import type { Sample } from './sample.js';

/** sw_if_indexes of what a node has. */
export interface Roles {
  /** Where packets come from: of the interface items. */
  readonly ports: ReadonlySet<number>;
  readonly uplink: ReadonlySet<number>;
  readonly host: ReadonlySet<number>;
  readonly tunnels: ReadonlySet<number>;
}

const NO_REASON = 'drop-vpp-other';
/** Drops that an ICMP error was sent for, in the order in which the errors are shared out. */
const TOLD_OF: Readonly<Record<string, readonly string[]>> = {
  'ttl-exceeded-sent': ['drop-ttl'],
  'fragmentation-needed-sent': ['drop-mtu'],
  'reject-sent': ['drop-port', 'drop-no-route', 'drop-route-drop'],
};

export class OutcomeCounter {
  readonly #growth = new Growth();
  readonly #totals = new Map<string, number>();
  /** Packets received less packets with an outcome: below 0 when VPP dropped packets of its own making. */
  #open = 0;

  /** The totals after this sample. */
  add(sample: Sample, roles: Roles): Readonly<Record<string, number>> {
    const grown = new Grown(sample, this.#growth);
    const counts = grown.ended();
    this.#open += grown.sum(roles.ports, 'rx');
    for (const count of counts.values()) this.#open -= count;
    const sent = Math.max(0, this.#open);
    this.#open -= sent;
    for (const [name, count] of waysOf(sent, grown, roles)) counts.set(name, (counts.get(name) ?? 0) + count);
    for (const [name, count] of counts) this.#totals.set(name, (this.#totals.get(name) ?? 0) + count);
    return Object.fromEntries([...this.#totals].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** What came since the sample before. */
class Grown {
  readonly #ports: readonly { rx: number; tx: number; dropped: number; punted: number; spoken: number }[];
  readonly #errors = new Map<string, number>();

  constructor(sample: Sample, growth: Growth) {
    this.#ports = sample.ports.map((port, index) => {
      const of = (what: string, count: number): number => growth.of(`${index} ${what}`, count, port.name);
      return {
        rx: of('rx', port.rx.packets),
        tx: of('tx', port.tx.packets),
        dropped: of('dropped', port.dropped),
        punted: of('punted', port.punted),
        spoken: of('spoken', port.spoken),
      };
    });
    for (const [error, count] of sample.errors) {
      const grown = growth.of(error, count);
      if (grown > 0) this.#errors.set(error, grown);
    }
  }

  sum(ports: Iterable<number>, what: 'rx' | 'tx' | 'spoken'): number {
    let sum = 0;
    for (const index of ports) sum += this.#ports[index]?.[what] ?? 0;
    return sum;
  }

  /** Outcomes of the packets that were not sent on. */
  ended(): Map<string, number> {
    const counts = new Map<string, number>();
    const add = (name: string, count: number): void => {
      if (count > 0) counts.set(name, (counts.get(name) ?? 0) + count);
    };
    const told: [string, number][] = [];
    const unknown: [string, number][] = [];
    let explained = 0;
    for (const [error, count] of this.#errors) {
      const [node, text] = split(error);
      const reason = reasonOf(node, text);
      if (reason === null) unknown.push([unknownDrop(node, text), count]);
      else if (reason.kind === 'told') told.push([reason.outcome, count]);
      else if (reason.kind !== 'figure') add(reason.outcome, count);
      if (reason?.kind === 'drop') explained += count;
    }
    // What nobody knows is a reason if VPP dropped more than the known ones explain.
    let rest = Math.max(0, this.#dropped() - explained);
    for (const [name, count] of unknown) {
      const taken = Math.min(rest, count);
      add(name, taken);
      rest -= taken;
    }
    add(NO_REASON, rest);
    for (const [name, count] of told) share(counts, name, count);
    return counts;
  }

  /** On all interfaces, tunnels too; what is VPP's own making is counted on the first one, `local0`. */
  #dropped(): number {
    return this.#ports.slice(1).reduce((sum, { dropped, punted }) => sum + dropped + punted, 0);
  }
}

/** Packets that an ICMP error was sent for were counted as dropped: they are that error's outcome. */
function share(counts: Map<string, number>, name: string, count: number): void {
  // IPv4 says with the same type that a packet is too long: all that are get an error.
  const drops = name === 'reject-sent' ? ['drop-mtu', ...(TOLD_OF[name] ?? [])] : (TOLD_OF[name] ?? []);
  let left = count;
  for (const drop of drops) {
    const taken = Math.min(left, counts.get(drop) ?? 0);
    if (taken === 0) continue;
    left -= taken;
    counts.set(drop, (counts.get(drop) ?? 0) - taken);
    const outcome = drop === 'drop-mtu' ? 'fragmentation-needed-sent' : name;
    counts.set(outcome, (counts.get(outcome) ?? 0) + taken);
  }
}

/** Where so many packets went, by what the interfaces sent less what VPP said of its own. Pods have the rest. */
function waysOf(sent: number, grown: Grown, roles: Roles): [string, number][] {
  const tunnels = grown.sum(roles.tunnels, 'tx');
  const uplink = grown.sum(roles.uplink, 'tx') - grown.sum(roles.uplink, 'spoken') - tunnels;
  const host = grown.sum(roles.host, 'tx') - grown.sum(roles.host, 'spoken');
  let rest = sent;
  const ways: [string, number][] = [];
  for (const [name, count] of [
    ['forward-tunnel', tunnels],
    ['forward-uplink', uplink],
    ['forward-host', host],
    ['forward-pod', sent],
  ] as const) {
    const taken = Math.min(rest, Math.max(0, count));
    if (taken > 0) ways.push([name, taken]);
    rest -= taken;
  }
  return ways;
}

function split(error: string): [node: string, error: string] {
  const slash = error.indexOf('/');
  return [error.slice(0, slash), error.slice(slash + 1)];
}
