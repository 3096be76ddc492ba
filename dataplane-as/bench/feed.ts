/**
 * The benchmark's feed: copies prepared packets into frames and fills the vector, as a driver's receive would. Compiled apart
 * from the pipeline, over the same memory.
 */
import { V_ADDRESS, V_LENGTH, V_RX_PORT, V_TOTAL, VECTOR_BASE, VECTOR_SHIFT, VECTOR_SIZE } from '../layout';

/** The prepared packet that comes next. */
let next: u32 = 0;

/** Starts again with the first prepared packet. */
export function feedReset(): void {
  next = 0;
}

/**
 * `n` packets of as many flows, copies of the 64 bytes at `source` but for their ports: those of flow `first` and the ones after it.
 * TCP's checksum is then wrong, which no router looks at.
 */
export function feedSeries(
  source: usize,
  first: u32,
  n: u32,
  frames: usize,
  frameSize: u32,
  port: u32,
): void {
  for (let i: u32 = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    const to = frames + i * frameSize;
    v128.store(to, v128.load(source));
    v128.store(to, v128.load(source, 16), 16);
    v128.store(to, v128.load(source, 32), 32);
    v128.store(to, v128.load(source, 48), 48);
    store<u32>(to, first + i, 34);
    store<u32>(v, <u32>to, V_ADDRESS);
    store<u32>(v, 64, V_LENGTH);
    store<u32>(v, 64, V_TOTAL);
    store<u32>(v, port, V_RX_PORT);
  }
}

/**
 * The next `n` of the `count` prepared packets at `source`, into frames that start at `frames`, `frameSize` apart. All have
 * `length` bytes and come by `port`; they lie 64 bytes apart, longer ones 128.
 */
export function feed(
  source: usize,
  count: u32,
  n: u32,
  frames: usize,
  frameSize: u32,
  length: u32,
  port: u32,
): void {
  const record: u32 = length > 64 ? 128 : 64;
  // Not `next` itself: V8 keeps no global in a register.
  let at = next;
  const end = <usize>VECTOR_BASE + ((<usize>n) << VECTOR_SHIFT);
  for (let v: usize = VECTOR_BASE, to = frames; v < end; v += VECTOR_SIZE, to += frameSize) {
    const from = source + at * record;
    at = at + 1 === count ? 0 : at + 1;
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to, v128.load(from, 32), 32);
    v128.store(to, v128.load(from, 48), 48);
    if (length > 64) {
      v128.store(to, v128.load(from, 64), 64);
      v128.store(to, v128.load(from, 80), 80);
      v128.store(to, v128.load(from, 96), 96);
    }
    store<u32>(v, <u32>to, V_ADDRESS);
    store<u32>(v, length, V_LENGTH);
    store<u32>(v, length, V_TOTAL);
    store<u32>(v, port, V_RX_PORT);
  }
  next = at;
}
