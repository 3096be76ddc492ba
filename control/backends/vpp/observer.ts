/** Counters and traces of the VPP backend. */
import { loadNative, type StatsSegment } from '../../../native/index.js';
import { PteropusError } from '../../common/errors.js';
import type { Counters, Trace, TraceFilter } from '../backend.js';
import { CounterReader } from './counters/counters.js';
import type { InForce, Observer } from './observe.js';
import { Stats } from './stats/stats.js';
import { Tracer } from './trace/tracer.js';

/** Counters were asked for, and nobody said where VPP's statistics are. */
export class NoStatisticsError extends PteropusError {}

/** @param statsSocket VPP's statistics socket, opened when counters are first asked for; null: no counters */
export function openObserver(statsSocket: string | null): Observer {
  return new VppObserver(statsSocket);
}

class VppObserver implements Observer {
  readonly #tracer = new Tracer();
  #segment: StatsSegment | null = null;
  #reader: CounterReader | null = null;

  constructor(private readonly statsSocket: string | null) {}

  async counters(state: InForce): Promise<Counters> {
    if (this.statsSocket === null) throw new NoStatisticsError('no statistics socket is configured');
    this.#segment ??= loadNative().openStats(this.statsSocket);
    this.#reader ??= new CounterReader(new Stats(this.#segment));
    return await this.#reader.read(state);
  }

  async beforeChange(state: InForce): Promise<void> {
    // Whoever never asked for counters misses none. What cannot be read now is missing in the counters, and nowhere else.
    await this.#reader?.takeUp(state).catch(() => undefined);
  }

  trace(state: InForce, filter: TraceFilter): Promise<Trace> {
    return this.#tracer.start(state, filter);
  }

  async close(): Promise<void> {
    await this.#tracer.close();
    this.#segment?.close();
    this.#segment = null;
    this.#reader = null;
  }
}
