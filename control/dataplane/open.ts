/** Opens the wasm backend over AF_XDP: tables in this thread, packets in one worker or several. */
import { setFlagsFromString } from 'node:v8';
import { loadNative } from '../../native/index.js';
import { WasmBackend } from '../backends/wasm/backend.js';
import { type MemorySpec, openMemories, planMemory } from '../backends/wasm/memory.js';
import { compilePipeline } from '../backends/wasm/pipeline.js';
import type { Runner } from '../backends/wasm/runner.js';
import { SeveralThreads } from './several-threads.js';
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
  readonly runner: XdpRunner;
  /** Of the first worker; images are the same in all. */
  readonly memory: WebAssembly.Memory;
}

export interface XdpRunner extends Runner {
  /** Ends a worker (default: the first); another takes over with the same tables and sessions. */
  replaceWorker(reason: string, index?: number): void;
}

/** Throws PipelineError, NativeUnavailableError (as the worker's end) or DataPlaneLostError when it cannot start. */
export async function openXdpBackend(spec: XdpBackendSpec): Promise<XdpBackend> {
  const plan = planMemory(spec.memory);
  const native = loadNative();
  const share = (views: readonly Uint8Array[]): void => native.shareMemory(views);
  const memories = openMemories(plan, share, (bytes) => native.preferHugePages(bytes));
  const [memory, ...others] = memories;
  // Optimised code from the first packet on (15 ms here), whatever the process's other threads and priorities are.
  setFlagsFromString('--no-liftoff');
  setFlagsFromString('--no-wasm-lazy-compilation');
  const module = await compilePipeline();
  const specs = memories.map((memory) => ({ ...spec, module, memory, plan }));
  const runner =
    others.length === 0
      ? await ThreadRunner.start({ ...spec, module, memory, plan })
      : await SeveralThreads.start(specs);
  return { backend: new WasmBackend(plan, memory, runner, others), runner, memory };
}
