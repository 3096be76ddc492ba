/** The first packet of an IPv6 connection; as first.ts. */
import { fromOpener, setOrigin, starts } from '../first';
import { REPLY, TCP } from '../l4';
import {
  DROP_FRAGMENT_UNKNOWN,
  DROP_ICMP_ERROR,
  SF_PICKED_UP,
  V_FLAGS,
  V_L3,
  V_PORTS,
  V_PROTOCOL,
  VF_LATER_FRAGMENT,
} from '../layout';
import { judge6, judgeAnswer6 } from './judge6';
import { open6 } from './open6';
import { backendAddress6, backendId6, backendPort6, choose6, serviceOf6 } from './services6';
import {
  keepAll6,
  newDestination6,
  newPorts6,
  settlePort6,
  toBackend6,
  translateSource6,
} from './translation6';

/** Returns 0 with V_SESSION set, REJECT, or the outcome to drop with. */
export function first6(v: usize): i32 {
  if (load<u32>(v, V_FLAGS) & VF_LATER_FRAGMENT) return DROP_FRAGMENT_UNKNOWN;
  const protocol = load<u32>(v, V_PROTOCOL);
  if (protocol === REPLY) return DROP_ICMP_ERROR;
  const l3: usize = load<u32>(v, V_L3);
  const source = l3 + 8;
  const destination = l3 + 24;
  const pair = load<u32>(v, V_PORTS);
  keepAll6(source, destination, pair);
  setOrigin(v);
  let backend: u32 = 0;
  let bits: u32 = 0;
  const service = serviceOf6(destination, pair >> 16, protocol);
  if (service !== 0) {
    const outcome = choose6(v, service, source, destination, load<u64>(v, V_PORTS));
    if (outcome !== 0) return outcome;
    toBackend6(v, backendAddress6, backendPort6);
    backend = backendId6;
  }
  const outcome = judge6(v, source, newDestination6, protocol, newPorts6 >> 16, service !== 0, true);
  if (outcome !== 0) return outcome;
  if (protocol === TCP && service === 0 && !starts(v) && !fromOpener(pair)) {
    const answer = judgeAnswer6(v, source, destination, pair & 0xffff);
    if (answer !== 0) return answer;
    bits = SF_PICKED_UP;
  }
  const translated = translateSource6(v, source);
  if (translated !== 0) return translated;
  const settled = settlePort6(v, protocol);
  if (settled !== 0) return settled;
  return open6(v, protocol, service, backend, bits);
}
