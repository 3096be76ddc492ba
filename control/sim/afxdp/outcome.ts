/** Who said no to a probe: the destination's own stack, or a data plane on the way. Pure. */
import { cidrContains, parseCidr, parseIp } from '../../common/ip.js';
import type { ClusterConfig } from '../../compiler/input.js';
import type { Probe, ProbeResult } from '../driver.js';

/** Default range of NodePorts (kube-apiserver --service-node-port-range). */
const NODE_PORTS = { from: 30_000, to: 32_767 };

/**
 * The workload reports an ICMP error whose sender is the probed address as `refused`, since that is what a closed UDP port looks
 * like. At a Service's address no stack lives, so there it was a data plane; and no stack answers a TCP connect with ICMP.
 */
export function interpret(probe: Probe, result: ProbeResult, config: ClusterConfig): ProbeResult {
  if (result.outcome !== 'refused' || result.answer === null) return result;
  const service =
    cidrContains(parseCidr(config.serviceCIDR), parseIp(probe.address)) ||
    (probe.port >= NODE_PORTS.from && probe.port <= NODE_PORTS.to);
  return probe.protocol === 'tcp' || service ? { ...result, outcome: 'rejected' } : result;
}
