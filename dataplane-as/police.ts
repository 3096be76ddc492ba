/**
 * Last stage before the count: what a pod may send and receive (kubernetes.io/ingress-bandwidth and egress-bandwidth). Each limit is
 * a token bucket; what finds it empty is dropped. Only packets that leave are counted against a limit, whatever became of the others.
 */
import { image, now } from './context';
import {
  BUCKET_RATE,
  BUCKET_SEEN,
  BUCKET_TOKENS,
  BUCKETS_BASE,
  DROP_BANDWIDTH,
  IMG_LIMITED,
  IMG_LIMITS,
  LIMIT_BURST,
  LIMIT_FROM_POD,
  LIMIT_RATE,
  LIMIT_SHIFT,
  LIMIT_TO_POD,
  MAX_PORTS,
  OUT_FORWARD_HOST,
  V_OUTCOME,
  V_RX_PORT,
  V_TOTAL,
  V_TX_PORT,
  VECTOR_BASE,
  VECTOR_SIZE,
} from './layout';
import { takeShared } from './workers/limits';
import { workers } from './workers/lock';

/** Costs one load a batch as long as no port has a limit. */
export function police(n: i32): void {
  if (load<u32>(image, IMG_LIMITED) === 0) return;
  const limits = image + load<u32>(image, IMG_LIMITS);
  for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    // The four kinds of forwarding come first; answers of our own are nobody's traffic.
    if (load<u32>(v, V_OUTCOME) - 1 >= <u32>OUT_FORWARD_HOST) continue;
    const bytes = load<u32>(v, V_TOTAL);
    if (
      !passes(limits, load<u32>(v, V_RX_PORT), LIMIT_FROM_POD, bytes) ||
      !passes(limits, load<u32>(v, V_TX_PORT), LIMIT_TO_POD, bytes)
    ) {
      store<u32>(v, DROP_BANDWIDTH, V_OUTCOME);
    }
  }
}

/**
 * Takes `bytes` out of the port's bucket. A packet passes as long as anything is in it, and may leave it in debt: so packets that are
 * larger than the burst (64 KiB of a TAP) come through too, at the same rate.
 */
function passes(limits: usize, port: u32, direction: u32, bytes: u32): bool {
  if (port >= <u32>MAX_PORTS) return true;
  const limit = limits + ((<usize>port) << LIMIT_SHIFT) + direction;
  const rate = load<u32>(limit, LIMIT_RATE);
  if (rate === 0) return true;
  const place: usize = (((<usize>port) << LIMIT_SHIFT) + direction) * 2;
  if (workers > 1) return takeShared(place, rate, load<u32>(limit, LIMIT_BURST), bytes);
  const bucket: usize = <usize>BUCKETS_BASE + place;
  const burst = <f64>load<u32>(limit, LIMIT_BURST);
  let tokens = burst;
  if (load<u32>(bucket, BUCKET_RATE) === rate) {
    const elapsed = now - load<u32>(bucket, BUCKET_SEEN);
    tokens = min<f64>(burst, load<f64>(bucket, BUCKET_TOKENS) + (<f64>elapsed * <f64>rate) / 1000.0);
  }
  store<u32>(bucket, rate, BUCKET_RATE);
  store<u32>(bucket, now, BUCKET_SEEN);
  const enough = tokens > 0;
  store<f64>(bucket, enough ? tokens - <f64>bytes : tokens, BUCKET_TOKENS);
  return enough;
}
