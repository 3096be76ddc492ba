/** The pipeline's verdict alone, for the benchmark: route to the pod, its policy, identity of the peer, ports. */
import { classifyIngress } from '../classify';
import { begin } from '../context';

export { init } from '../index';

/** Headers of 16 bytes at `from`: source, destination, ports, protocol, as loaded from a packet. Verdicts go to `answers`. */
export function classify(from: usize, count: u32, answers: usize, now: u32): void {
  begin(now);
  classifyIngress(from, 16, count, answers);
}
