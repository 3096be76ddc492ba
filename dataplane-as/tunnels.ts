/**
 * Tunnels by outer source address. The image lists adjacencies by index; a packet names its tunnel by address, so the worker
 * keeps this index, rebuilt when it sees a new image (a few nanoseconds an adjacency).
 */
import { adjacencies, adjacencyCount } from './context';
import {
  ADJ_REMOTE4,
  ADJ_SHIFT,
  ADJ_TYPE,
  ADJ_TYPE_TUNNEL,
  HASH_A,
  TUNNEL_SLOTS,
  TUNNELS_BASE,
} from './layout';

const MASK: u32 = TUNNEL_SLOTS - 1;
/** Room is kept for probing to end; tunnels beyond it are found by scanning. */
const LIMIT: u32 = (TUNNEL_SLOTS * 3) / 4;
/** V_FLAGS keeps the adjacency of a decapsulated packet in 16 bits. */
const INDEX_LIMIT: u32 = 65536;

let overflow: bool = false;

function home(remote: u32): u32 {
  const h = remote * <u32>HASH_A;
  return h ^ (h >> 15);
}

export function indexTunnels(table: usize, count: u32): void {
  memory.fill(TUNNELS_BASE, 0, TUNNEL_SLOTS << 3);
  overflow = false;
  let used: u32 = 0;
  if (count > INDEX_LIMIT) count = INDEX_LIMIT;
  for (let i: u32 = 1; i < count; i++) {
    const adjacency = table + ((<usize>i) << ADJ_SHIFT);
    if (load<u8>(adjacency, ADJ_TYPE) !== ADJ_TYPE_TUNNEL) continue;
    if (used === LIMIT) {
      overflow = true;
      return;
    }
    used++;
    const remote = load<u32>(adjacency, ADJ_REMOTE4);
    let slot = home(remote) & MASK;
    while (load<u32>(slot << 3, TUNNELS_BASE + 4) !== 0) slot = (slot + 1) & MASK;
    store<u32>(slot << 3, remote, TUNNELS_BASE);
    store<u32>(slot << 3, i, TUNNELS_BASE + 4);
  }
}

/** Adjacency index of the tunnel to this outer address (network order), 0 = none. */
export function tunnelOf(remote: u32): u32 {
  let slot = home(remote) & MASK;
  for (;;) {
    const index = load<u32>(slot << 3, TUNNELS_BASE + 4);
    if (index === 0) break;
    if (load<u32>(slot << 3, TUNNELS_BASE) === remote) return index;
    slot = (slot + 1) & MASK;
  }
  if (!overflow) return 0;
  const count = min<u32>(adjacencyCount, INDEX_LIMIT);
  for (let i: u32 = 1; i < count; i++) {
    const adjacency = adjacencies + ((<usize>i) << ADJ_SHIFT);
    if (load<u8>(adjacency, ADJ_TYPE) === ADJ_TYPE_TUNNEL && load<u32>(adjacency, ADJ_REMOTE4) === remote)
      return i;
  }
  return 0;
}
