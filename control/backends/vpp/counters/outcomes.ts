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
  /** What VPP has for itself: nothing that is dropped there ever came from outside. */
  readonly own: ReadonlySet<number>;
  /** Loopbacks that others' packets pass: what they say of their own there is multicast, and they hear it themselves. */
  readonly loops: ReadonlySet<number>;
}

/** A route that drops gives no reason; the packet is counted under the last thing that was said of it, which is none. */
const NO_REASON = 'drop-no-route';
/** Drops that an ICMP error was sent for, in the order in which the errors are shared out. */
const TOLD_OF: Readonly<Record<string, readonly string[]>> = {
  'ttl-exceeded-sent': ['drop-ttl'],
  'fragmentation-needed-sent': ['drop-mtu'],
  'reject-sent': ['drop-port', 'drop-no-route', 'drop-route-drop'],
};

/** What VPP says of its own that ends as a drop, likeliest first: multicast reports, which access lists keep from pods and the host, and discovery. */
const OWN_DROPS = [
  ...['drop-multicast', 'drop-policy-ingress', 'drop-nd', 'drop-arp', 'nd-learned', 'arp-learned'],
];

export class OutcomeCounter {
  readonly #growth = new Growth();
  readonly #totals = new Map<string, number>();
  /** Ends of packets whose arrival was not read yet. */
  #early = new Map<string, number>();

  /** The totals after this sample; their sum is what the ports have received. */
  add(sample: Sample, roles: Roles): Readonly<Record<string, number>> {
    const grown = new Grown(sample, this.#growth);
    const counts = grown.ended();
    const drops = [...counts.keys()].filter((name) => name.startsWith('drop-'));
    take(counts, grown.sum(roles.loops, 'dropped'), ['drop-multicast']);
    take(counts, grown.sum(roles.own, 'dropped'), [...OWN_DROPS, ...drops]);
    const received = grown.sum(roles.ports, 'rx');
    const over = sum(counts) + sum(this.#early) - received;
    // What finds no arrival now either never had one: VPP counted it twice, or made it itself.
    take(this.#early, over, [...this.#early.keys()]);
    for (const [name, count] of this.#early) add(counts, name, count);
    const ended = sum(counts);
    this.#early = take(counts, ended - received, [...counts.keys()]);
    for (const [name, count] of waysOf(Math.max(0, received - ended), grown, roles)) add(counts, name, count);
    for (const [name, count] of counts) add(this.#totals, name, count);
    return Object.fromEntries([...this.#totals].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}

function add(counts: Map<string, number>, name: string, count: number): void {
  if (count > 0) counts.set(name, (counts.get(name) ?? 0) + count);
}

/** Takes so many away, as far as there are any under these names; returns what was taken. */
function take(counts: Map<string, number>, count: number, names: readonly string[]): Map<string, number> {
  const taken = new Map<string, number>();
  let left = count;
  for (const name of names) {
    const there = counts.get(name) ?? 0;
    const part = Math.min(left, there);
    if (part <= 0) continue;
    counts.set(name, there - part);
    taken.set(name, part);
    left -= part;
  }
  return taken;
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

  sum(ports: Iterable<number>, what: 'rx' | 'tx' | 'spoken' | 'dropped'): number {
    let sum = 0;
    for (const index of ports) sum += this.#ports[index]?.[what] ?? 0;
    return sum;
  }

  /** Outcomes of the packets that were not sent on. */
  ended(): Map<string, number> {
    const counts = new Map<string, number>();
    const told: [string, number][] = [];
    const unknown: [string, number][] = [];
    let explained = 0;
    for (const [error, count] of this.#errors) {
      const [node, text] = split(error);
      const reason = reasonOf(node, text);
      if (reason === null) unknown.push([unknownDrop(node, text), count]);
      else if (reason.kind === 'told') told.push([reason.outcome, count]);
      else if (reason.kind !== 'figure') add(counts, reason.outcome, count);
      if (reason?.kind === 'drop') explained += count;
    }
    // What nobody knows is a reason if VPP dropped more than the known ones explain.
    let rest = Math.max(0, this.#dropped() - explained);
    for (const [name, count] of unknown) {
      const taken = Math.min(rest, count);
      add(counts, name, taken);
      rest -= taken;
    }
    add(counts, NO_REASON, rest);
    for (const [name, count] of told) share(counts, name, count);
    return counts;
  }

  /** On all interfaces, VPP's own too: their reasons are among the others. */
  #dropped(): number {
    return this.#ports.reduce((sum, { dropped, punted }) => sum + dropped + punted, 0);
  }
}

/** Packets that an ICMP error was sent for were counted as dropped: they are that error's outcome. */
function share(counts: Map<string, number>, name: string, count: number): void {
  // IPv4 says with the same type that a packet is too long: all that are get an error.
  const drops = name === 'reject-sent' ? ['drop-mtu', ...(TOLD_OF[name] ?? [])] : (TOLD_OF[name] ?? []);
  for (const [drop, part] of take(counts, count, drops)) {
    add(counts, drop === 'drop-mtu' ? 'fragmentation-needed-sent' : name, part);
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

/** Interfaces, whose nodes are called after them, may have slashes in their names. */
const INTERFACE_NODE = /^(.+?-(?:tx|output))\/(.+)$/;

function split(name: string): [node: string, error: string] {
  const [, node, error] = INTERFACE_NODE.exec(name) ?? [];
  if (node !== undefined && error !== undefined) return [node, error];
  const slash = name.indexOf('/');
  return [name.slice(0, slash), name.slice(slash + 1)];
}
