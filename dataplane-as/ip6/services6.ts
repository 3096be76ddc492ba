/** Services with IPv6 addresses: tables and choice are those of services.ts. */
import { affine, remember } from '../affinity';
import { image, tracing } from '../context';
import { slotHash } from '../hash';
import {
  BACKEND_ID,
  BACKEND_IP6,
  BACKEND_PORT,
  DROP_SERVICE_ELSEWHERE,
  DROP_SERVICE_SOURCE,
  FRONTEND_IP6,
  IMG_RANGES,
  IMG_RANGES_COUNT,
  SERVICE_AFFINITY,
  SERVICE_FLAGS,
  SERVICE_RANGE_COUNT,
  SERVICE_RANGES,
  SPACE_FRONTEND,
  STAGE_SERVICE,
  SVF_RANGES,
} from '../layout';
import { MISS } from '../lpm';
import {
  asOutsider,
  backendBySlot,
  backendWithId,
  eligible,
  REJECT,
  row,
  serviceByKey,
  slotsFor,
} from '../services';
import { lookup6 } from './lpm6';
import { mix } from './sessions6';
import { record6 } from './trace6';

/** The backend that choose6() found. */
export let backendAddress6: usize = 0;
export let backendPort6: u32 = 0;
export let backendId6: u32 = 0;

/** Index of the service whose frontend this is, 0 = none. `port` as loaded. */
export function serviceOf6(address: usize, port: u32, protocol: u32): u32 {
  const number = lookup6(SPACE_FRONTEND, address);
  return number === MISS ? 0 : serviceByKey(number, port | (protocol << 16) | <u32>FRONTEND_IP6);
}

/** As mayUse() of services.ts. A range is four rows: address and mask. */
export function mayUse6(service: usize, client: usize): bool {
  if ((load<u32>(service, SERVICE_FLAGS) & SVF_RANGES) === 0) return true;
  const first = load<u32>(service, SERVICE_RANGES);
  const end = min<u32>(first + load<u32>(service, SERVICE_RANGE_COUNT), load<u32>(image, IMG_RANGES_COUNT));
  const ranges = image + load<u32>(image, IMG_RANGES);
  for (let i = first; i + 4 <= end; i += 4) {
    const range = ranges + (i << 3);
    const high = (load<u64>(client) & load<u64>(range, 16)) ^ load<u64>(range);
    const low = (load<u64>(client, 8) & load<u64>(range, 24)) ^ load<u64>(range, 8);
    if ((high | low) === 0) return true;
  }
  return false;
}

function refused(v: usize, service: u32, outcome: i32): i32 {
  if (tracing) record6(v, STAGE_SERVICE, 0, 0, service, <u32>outcome, 0);
  return outcome;
}

/** Chooses a backend for a new connection, as choose(): 0, REJECT, or the outcome to drop with. */
export function choose6(v: usize, service: u32, source: usize, destination: usize, key: u64): i32 {
  const at = row(service);
  if (!mayUse6(at, source)) return refused(v, service, DROP_SERVICE_SOURCE);
  const outsider = asOutsider(at);
  const affinity = load<u32>(at, SERVICE_AFFINITY);
  // Two clients with one hash would share a backend, which does no harm.
  const client = <u32>mix(source, source, 0) | 1;
  let backend: usize = 0;
  if (affinity !== 0) {
    const id = affine(client, service, affinity);
    if (id !== 0) backend = backendWithId(at, id, eligible(at, outsider));
  }
  if (backend === 0)
    backend = backendBySlot(at, slotsFor(outsider), slotHash(mix(source, destination, 0), key));
  if (backend === 0) return refused(v, service, outsider ? DROP_SERVICE_ELSEWHERE : REJECT);
  backendAddress6 = backend + BACKEND_IP6;
  backendPort6 = load<u16>(backend, BACKEND_PORT);
  backendId6 = load<u32>(backend, BACKEND_ID);
  if (affinity !== 0) remember(client, service, backendId6);
  if (tracing) record6(v, STAGE_SERVICE, 0, backendAddress6, service, 0, backendPort6);
  return 0;
}
