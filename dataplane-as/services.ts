/** Services: does a frontend own this destination, and which backend does a new connection get? */
import { affine, remember } from './affinity';
import { image, tracing } from './context';
import { homeOf, slotHash } from './hash';
import { role } from './judge';
import {
  BACKEND_ID,
  BACKEND_IP4,
  BACKEND_PORT,
  BACKEND_SHIFT,
  DROP_SERVICE_ELSEWHERE,
  DROP_SERVICE_SOURCE,
  FRONTEND_ADDRESS,
  FRONTEND_KEY,
  FRONTEND_SERVICE,
  FRONTEND_SHIFT,
  IMG_BACKENDS,
  IMG_BACKENDS_COUNT,
  IMG_FRONTENDS4,
  IMG_FRONTENDS4_LOG2,
  IMG_RANGES,
  IMG_RANGES_COUNT,
  IMG_SERVICES,
  IMG_SERVICES_COUNT,
  IMG_SLOTS,
  IMG_SLOTS_COUNT,
  MAX_SERVICES,
  ROLE_UPLINK,
  SERVICE_AFFINITY,
  SERVICE_BACKEND_COUNT,
  SERVICE_BACKENDS,
  SERVICE_COUNTERS_BASE,
  SERVICE_FLAGS,
  SERVICE_OUTSIDE_COUNT,
  SERVICE_OUTSIDE_SLOTS,
  SERVICE_RANGE_COUNT,
  SERVICE_RANGES,
  SERVICE_SHIFT,
  SERVICE_SLOTS,
  STAGE_SERVICE,
  SVF_OUTSIDE,
  SVF_RANGES,
} from './layout';
import { record } from './trace';

/** Answer of choose(): the service has nobody to send to. */
export const REJECT: i32 = -1;

/** The backend that choose() found. */
export let backendAddress: u32 = 0;
export let backendPort: u32 = 0;
export let backendId: u32 = 0;

/** Index of the service whose frontend this is, 0 = none. `port` as loaded. */
export function serviceOf(address: u32, port: u32, protocol: u32): u32 {
  return serviceByKey(address, port | (protocol << 16));
}

/** The same by the frontend's two words in the table. */
export function serviceByKey(address: u32, key: u32): u32 {
  const table = image + load<u32>(image, IMG_FRONTENDS4);
  const log2 = load<u32>(image, IMG_FRONTENDS4_LOG2);
  const mask = ((<u32>1) << log2) - 1;
  const home = homeOf(address, key, log2);
  for (let i: u32 = 0; i <= mask; i++) {
    const slot = table + (((home + i) & mask) << FRONTEND_SHIFT);
    const service = load<u32>(slot, FRONTEND_SERVICE);
    if (service === 0) return 0;
    if (load<u32>(slot, FRONTEND_ADDRESS) === address && load<u32>(slot, FRONTEND_KEY) === key) {
      return service < load<u32>(image, IMG_SERVICES_COUNT) ? service : 0;
    }
  }
  return 0;
}

export function row(service: u32): usize {
  return image + load<u32>(image, IMG_SERVICES) + (service << SERVICE_SHIFT);
}

/** Is the client within the ranges of sources that the service (its row) is limited to? */
export function mayUse(service: usize, client: u32): bool {
  if ((load<u32>(service, SERVICE_FLAGS) & SVF_RANGES) === 0) return true;
  const first = load<u32>(service, SERVICE_RANGES);
  const end = min<u32>(first + load<u32>(service, SERVICE_RANGE_COUNT), load<u32>(image, IMG_RANGES_COUNT));
  const ranges = image + load<u32>(image, IMG_RANGES);
  for (let i = first; i < end; i++) {
    if ((client & load<u32>(ranges + (i << 3), 4)) === load<u32>(ranges + (i << 3))) return true;
  }
  return false;
}

/** Row of the backend at `place` of the service, 0 = out of its range. */
function backendAt(service: usize, place: u32): usize {
  if (place >= load<u32>(service, SERVICE_BACKEND_COUNT)) return 0;
  const index = load<u32>(service, SERVICE_BACKENDS) + place;
  if (index >= load<u32>(image, IMG_BACKENDS_COUNT)) return 0;
  return image + load<u32>(image, IMG_BACKENDS) + (index << BACKEND_SHIFT);
}

/** Backend of that id among the service's first `total` ones, 0 = none. */
export function backendWithId(service: usize, id: u32, total: u32): usize {
  for (let place: u32 = 0; place < total; place++) {
    const backend = backendAt(service, place);
    if (backend === 0) return 0;
    if (load<u32>(backend, BACKEND_ID) === id) return backend;
  }
  return 0;
}

/** Is the backend a session goes to still one of its service's? */
export function hasBackend(service: u32, id: u32): bool {
  const at = row(service);
  return backendWithId(at, id, load<u32>(at, SERVICE_BACKEND_COUNT)) !== 0;
}

/** `slots` is where the service has its first slot and, after it, their number: SERVICE_SLOTS or SERVICE_OUTSIDE_SLOTS. */
export function backendBySlot(service: usize, slots: usize, hash: u32): usize {
  const count = load<u32>(service + slots, 4);
  const slot = load<u32>(service + slots) + <u32>((<u64>hash * <u64>count) >> 32);
  if (count === 0 || slot >= load<u32>(image, IMG_SLOTS_COUNT)) return 0;
  return backendAt(service, load<u16>(image + load<u32>(image, IMG_SLOTS) + (slot << 1)));
}

/** Who comes by the uplink may have slots of his own. */
export function asOutsider(service: usize): bool {
  return role === ROLE_UPLINK && (load<u32>(service, SERVICE_FLAGS) & SVF_OUTSIDE) !== 0;
}

/** How many of the first backends this client may get. */
export function eligible(service: usize, outsider: bool): u32 {
  return load<u32>(service + (outsider ? SERVICE_OUTSIDE_COUNT : SERVICE_BACKEND_COUNT));
}

/** Where the client's slots are named in the service's row. */
export function slotsFor(outsider: bool): usize {
  return outsider ? SERVICE_OUTSIDE_SLOTS : SERVICE_SLOTS;
}

/**
 * Chooses a backend for a new connection. Returns 0 (backendAddress, backendPort and backendId are set), REJECT, or the
 * outcome to drop with.
 */
export function choose(v: usize, service: u32, addresses: u64, key: u64): i32 {
  const at = row(service);
  const client = <u32>addresses;
  if (!mayUse(at, client)) return refused(v, service, DROP_SERVICE_SOURCE);
  const outsider = asOutsider(at);
  const affinity = load<u32>(at, SERVICE_AFFINITY);
  let backend: usize = 0;
  if (affinity !== 0) {
    const id = affine(client, service, affinity);
    if (id !== 0) backend = backendWithId(at, id, eligible(at, outsider));
  }
  if (backend === 0) backend = backendBySlot(at, slotsFor(outsider), slotHash(addresses, key));
  if (backend === 0) return refused(v, service, outsider ? DROP_SERVICE_ELSEWHERE : REJECT);
  backendAddress = load<u32>(backend, BACKEND_IP4);
  backendPort = load<u16>(backend, BACKEND_PORT);
  backendId = load<u32>(backend, BACKEND_ID);
  if (affinity !== 0) remember(client, service, backendId);
  if (tracing) record(v, STAGE_SERVICE, service, backendAddress, backendPort, backendId, 0);
  return 0;
}

/** A trace says which Service had nobody for the packet, and why: port 0 stands where the backend's would. */
function refused(v: usize, service: u32, outcome: i32): i32 {
  if (tracing) record(v, STAGE_SERVICE, service, <u32>outcome, 0, 0, 0);
  return outcome;
}

/** Counts a connection (word 0) or a packet (word 8) of the service. */
export function countService(service: u32, word: u32): void {
  if (service - 1 >= <u32>(MAX_SERVICES - 1)) return;
  const at: usize = SERVICE_COUNTERS_BASE + (service << 4) + word;
  store<u64>(at, load<u64>(at) + 1);
}
