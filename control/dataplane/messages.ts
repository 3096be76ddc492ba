/** What the data plane's main thread and its worker say to each other. Plain data. */
import type { FeedCounters, Link } from '../backends/wasm/feed.js';
import type { MemoryPlan } from '../backends/wasm/memory.js';
import type { Neighbor } from '../backends/wasm/routes.js';

/** What a worker is started with. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly netns: string | null;
  /** Microseconds without packets before the worker sleeps. */
  readonly spinMicros: number;
  /** SHARED_WORDS words of 32 bits. */
  readonly shared: SharedArrayBuffer;
}

// Words shared by both threads.
/** Worker: counted up each round; a worker whose word stands still is stuck. */
export const HEARTBEAT = 0;
/** Main: messages posted so far; the worker looks into its port only when this moved. */
export const POSTED = 1;
/** Worker: how often the pipeline trapped and was started anew. */
export const TRAPS = 2;
export const SHARED_WORDS = 16;

export type Request =
  | { readonly type: 'open'; readonly id: number; readonly port: number; readonly link: Link }
  | { readonly type: 'close'; readonly id: number; readonly port: number }
  | { readonly type: 'counters'; readonly id: number; readonly ports: readonly number[] }
  | { readonly type: 'neighbors'; readonly id: number; readonly neighbors: readonly Neighbor[] }
  | { readonly type: 'stop'; readonly id: number };

/** An error as it crosses a thread or process border. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly retryable: boolean;
}

export type Answer =
  | { readonly type: 'ready'; readonly wakeFd: number }
  | { readonly type: 'done'; readonly id: number; readonly error: PlainError | null }
  | { readonly type: 'counters'; readonly id: number; readonly counters: readonly FeedCounters[] };
