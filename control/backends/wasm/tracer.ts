/** Starts and stops the pipeline's trace and collects its records from the ring before they are overwritten. */
import * as L from '../../../dataplane-as/layout.js';
import { InvalidInputError, PteropusError } from '../../common/errors.js';
import { parseIp } from '../../common/ip.js';
import type { Trace, TraceFilter, TraceStep } from '../backend.js';
import { ip4Word } from './bytes.js';
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
    const source = addressWord('source', filter.source);
    const destination = addressWord('destination', filter.destination);
    this.#running = true;
    this.#set(L.CTL_TRACE_SRC, source);
    this.#set(L.CTL_TRACE_DST, destination);
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

  #get(offset: number): number {
    return Atomics.load(this.#words, (L.CONTROL_BASE + offset) >>> 2);
  }

  #set(offset: number, value: number): void {
    Atomics.store(this.#words, (L.CONTROL_BASE + offset) >>> 2, value);
  }
}

function addressWord(field: string, address: string | undefined): number {
  if (address === undefined) return 0;
  parseIp(address);
  const word = ip4Word(address);
  if (word === null)
    throw new InvalidInputError('only IPv4 addresses can be traced', { field, value: address });
  return word;
}
