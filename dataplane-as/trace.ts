/** Trace: records of chosen packets, one a stage, in a ring that the control plane reads. */
import { adjacencies, now, tracing } from './context';
import { isIp6, matches6, recordReceived6 } from './ip6/trace6';
import {
  ADJ_REMOTE4,
  ADJ_SHIFT,
  ADJ_VNI,
  CONTROL_BASE,
  CTL_TRACE_DST,
  CTL_TRACE_FAMILY,
  CTL_TRACE_HEAD,
  CTL_TRACE_LEFT,
  CTL_TRACE_PACKETS,
  CTL_TRACE_PORT,
  CTL_TRACE_PROTOCOL,
  CTL_TRACE_SRC,
  STAGE_DECAP,
  STAGE_RECEIVE,
  TR_A,
  TR_B,
  TR_C,
  TR_D,
  TR_E,
  TR_PACKET,
  TR_PORT,
  TR_STAGE,
  TR_TIME,
  TRACE_BASE,
  TRACE_CAPACITY,
  TRACE_SIZE,
  V_DST,
  V_FLAGS,
  V_L3,
  V_PORTS,
  V_RX_PORT,
  V_SRC,
  V_TOTAL,
  VECTOR_BASE,
  VECTOR_CAPACITY,
  VF_FROM_TUNNEL,
  VF_TRACE,
  VF_TUNNEL_SHIFT,
} from './layout';

/** Packet numbers of the batch, by place in the vector. */
const NUMBERS: usize = memory.data(VECTOR_CAPACITY * 4, 16);

/** Adds a record if packet `v` is being traced. */
export function record(v: usize, stage: u32, a: u32, b: u32, c: u32, d: u32, e: u32): void {
  if ((load<u32>(v, V_FLAGS) & VF_TRACE) === 0) return;
  const head = load<u32>(CONTROL_BASE, CTL_TRACE_HEAD);
  const at = (head & (TRACE_CAPACITY - 1)) * TRACE_SIZE;
  store<u32>(at, load<u32>(NUMBERS + ((v - VECTOR_BASE) >> 4)), TRACE_BASE + TR_PACKET);
  store<u32>(at, now, TRACE_BASE + TR_TIME);
  store<u16>(at, stage, TRACE_BASE + TR_STAGE);
  store<u16>(at, load<u32>(v, V_RX_PORT), TRACE_BASE + TR_PORT);
  store<u32>(at, a, TRACE_BASE + TR_A);
  store<u32>(at, b, TRACE_BASE + TR_B);
  store<u32>(at, c, TRACE_BASE + TR_C);
  store<u32>(at, d, TRACE_BASE + TR_D);
  store<u32>(at, e, TRACE_BASE + TR_E);
  atomic.store<u32>(CONTROL_BASE, head + 1, CTL_TRACE_HEAD);
}

/** Either direction of a connection matches; 0 fields match all. A packet too broken to have a tuple matches only that. */
function matches(v: usize): bool {
  if (load<u32>(CONTROL_BASE, CTL_TRACE_FAMILY) === 6) return false;
  const source = load<u32>(CONTROL_BASE, CTL_TRACE_SRC);
  const destination = load<u32>(CONTROL_BASE, CTL_TRACE_DST);
  const protocol = load<u32>(CONTROL_BASE, CTL_TRACE_PROTOCOL);
  const port = load<u32>(CONTROL_BASE, CTL_TRACE_PORT);
  if ((source | destination | protocol | port) === 0) return true;
  const l3: usize = load<u32>(v, V_L3);
  if (l3 === 0) return false;
  const src = load<u32>(v, V_SRC);
  const dst = load<u32>(v, V_DST);
  const forth = (source === 0 || source === src) && (destination === 0 || destination === dst);
  const back = (source === 0 || source === dst) && (destination === 0 || destination === src);
  if (!forth && !back) return false;
  if (protocol !== 0 && protocol !== <u32>load<u8>(l3, 9)) return false;
  if (port === 0) return true;
  return matchesPort(v, port);
}

/** Is it one of the packet's two ports? */
export function matchesPort(v: usize, port: u32): bool {
  const pair = load<u32>(v, V_PORTS);
  return bswap<u16>(<u16>pair) === <u16>port || bswap<u16>(<u16>(pair >> 16)) === <u16>port;
}

/** Chooses the packets of this batch that are traced; called once they are parsed, before anything is decided on them. */
export function chooseTraced(n: i32): void {
  if (!tracing) return;
  const allowance = atomic.load<u32>(CONTROL_BASE, CTL_TRACE_LEFT);
  let left = allowance;
  let number = load<u32>(CONTROL_BASE, CTL_TRACE_PACKETS);
  for (let i = 0, v: usize = VECTOR_BASE; i < n && left !== 0; i++, v += 64) {
    const six = isIp6(v);
    if (!(six ? matches6(v) : matches(v))) continue;
    left--;
    number++;
    store<u32>(NUMBERS + (i << 2), number);
    const flags = load<u32>(v, V_FLAGS);
    store<u32>(v, flags | VF_TRACE, V_FLAGS);
    if (six) recordReceived6(v);
    else recordReceived(v);
    traceTunnel(v, flags);
  }
  // The control plane may have stopped or restarted the trace meanwhile: its word stands.
  atomic.cmpxchg<u32>(CONTROL_BASE, allowance, left, CTL_TRACE_LEFT);
  atomic.store<u32>(CONTROL_BASE, number, CTL_TRACE_PACKETS);
}

/** The first record of a packet. */
function recordReceived(v: usize): void {
  const l3: usize = load<u32>(v, V_L3);
  const protocol: u32 = l3 === 0 ? 0 : load<u8>(l3, 9);
  const total = load<u32>(v, V_TOTAL);
  record(v, STAGE_RECEIVE, load<u32>(v, V_SRC), load<u32>(v, V_DST), load<u32>(v, V_PORTS), protocol, total);
}

function traceTunnel(v: usize, flags: u32): void {
  if ((flags & VF_FROM_TUNNEL) === 0) return;
  const index = flags >> VF_TUNNEL_SHIFT;
  const adjacency = adjacencies + ((<usize>index) << ADJ_SHIFT);
  record(v, STAGE_DECAP, load<u32>(adjacency, ADJ_REMOTE4), load<u32>(adjacency, ADJ_VNI), index, 0, 0);
}
