/** Loads the pipeline (build/dataplane.wasm, made of dataplane-as/) over a memory. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { PipelineError } from './errors.js';

/** The pipeline's exports. Times are milliseconds of one monotonic clock, modulo 2^32. */
export interface Pipeline {
  /** Takes the memory as it is: called once for each instance; sessions in it live on. */
  init(): void;
  /** Works on the first `n` packets of the vector. */
  process(n: number, nowMs: number): void;
  /** Takes in what other workers told, as `process` and `sweep` do. For several workers only. */
  /** Ages `lines` more session lines. */
  sweep(nowMs: number, lines: number): void;
  /**
   * Writes an ARP request for `address` (table word), to be sent on `port`, into the buffer of vector entry `at`. Returns its
   * length, 0 if the port cannot ask.
   */
  buildArp(at: number, address: number, port: number): number;
  /** Same for a neighbor in use that was not heard of for long, of the next `count` in the table; 0 = none. */
  refreshNeighbor(at: number, nowMs: number, count: number): number;
  /** 1 if the neighbor's MAC address is known. */
  neighborKnown(address: number, port: number): number;
  /** Where the IPv6 address (16 bytes) that the next two are about is to be written. */
  askedAddress6(): number;
  neighborKnown6(port: number): number;
  /** As buildArp: a neighbor solicitation. */
  buildSolicitation(at: number, port: number): number;
  refreshNeighbor6(at: number, nowMs: number, count: number): number;
}

const WASM_FILE = fileURLToPath(new URL('../../../../dataplane.wasm', import.meta.url));

/** Compiles the pipeline; the module can be sent to workers. */
export async function compilePipeline(file = WASM_FILE): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(await readFile(file));
  } catch (cause) {
    throw new PipelineError('the pipeline cannot be loaded: run `npm run build`', { object: file, cause });
  }
}

/** True for what the pipeline itself throws: a trap, or an abort. Anything else is a mistake of the code around it. */
export function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || error instanceof PipelineError;
}

/** Makes an instance over `memory` and initialises it. */
export function startPipeline(module: WebAssembly.Module, memory: WebAssembly.Memory): Pipeline {
  const abort = (): never => {
    throw new PipelineError('the pipeline aborted');
  };
  const pipeline = new WebAssembly.Instance(module, { env: { memory, abort } })
    .exports as unknown as Pipeline;
  pipeline.init();
  return pipeline;
}
