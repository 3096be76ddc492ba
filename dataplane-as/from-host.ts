/**
 * What comes from the host's own stack. That stack has the node's addresses, and it also passes on what others send: by its other links, from
 * containers of its own, from a network beside the underlay. Those are nobody whom policies let through, and nobody of the cluster.
 */
import { isForged, isNodes } from './judge';
import { DROP_SPOOFED, V_OUTCOME, V_SRC, VECTOR_SIZE } from './layout';

/**
 * Refuses packets of the usual kind, vector lines `v` to `end`, with a source that the host does not have and the cluster has elsewhere. Here
 * and not only where a connection begins: no outsider may speak in one of ours. Packets of one sender come in runs.
 */
export function takeFromHost(v: usize, end: usize, port: usize): void {
  let judged: u32 = 0;
  let forged = false;
  for (; v < end; v += VECTOR_SIZE) {
    const src = load<u32>(v, V_SRC);
    if (load<u32>(v, V_OUTCOME) !== 0) continue;
    // Nobody has address 0.
    if (src !== judged) {
      judged = src;
      forged = isForgedByHost(port, src);
    }
    if (forged) store<u32>(v, DROP_SPOOFED, V_OUTCOME);
  }
}

export function isForgedByHost(port: usize, source: u32): bool {
  return !isNodes(port, source) && isForged(source);
}
