/** Starts and stops the pipeline's trace and collects its records from the ring before they are overwritten. */
import * as L from '../../../dataplane-as/layout.js';
import { InvalidInputError, PteropusError } from '../../common/errors.js';
import { parseIp } from '../../common/ip.js';
import type { Trace, TraceFilter, TraceStep } from '../backend.js';
import { ip4Word } from './bytes.js';
import { ip6Words, NO_ADDRESS6 } from './bytes6.js';
import type { Lowering } from './lowering.js';
import { readRecord, traceStep } from './trace-text.js';

const DEFAULT_LIMIT = 64;
const POLL_MS = 20;

/** A second trace was asked for while one is running. */
export class TraceBusyError extends PteropusError {}

export class Tracer {
  readonly #words: Uint32Array;
  readonly #view: DataView;
  #running = false;

  constructor(
    memory: WebAssembly.Memory,
    readonly lowering: Lowering,
  ) {
    this.#words = new Uint32Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
  }

  /** Throws TraceBusyError, or InvalidInputError for an address that is none. */
  start(filter: TraceFilter): Trace {
    if (this.#running) throw new TraceBusyError('a trace is running already', { retryable: true });
    const family = familyOf(filter);
    this.#running = true;
    this.#set(L.CTL_TRACE_FAMILY, family);
    this.#setAddress(L.CTL_TRACE_SRC, L.CTL_TRACE_SRC6, filter.source);
    this.#setAddress(L.CTL_TRACE_DST, L.CTL_TRACE_DST6, filter.destination);
    this.#set(L.CTL_TRACE_PROTOCOL, filter.protocol ?? 0);
    this.#set(L.CTL_TRACE_PORT, filter.port ?? 0);
    const firstPacket = this.#get(L.CTL_TRACE_PACKETS);
    let read = this.#get(L.CTL_TRACE_HEAD);
    this.#set(L.CTL_TRACE_LEFT, filter.limit ?? DEFAULT_LIMIT);
    const steps: TraceStep[] = [];
    const collect = (): void => {
      const head = this.#get(L.CTL_TRACE_HEAD);
      // Records that were overwritten before they were read are lost: the ring holds the newest ones.
      if ((head - read) >>> 0 > L.TRACE_CAPACITY) read = (head - L.TRACE_CAPACITY) >>> 0;
      for (; read !== head; read = (read + 1) >>> 0) {
        const at = L.TRACE_BASE + (read % L.TRACE_CAPACITY) * L.TRACE_SIZE;
        const step = traceStep(readRecord(this.#view, at), this.lowering);
        steps.push({ ...step, packet: (step.packet - firstPacket) >>> 0 });
      }
    };
    const timer = setInterval(collect, POLL_MS).unref();
    return {
      stop: async () => {
        clearInterval(timer);
        if (this.#running) {
          this.#set(L.CTL_TRACE_LEFT, 0);
          collect();
          this.#running = false;
        }
        return steps;
      },
    };
  }

  #setAddress(offset: number, offset6: number, address: string | undefined): void {
    this.#set(offset, (address === undefined ? null : ip4Word(address)) ?? 0);
    const words = (address === undefined ? null : ip6Words(address)) ?? NO_ADDRESS6;
    for (const [i, word] of words.entries()) this.#set(offset6 + i * 4, word);
  }

  #get(offset: number): number {
    return Atomics.load(this.#words, (L.CONTROL_BASE + offset) >>> 2);
  }

  #set(offset: number, value: number): void {
    Atomics.store(this.#words, (L.CONTROL_BASE + offset) >>> 2, value);
  }
}

/** The family of the filter's addresses, 0 = either. Throws InvalidInputError for addresses of two. */
function familyOf({ source, destination }: TraceFilter): number {
  const families = [source, destination].flatMap((text) => (text === undefined ? [] : parseIp(text).family));
  const [family = 0, other = family] = families;
  if (family !== other) {
    const value = { source, destination };
    throw new InvalidInputError('both addresses must be of one family', { field: 'destination', value });
  }
  return family;
}
