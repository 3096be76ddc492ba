/** Opens the wasm backend inside this process, over the memory feed: for tests, simulation and machines without privileges. */
import { randomInt } from 'node:crypto';
import { loadNative } from '../../../native/index.js';
import type { Backend } from '../backend.js';
import { WasmBackend } from './backend.js';
import { InlineWorkers } from './inline-workers.js';
import { type MemoryPlan, type MemorySpec, openMemories, openMemory, planMemory } from './memory.js';
import type { MemoryLinks } from './memory-feed.js';
import { compilePipeline } from './pipeline.js';
import { InlineRunner } from './runner.js';

export interface WasmBackendSpec {
  /** The stations of this data plane (memory-feed.ts). */
  readonly feed: MemoryLinks;
  readonly memory?: MemorySpec;
  /** Which of `n` workers gets the next frame; by chance when absent. Only for several workers (memory.workers). */
  readonly choose?: (n: number) => number;
  /** Milliseconds of a monotonic clock; the process's own when absent. */
  readonly now?: () => number;
}

/** A wasm backend and what a test or a simulation may look at beside the interface. */
export interface OpenedWasmBackend extends Backend {
  readonly runner: { readonly restarts: number };
}

let compiled: Promise<WebAssembly.Module> | undefined;

/** Throws PipelineError when the pipeline is not built. */
export async function openWasmBackend(spec: WasmBackendSpec): Promise<OpenedWasmBackend> {
  const opened = await openWithMemory(spec);
  return opened.backend;
}

/** The same, with the memory in hand. */
export async function openWithMemory(spec: WasmBackendSpec): Promise<{
  readonly backend: OpenedWasmBackend;
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
}> {
  compiled ??= compilePipeline();
  const module = await compiled.catch((error: unknown) => {
    compiled = undefined;
    throw error;
  });
  const plan = planMemory(spec.memory);
  const now = spec.now ?? (() => performance.now());
  if (plan.workers > 1) {
    const memories = openMemories(plan, (views) => loadNative().shareMemory(views));
    const choose = spec.choose ?? ((n: number) => randomInt(n));
    const runner = new InlineWorkers(module, memories, plan, spec.feed, now, choose);
    const [memory, ...others] = memories;
    return { backend: new WasmBackend(plan, memory, runner, others), memory, plan };
  }
  const memory = openMemory(plan);
  const runner = new InlineRunner(module, memory, plan, spec.feed, now);
  return { backend: new WasmBackend(plan, memory, runner), memory, plan };
}
