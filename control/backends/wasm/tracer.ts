/** Starts and stops the pipeline's trace and collects its records from the ring before they are overwritten. */
import * as L from '../../../dataplane-as/layout/index.js';
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

/** The ring of one worker. */
class TraceRing {
  readonly #words: Uint32Array;
  readonly #view: DataView;
  #read = 0;
  #firstPacket = 0;

  constructor(memory: WebAssembly.Memory) {
    this.#words = new Uint32Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
  }

  start(filter: TraceFilter, family: number): void {
    this.#set(L.CTL_TRACE_FAMILY, family);
    this.#setAddress(L.CTL_TRACE_SRC, L.CTL_TRACE_SRC6, filter.source);
    this.#setAddress(L.CTL_TRACE_DST, L.CTL_TRACE_DST6, filter.destination);
    this.#set(L.CTL_TRACE_PROTOCOL, filter.protocol ?? 0);
    this.#set(L.CTL_TRACE_PORT, filter.port ?? 0);
    this.#firstPacket = this.#get(L.CTL_TRACE_PACKETS);
    this.#read = this.#get(L.CTL_TRACE_HEAD);
    this.#set(L.CTL_TRACE_LEFT, filter.limit ?? DEFAULT_LIMIT);
  }

  stop(): void {
    this.#set(L.CTL_TRACE_LEFT, 0);
  }

  /** Steps that were not read yet; packets are numbered from 1 in each ring. */
  collect(lowering: Lowering): TraceStep[] {
    const steps: TraceStep[] = [];
    const head = this.#get(L.CTL_TRACE_HEAD);
    // Records that were overwritten before they were read are lost: the ring holds the newest ones.
    if ((head - this.#read) >>> 0 > L.TRACE_CAPACITY) this.#read = (head - L.TRACE_CAPACITY) >>> 0;
    for (; this.#read !== head; this.#read = (this.#read + 1) >>> 0) {
      const at = L.TRACE_BASE + (this.#read % L.TRACE_CAPACITY) * L.TRACE_SIZE;
      const step = traceStep(readRecord(this.#view, at), lowering);
      steps.push({ ...step, packet: (step.packet - this.#firstPacket) >>> 0 });
    }
    return steps;
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

export class Tracer {
  readonly #rings: readonly TraceRing[];
  #running = false;

  constructor(
    memories: readonly WebAssembly.Memory[],
    readonly lowering: Lowering,
  ) {
    this.#rings = memories.map((memory) => new TraceRing(memory));
  }

  /** Throws TraceBusyError, or InvalidInputError for an address that is none. */
  start(filter: TraceFilter): Trace {
    if (this.#running) throw new TraceBusyError('a trace is running already', { retryable: true });
    const family = familyOf(filter);
    this.#running = true;
    for (const ring of this.#rings) ring.start(filter, family);
    const found = this.#rings.map((): TraceStep[] => []);
    const collect = (): void => {
      for (const [i, ring] of this.#rings.entries()) found[i]?.push(...ring.collect(this.lowering));
    };
    const timer = setInterval(collect, POLL_MS).unref();
    return {
      stop: async () => {
        clearInterval(timer);
        if (this.#running) {
          for (const ring of this.#rings) ring.stop();
          collect();
          this.#running = false;
        }
        return found.length === 1 ? (found[0] ?? []) : merged(found, filter.limit ?? DEFAULT_LIMIT);
      },
    };
  }
}

/**
 * Packets of several workers in the order of their first steps, numbered anew; no more than `limit` of them. In one millisecond who opened
 * a connection came before who found it.
 */
function merged(found: readonly (readonly TraceStep[])[], limit: number): TraceStep[] {
  const packets = found.flatMap((steps) => {
    const byPacket = new Map<number, TraceStep[]>();
    for (const step of steps) {
      const list = byPacket.get(step.packet);
      if (list === undefined) byPacket.set(step.packet, [step]);
      else list.push(step);
    }
    return [...byPacket.values()];
  });
  const timeOf = (steps: readonly TraceStep[]): number => steps[0]?.time ?? 0;
  const finds = (steps: readonly TraceStep[]): number =>
    Number(steps.some(({ stage }) => stage === 'session'));
  packets.sort((a, b) => timeOf(a) - timeOf(b) || finds(a) - finds(b));
  return packets.slice(0, limit).flatMap((steps, i) => steps.map((step) => ({ ...step, packet: i + 1 })));
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
