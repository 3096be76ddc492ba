/**
 * Counters of what is in force, out of VPP's statistics. VPP's own start at 0 when a thing is made anew: what they said before is
 * remembered here, as long as the thing is wanted.
 */
import type { Counters, InterfaceCounters } from '../../backend.js';
import { EDGE_INTERFACE, GATEWAY_INTERFACE, interfaceKey, PING_INTERFACE } from '../objects/names.js';
import type { ObjectKey } from '../objects/types.js';
import type { InForce } from '../observe.js';
import { TURN } from '../services/turn.js';
import type { Stats } from '../stats/stats.js';
import { Growth } from './growth.js';
import { OutcomeCounter, type Roles } from './outcomes.js';
import { RuleCounter } from './rules.js';
import { type PortSample, type Sample, takeSample } from './sample.js';
import { ServiceCounter } from './services.js';
import { SessionCounter } from './sessions.js';
import { tablesOf } from './tables.js';

/** At least so long between two readings that nobody asked for. */
const TAKE_UP_MS = 100;

export class CounterReader {
  readonly #outcomes = new OutcomeCounter();
  readonly #rules = new RuleCounter();
  readonly #services = new ServiceCounter();
  readonly #sessions = new SessionCounter();
  readonly #interfaces = new InterfaceCounter();
  #takenUp = Number.NEGATIVE_INFINITY;

  /** @param stats of the VPP at hand; a VPP that starts again needs another reader */
  constructor(private readonly stats: Stats) {}

  /** Throws as Stats does, and as the API. */
  async read(state: InForce): Promise<Counters> {
    const sample = await takeSample(this.stats);
    const { services, ...counters } = this.#add(sample, state);
    const created = Object.values(services).reduce((sum, { connections }) => sum + connections, 0);
    const sessions = await this.#sessions.add(sample, state, created);
    return { ...counters, services, sessions, tables: tablesOf(sample) };
  }

  /**
   * Remembers what was counted of what is about to change. Changes that follow one another quickly are not worth a reading each: what is
   * counted between them may be missing.
   */
  async takeUp(state: InForce): Promise<void> {
    if (performance.now() - this.#takenUp < TAKE_UP_MS) return;
    this.#add(await takeSample(this.stats), state);
    this.#takenUp = performance.now();
  }

  #add(sample: Sample, state: InForce): Pick<Counters, 'interfaces' | 'outcomes' | 'services' | 'rules'> {
    return {
      interfaces: this.#interfaces.add(sample, state),
      outcomes: this.#outcomes.add(sample, rolesOf(state)),
      services: this.#services.add(sample, state),
      rules: this.#rules.add(sample, state),
    };
  }
}

function rolesOf({ items, handles, objects }: InForce): Roles {
  const [ports, uplink, host, tunnels] = [
    new Set<number>(),
    new Set<number>(),
    new Set<number>(),
    new Set<number>(),
  ];
  const own = new Set([LOCAL]);
  const note = (key: ObjectKey, ...sets: readonly Set<number>[]): void => {
    const index = handles.find(key);
    if (index !== undefined) for (const set of sets) set.add(index);
  };
  for (const item of items.values()) {
    if (item.kind !== 'interface') continue;
    const special = item.role === 'pod' ? [] : [item.role === 'uplink' ? uplink : host];
    note(interfaceKey(item.key), ports, ...special);
  }
  for (const { key } of objects.values()) if (key.startsWith('if/tunnel/')) note(key, tunnels);
  note(GATEWAY_INTERFACE, own);
  const loops = new Set<number>();
  for (const key of [EDGE_INTERFACE, PING_INTERFACE, TURN.key]) note(key, loops);
  return { ports, uplink, host, tunnels, own, loops };
}

/** sw_if_index of `local0`, which every VPP has. */
const LOCAL = 0;

const FIELDS = ['rxPackets', 'rxBytes', 'txPackets', 'txBytes', 'drops'] as const;

class InterfaceCounter {
  readonly #growth = new Growth();
  #totals = new Map<string, InterfaceCounters>();

  add(sample: Sample, { items, handles }: InForce): Record<string, InterfaceCounters> {
    const totals = new Map<string, InterfaceCounters>();
    const kept = new Set<string>();
    for (const { kind, key } of items.values()) {
      const index = kind === 'interface' ? handles.find(interfaceKey(key)) : undefined;
      const port = index === undefined ? undefined : sample.ports[index];
      if (port === undefined) continue;
      const now = figuresOf(port);
      const before = this.#totals.get(key);
      const total = { ...now };
      for (const field of FIELDS) {
        kept.add(`${key} ${field}`);
        const grown = this.#growth.of(`${key} ${field}`, now[field]);
        total[field] = (before?.[field] ?? 0) + grown;
      }
      totals.set(key, total);
    }
    this.#growth.keep(kept);
    this.#totals = totals;
    return Object.fromEntries(totals);
  }
}

function figuresOf(port: PortSample): Record<(typeof FIELDS)[number], number> {
  return {
    rxPackets: port.rx.packets,
    rxBytes: port.rx.bytes,
    txPackets: port.tx.packets,
    txBytes: port.tx.bytes,
    drops: port.dropped + port.punted + port.missed,
  };
}
