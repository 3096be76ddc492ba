/** Session affinity (ClientIP): client and service -> backend, kept for the service's time after the latest connection. */
import { now, since } from './context';
import { imageHash } from './hash';
import {
  AF_BACKEND,
  AF_CLIENT,
  AF_SEEN,
  AF_SERVICE,
  AFFINITY_BASE,
  AFFINITY_CAPACITY,
  AFFINITY_SIZE,
} from './layout';

const MASK: u32 = AFFINITY_CAPACITY - 1;
const WINDOW: u32 = 8;
/** The sweep does not know a service's time; beyond the longest that Kubernetes allows nothing can be in use. */
const LONGEST: u32 = 86_400_000;

function entryAt(slot: u32): usize {
  return AFFINITY_BASE + (slot & MASK) * AFFINITY_SIZE;
}

/** BACKEND_ID the client had, 0 = none or longer ago than `seconds`. */
export function affine(client: u32, service: u32, seconds: u32): u32 {
  const home = imageHash(client, service);
  for (let i: u32 = 0; i < WINDOW; i++) {
    const entry = entryAt(home + i);
    if (load<u32>(entry, AF_CLIENT) !== client || load<u32>(entry, AF_SERVICE) !== service) continue;
    const age: u64 = since(load<u32>(entry, AF_SEEN));
    return age <= <u64>seconds * 1000 ? load<u32>(entry, AF_BACKEND) : 0;
  }
  return 0;
}

/** Notes (or refreshes) the client's backend, in the place of the oldest of its window. */
export function remember(client: u32, service: u32, backend: u32): void {
  const entry = placeOf(client, service);
  store<u32>(entry, client, AF_CLIENT);
  store<u32>(entry, service, AF_SERVICE);
  store<u32>(entry, backend, AF_BACKEND);
  store<u32>(entry, now, AF_SEEN);
}

/** The client's entry, else the place for one. */
function placeOf(client: u32, service: u32): usize {
  const home = imageHash(client, service);
  let chosen: usize = 0;
  let oldest: u32 = 0;
  for (let i: u32 = 0; i < WINDOW; i++) {
    const entry = entryAt(home + i);
    if (load<u32>(entry, AF_CLIENT) === client && load<u32>(entry, AF_SERVICE) === service) {
      chosen = entry;
      break;
    }
    const age = load<u32>(entry, AF_CLIENT) === 0 ? <u32>0xffffffff : since(load<u32>(entry, AF_SEEN));
    if (chosen === 0 || age > oldest) {
      chosen = entry;
      oldest = age;
    }
  }
  return chosen;
}

export function sweepAffinity(index: u32): void {
  const entry = entryAt(index);
  if (load<u32>(entry, AF_CLIENT) !== 0 && since(load<u32>(entry, AF_SEEN)) > LONGEST) {
    store<u64>(entry, 0);
    store<u64>(entry, 0, 8);
  }
}
