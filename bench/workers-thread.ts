/** One worker of bench/workers.ts: its pipeline over a memory that was prepared, fed by copies of prepared batches. */
import { parentPort, workerData } from 'node:worker_threads';
import { startPipeline } from '../control/backends/wasm/pipeline.js';
import * as L from '../dataplane-as/layout/index.js';

export interface WorkerSpec {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Where the batches lie, each a vector followed by its frames; where those frames go. */
  readonly prepared: number;
  readonly batches: number;
  readonly batchBytes: number;
  readonly frames: number;
  /** GO. */
  readonly shared: SharedArrayBuffer;
}

/** Counted up to start a round. */
export const GO = 0;
export const VECTOR_BYTES = L.BATCH * L.VECTOR_SIZE;

/** What one round is: so many passes over the batches `first` to `last`. */
export interface Round {
  readonly first: number;
  readonly last: number;
  readonly passes: number;
  readonly go: number;
}

if (parentPort !== null) {
  const port = parentPort;
  const { module, memory, prepared, batchBytes, frames, shared } = workerData as WorkerSpec;
  const bytes = new Uint8Array(memory.buffer);
  const words = new Int32Array(shared);
  const pipeline = startPipeline(module, memory);
  port.on('message', ({ first, last, passes, go }: Round) => {
    // All begin at once.
    while (Atomics.load(words, GO) < go) Atomics.wait(words, GO, go - 1);
    const start = performance.now();
    for (let pass = 0; pass < passes; pass++) {
      for (let batch = first; batch < last; batch++) {
        const at = prepared + batch * batchBytes;
        bytes.copyWithin(L.VECTOR_BASE, at, at + VECTOR_BYTES);
        bytes.copyWithin(frames, at + VECTOR_BYTES, at + batchBytes);
        pipeline.process(L.BATCH, 1_000_000);
      }
    }
    const elapsed = performance.now() - start;
    port.postMessage(elapsed);
  });
  port.postMessage('ready');
}
