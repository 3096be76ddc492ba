/** The pipeline's verdict alone, for the benchmark: route to the pod, its policy, identity of the peer, ports. */
import { adjacencies, begin, ports } from '../context';
import {
  ADJ_PORT,
  ADJ_SHIFT,
  PORT_INGRESS_POLICY,
  PORT_SHIFT,
  SPACE_POD,
  STAGE_INGRESS,
  VECTOR_BASE,
} from '../layout';
import { lookup4, MISS } from '../lpm';
import { allows } from '../policy';

export { init } from '../index';

/** Headers of 16 bytes at `from`: source, destination (network order), protocol << 16 | port, answer (written: 1 = allowed). */
export function classify(from: usize, count: u32, now: u32): void {
  begin(now);
  for (let i: u32 = 0, at = from; i < count; i++, at += 16) {
    const adjacency = lookup4(SPACE_POD, load<u32>(at, 4));
    let allowed = false;
    if (adjacency !== MISS) {
      const port = load<u32>(adjacencies + ((<usize>adjacency) << ADJ_SHIFT), ADJ_PORT);
      const policy = load<u32>(ports + ((<usize>port) << PORT_SHIFT), PORT_INGRESS_POLICY);
      allowed = allows(VECTOR_BASE, STAGE_INGRESS, policy, load<u32>(at), load<u32>(at, 8));
    }
    store<u32>(at, allowed ? 1 : 0, 12);
  }
}
