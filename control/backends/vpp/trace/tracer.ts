/**
 * Traces packets by VPP's own tracer. It takes the next so many packets of the input nodes, whoever's they are; of those the ones
 * asked for are kept, and when it is full, it is emptied and goes on. So on a busy node packets are missed between two readings; on a
 * quiet one none.
 */
import { PteropusError } from '../../../common/errors.js';
import type { Trace, TraceFilter, TraceStep } from '../../backend.js';
import { VppRetvalError } from '../api/errors.js';
import type { InForce } from '../observe.js';
import { checkFilter, matches } from './filter.js';
import { joinHandoffs } from './handoff.js';
import { askNames, namesOf } from './names.js';
import { countPackets, parseTrace, type TracedPacket } from './parse.js';
import { stepsOf } from './steps.js';

const DEFAULT_LIMIT = 64;
/** Packets of each node until it is read. */
const DEPTH = 250;
const POLL_MS = 200;
/** Where packets of each kind of interface come in; those that a VPP has not are passed over. */
const INPUTS = ['af-packet-input', 'af_xdp-input', 'virtio-input', 'tap-input', 'memif-input', 'dpdk-input'];
const MOST = INPUTS.length * DEPTH;

/** A second trace was asked for while one is running. */
export class TraceBusyError extends PteropusError {}

export class Tracer {
  #running: RunningTrace | null = null;

  /** Throws TraceBusyError, InvalidInputError for a filter that cannot be, and as the API does. */
  async start(state: InForce, filter: TraceFilter): Promise<Trace> {
    if (this.#running !== null) throw new TraceBusyError('a trace is running already', { retryable: true });
    const trace = new RunningTrace(state, checkFilter(filter));
    this.#running = trace;
    try {
      await trace.start();
    } catch (error) {
      this.#running = null;
      throw error;
    }
    return {
      stop: async () => {
        try {
          return await trace.stop();
        } finally {
          if (this.#running === trace) this.#running = null;
        }
      },
    };
  }

  /** Ends a trace that nobody stopped. */
  async close(): Promise<void> {
    const trace = this.#running;
    this.#running = null;
    // The connection may be lost already: then there is nothing to end.
    await trace?.stop().catch(() => undefined);
  }
}

class RunningTrace {
  readonly #kept: TracedPacket[] = [];
  readonly #limit: number;
  #timer: NodeJS.Timeout | undefined;
  /** One reading at a time. */
  #reading: Promise<void> = Promise.resolve();
  #result: Promise<readonly TraceStep[]> | null = null;

  constructor(
    private readonly state: InForce,
    private readonly filter: TraceFilter,
  ) {
    this.#limit = filter.limit ?? DEFAULT_LIMIT;
  }

  async start(): Promise<void> {
    await this.#arm();
    this.#timer = setInterval(() => this.#poll(), POLL_MS).unref();
  }

  stop(): Promise<readonly TraceStep[]> {
    this.#result ??= this.#finish();
    return this.#result;
  }

  async #finish(): Promise<readonly TraceStep[]> {
    clearInterval(this.#timer);
    await this.#reading;
    this.#keep(await this.#show());
    await this.state.api.cli('clear trace');
    const names = namesOf(this.state, await askNames(this.state));
    return this.#kept.slice(0, this.#limit).flatMap((packet, i) => stepsOf(packet, i + 1, names));
  }

  #poll(): void {
    if (this.#kept.length >= this.#limit) clearInterval(this.#timer);
    // What goes wrong here goes wrong again when it is stopped, and is told there.
    else this.#reading = this.#reading.then(() => this.#emptyWhenFull()).catch(() => undefined);
  }

  async #emptyWhenFull(): Promise<void> {
    const text = await this.#show();
    if (countPackets(text) < DEPTH) return;
    await this.#arm();
    this.#keep(text);
  }

  async #arm(): Promise<void> {
    const { api } = this.state;
    await api.cli('clear trace');
    const armed = await Promise.all(INPUTS.map((node) => isTaken(api.cli(`trace add ${node} ${DEPTH}`))));
    if (!armed.includes(true))
      throw new PteropusError('VPP traces none of its input nodes', { value: INPUTS });
  }

  #show(): Promise<string> {
    return this.state.api.cli(`show trace max ${MOST}`);
  }

  #keep(text: string): void {
    for (const packet of joinHandoffs(parseTrace(text)))
      if (matches(packet, this.filter)) this.#kept.push(packet);
  }
}

/** False: VPP knows no such node, as its driver is not loaded. */
async function isTaken(answer: Promise<string>): Promise<boolean> {
  try {
    return !/unknown|error/i.test(await answer);
  } catch (error) {
    if (error instanceof VppRetvalError) return false;
    throw error;
  }
}
