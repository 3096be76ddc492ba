/** Counters out of the shared memory, under their names. */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Counters, InterfaceCounters, TableUse, WorkerCounters } from '../backend.js';
import type { FeedCounters } from './feed.js';
import type { FreshIndexes, Lowering } from './lowering.js';
import { OUTCOME_NAMES, WELL_KNOWN_RULES } from './outcomes.js';

const SERVICE_COUNTER_SIZE = 16;

/**
 * Reads the counters. The worker only ever counts up; when a table index gets a new meaning, what it counted before is
 * remembered here and subtracted.
 */
export class CounterReader {
  /** By worker. */
  readonly #views: readonly DataView[];
  readonly #base = new Map<number, number>();

  constructor(memories: readonly WebAssembly.Memory[]) {
    this.#views = memories.map((memory) => new DataView(memory.buffer));
  }

  /** Starts the counters of indexes anew that mean something new. */
  restart(fresh: FreshIndexes): void {
    for (const port of fresh.ports) {
      for (let word = 0; word < L.PORT_COUNTER_SIZE; word += 8) this.#rebase(portAt(port) + word);
    }
    for (const rule of fresh.rules) this.#rebase(ruleAt(rule));
    for (const service of fresh.services) {
      this.#rebase(serviceAt(service));
      this.#rebase(serviceAt(service) + 8);
    }
  }

  /** @param lost what the feed lost, by port: counted among the interface's drops */
  read(lowering: Lowering, lost: ReadonlyMap<number, FeedCounters | undefined>): Counters {
    const interfaces: Record<string, InterfaceCounters> = {};
    for (const [port, key] of lowering.ports.indexes()) interfaces[key] = this.#port(port, lost.get(port));
    const outcomes: Record<string, number> = {};
    for (const [code, name] of OUTCOME_NAMES) outcomes[name] = this.#count(L.OUTCOMES_BASE + code * 8);
    const services: Record<string, { connections: number; packets: number }> = {};
    for (const [index, key] of lowering.services.indexes()) {
      const at = serviceAt(index);
      services[key] = { connections: this.#count(at), packets: this.#count(at + 8) };
    }
    const rules: Record<string, number> = {};
    const addRule = (rule: number, text: string | undefined): void => {
      if (text !== undefined) rules[text] = (rules[text] ?? 0) + this.#count(ruleAt(rule));
    };
    for (const [rule, text] of WELL_KNOWN_RULES) addRule(rule, text);
    for (const rule of lowering.policies.rules()) addRule(rule, lowering.policies.ruleText(rule));
    const session = (word: number): number => this.#count(L.SESSION_STATS_BASE + word);
    const sessions = {
      active: this.#active(),
      created: session(L.SS_CREATED),
      evicted: session(L.SS_EVICTED),
      expired: session(L.SS_EXPIRED),
    };
    const workers = this.#views.length === 1 ? {} : { workers: this.#views.map(workerOf) };
    return { interfaces, outcomes, services, rules, sessions, tables: tablesOf(lowering), ...workers };
  }

  #port(port: number, lost: FeedCounters | undefined): InterfaceCounters {
    const at = portAt(port);
    return {
      rxPackets: this.#count(at + L.PC_RX_PACKETS),
      rxBytes: this.#count(at + L.PC_RX_BYTES),
      txPackets: this.#count(at + L.PC_TX_PACKETS),
      txBytes: this.#count(at + L.PC_TX_BYTES),
      drops: this.#count(at + L.PC_DROPS) + (lost?.rxDropped ?? 0) + (lost?.txDropped ?? 0),
      ...(lost?.mode === undefined ? {} : { mode: lost.mode }),
      ...(lost?.sends === undefined ? {} : { sends: lost.sends }),
    };
  }

  /** One worker ends what another one opened: only the sum of all means something, and it is never below 0 for long. */
  #active(): number {
    const at = L.SESSION_STATS_BASE + L.SS_ACTIVE;
    const sum = this.#views.reduce((total, view) => total + view.getBigUint64(at, true), 0n);
    return Math.max(0, Number(BigInt.asIntN(64, sum)));
  }

  #rebase(at: number): void {
    this.#base.set(at, this.#raw(at));
  }

  #count(at: number): number {
    return this.#raw(at) - (this.#base.get(at) ?? 0);
  }

  /** What all workers counted. */
  #raw(at: number): number {
    let sum = 0;
    for (const view of this.#views) sum += countAt(view, at);
    return sum;
  }
}

/** A u64 as a number; the low word is read again if the high one moved meanwhile. */
function countAt(view: DataView, at: number): number {
  for (;;) {
    const high = view.getUint32(at + 4, true);
    const low = view.getUint32(at, true);
    if (view.getUint32(at + 4, true) === high) return high * 2 ** 32 + low;
  }
}

/** Every packet has one outcome. */
function workerOf(view: DataView): WorkerCounters {
  let packets = 0;
  for (let code = 0; code < L.OUTCOME_COUNT; code++) packets += countAt(view, L.OUTCOMES_BASE + code * 8);
  return { packets };
}

/** Tables of one name are parts of one. */
function tablesOf({ ledger }: Lowering): Readonly<Record<string, TableUse>> {
  const tables: Record<string, TableUse> = {};
  for (const { table, used, limit } of ledger.tables) {
    const other = tables[table] ?? { used: 0, limit: 0 };
    tables[table] = { used: other.used + used, limit: other.limit + limit };
  }
  return tables;
}

function portAt(port: number): number {
  return L.PORT_COUNTERS_BASE + port * L.PORT_COUNTER_SIZE;
}

function ruleAt(rule: number): number {
  return L.RULE_COUNTERS_BASE + rule * 8;
}

function serviceAt(service: number): number {
  return L.SERVICE_COUNTERS_BASE + service * SERVICE_COUNTER_SIZE;
}
