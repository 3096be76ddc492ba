// biome-ignore-all lint/correctness/noPrecisionLoss: these are 64-bit integers, not JavaScript numbers.
/**
 * What every stage needs at hand for the batch: the image in force, the clock, the session table. Set once a batch, so that
 * a batch sees one image from its first stage to its last.
 */
import {
  CONTROL_BASE,
  CTL_ACK_IMAGE,
  CTL_ACTIVE_IMAGE,
  CTL_SEED,
  CTL_SESSIONS_BASE,
  CTL_SESSIONS_LOG2,
  CTL_SHARED_BASE,
  CTL_TRACE_LEFT,
  IMG_ADJACENCIES,
  IMG_ADJACENCIES_COUNT,
  IMG_GENERATION,
  IMG_PORTS,
  IMG_TUNNELS,
  SH_ACTIVE_IMAGE,
} from './layout';
import { indexTunnels } from './tunnels';

export let image: usize = 0;
export let generation: u32 = 0;
export let now: u32 = 0;
export let ports: usize = 0;
export let adjacencies: usize = 0;
export let adjacencyCount: u32 = 0;
export let tracing: bool = false;

export let sessions: usize = 0;
export let sessionMask: u32 = 0;
export let seed: u64 = 0;

/** Where the image in force is named. */
let active: usize = CONTROL_BASE + CTL_ACTIVE_IMAGE;

/** Is there an index of tunnels, and of which IMG_TUNNELS? */
let isIndexed: bool = false;
let indexed: u32 = 0;

/** Reads the bases that stay for the life of the data plane. */
export function attach(): void {
  sessions = load<u32>(CONTROL_BASE, CTL_SESSIONS_BASE);
  sessionMask = ((<u32>1) << load<u32>(CONTROL_BASE, CTL_SESSIONS_LOG2)) - 1;
  const word = <u64>load<u32>(CONTROL_BASE, CTL_SEED);
  const shared = load<u32>(CONTROL_BASE, CTL_SHARED_BASE);
  active = shared === 0 ? CONTROL_BASE + CTL_ACTIVE_IMAGE : shared + SH_ACTIVE_IMAGE;
  seed = (word ^ (word << 32)) * 0x9e3779b97f4a7c15;
  isIndexed = false;
}

/** Milliseconds since `time`; none if another worker's clock, which is a little ahead of this one's, wrote it. */
export function since(time: u32): u32 {
  const elapsed = now - time;
  return <i32>elapsed < 0 ? 0 : elapsed;
}

/** Takes the image that is in force now; `nowMs` is the clock of the whole batch. */
export function begin(nowMs: u32): void {
  now = nowMs;
  image = atomic.load<u32>(active);
  generation = load<u32>(image, IMG_GENERATION);
  ports = image + load<u32>(image, IMG_PORTS);
  adjacencies = image + load<u32>(image, IMG_ADJACENCIES);
  adjacencyCount = load<u32>(image, IMG_ADJACENCIES_COUNT);
  tracing = atomic.load<u32>(CONTROL_BASE, CTL_TRACE_LEFT) !== 0;
  const tunnels = load<u32>(image, IMG_TUNNELS);
  if (!isIndexed || tunnels !== indexed) {
    indexTunnels(adjacencies, adjacencyCount);
    isIndexed = true;
    indexed = tunnels;
  }
}

/**
 * Tells the control plane that a whole batch saw the image. Only when it is another one: an atomic store waits for all stores before
 * it.
 */
export function acknowledge(): void {
  if (load<u32>(CONTROL_BASE, CTL_ACK_IMAGE) !== <u32>image)
    atomic.store<u32>(CONTROL_BASE, <u32>image, CTL_ACK_IMAGE);
}
