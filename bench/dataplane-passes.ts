/**
 * The loops that enter WebAssembly, a batch at a time. This module is loaded anew for each memory, and its functions are optimised for the one
 * pipeline that they call then, as a worker's loop is: where one loop has called several, V8 no longer knows what it enters, which takes
 * 6 ns each time.
 */

export type Feed = (
  source: number,
  flows: number,
  n: number,
  frames: number,
  frameSize: number,
  length: number,
  port: number,
) => void;
export type Process = (n: number, nowMs: number) => void;

/** What Feed is called with, in this order. */
export type Packets = Readonly<Parameters<Feed>>;

/**
 * `batches` of the feed; each goes through the pipeline unless that is null. Both are entered from here, so that subtracting the feed leaves what
 * entering the pipeline costs.
 */
export function passes(
  feed: Feed,
  process: Process | null,
  batches: number,
  packets: Packets,
  now: number,
): void {
  const [source, flows, n, frames, frameSize, length, port] = packets;
  for (let i = 0; i < batches; i++) {
    feed(source, flows, n, frames, frameSize, length, port);
    if (process !== null) process(n, now);
  }
}

/** Passes without packets. */
export function emptyPasses(process: Process, batches: number, now: number): void {
  for (let i = 0; i < batches; i++) process(0, now);
}
