/**
 * The benchmark's feed: copies prepared packets into frames and fills the vector, as a driver's receive would. Compiled apart
 * from the pipeline, over the same memory.
 */
import { V_ADDRESS, V_LENGTH, V_RX_PORT, V_TOTAL, VECTOR_BASE, VECTOR_SIZE } from '../layout';

/** Bytes of each prepared packet; the last ones are its length and port. */
const RECORD: u32 = 128;
const LENGTH: u32 = 120;
const PORT: u32 = 124;

/** The prepared packet that comes next. */
let next: u32 = 0;

/** Starts again with the first prepared packet. */
export function feedReset(): void {
  next = 0;
}

/** The next `n` of the `count` prepared packets at `source`, into frames that start at `frames`, `frameSize` apart. */
export function feed(source: usize, count: u32, n: u32, frames: usize, frameSize: u32): void {
  for (let i: u32 = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    const from = source + next * RECORD;
    next = next + 1 === count ? 0 : next + 1;
    const to = frames + i * frameSize;
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to, v128.load(from, 32), 32);
    v128.store(to, v128.load(from, 48), 48);
    const length = load<u32>(from, LENGTH);
    if (length > 64) {
      v128.store(to, v128.load(from, 64), 64);
      v128.store(to, v128.load(from, 80), 80);
      v128.store(to, v128.load(from, 96), 96);
    }
    store<u32>(v, <u32>to, V_ADDRESS);
    store<u32>(v, length, V_LENGTH);
    store<u32>(v, length, V_TOTAL);
    store<u32>(v, load<u32>(from, PORT), V_RX_PORT);
  }
}
