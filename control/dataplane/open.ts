/** Opens the wasm backend over AF_XDP: tables in this thread, packets in a worker. */
import { setFlagsFromString } from 'node:v8';
import { loadNative } from '../../native/index.js';
import { WasmBackend } from '../backends/wasm/backend.js';
import { type MemorySpec, openMemory, planMemory } from '../backends/wasm/memory.js';
import { compilePipeline } from '../backends/wasm/pipeline.js';
import { ThreadRunner } from './thread-runner.js';

export interface XdpBackendSpec {
  /** Path of the network namespace the links are in; null = this process's own. */
  readonly netns: string | null;
  readonly memory?: MemorySpec;
  readonly spinMicros?: number;
  /** Lines for the log: restarts, links that could not be opened again. */
  readonly log: (line: string) => void;
}

export interface XdpBackend {
  readonly backend: WasmBackend;
  readonly runner: ThreadRunner;
  readonly memory: WebAssembly.Memory;
}

/** Throws PipelineError, NativeUnavailableError (as the worker's end) or DataPlaneLostError when it cannot start. */
export async function openXdpBackend(spec: XdpBackendSpec): Promise<XdpBackend> {
  const plan = planMemory(spec.memory);
  const memory = openMemory(plan, (bytes) => loadNative().preferHugePages(bytes));
  // Optimised code from the first packet on (15 ms here), whatever the process's other threads and priorities are.
  setFlagsFromString('--no-liftoff');
  setFlagsFromString('--no-wasm-lazy-compilation');
  const module = await compilePipeline();
  const runner = await ThreadRunner.start({ ...spec, module, memory, plan });
  return { backend: new WasmBackend(plan, memory, runner), runner, memory };
}
