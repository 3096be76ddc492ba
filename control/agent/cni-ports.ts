/** Host ports of pods (CNI capability portMappings): which node has which, and who has it already. */
import { hostPortName } from '../cni/capabilities.js';
import { CNI } from '../cni/codes.js';
import { CniError } from '../cni/errors.js';
import { hostIpsOverlap, isEveryIp } from '../compiler/host-ports.js';
import type { HostPort } from '../compiler/input.js';
import type { Ip } from '../ruleset/types.js';
import type { PodRecord } from './journal.js';
import { podKey } from './node-state.js';
import type { Sandbox } from './wiring.js';

/**
 * Throws CniError: 7 for an address that is none of the node's (a mapping never takes what is not for the node: CVE-2025-67499), 11 for a
 * port that another pod has: when a pod is replaced, its successor may come before its own DEL.
 */
export function checkHostPorts(
  sandbox: Sandbox,
  pods: readonly PodRecord[],
  nodeAddresses: readonly Ip[],
): void {
  for (const port of sandbox.hostPorts ?? []) {
    if (!(port.hostIP === null || isEveryIp(port.hostIP) || nodeAddresses.includes(port.hostIP))) {
      throw new CniError(
        CNI.invalidConfig,
        `host port ${hostPortName(port)}: not an address of this node (it has ${nodeAddresses.join(', ')})`,
      );
    }
    const owner = pods.find(
      (record) =>
        podKey(record.pod) !== podKey(sandbox.pod) &&
        (record.hostPorts ?? []).some((other) => overlap(port, other)),
    );
    if (owner !== undefined) {
      throw new CniError(
        CNI.tryAgainLater,
        `host port ${hostPortName(port)} belongs to pod ${podKey(owner.pod)}`,
      );
    }
  }
}

function overlap(a: HostPort, b: HostPort): boolean {
  return a.protocol === b.protocol && a.hostPort === b.hostPort && hostIpsOverlap(a.hostIP, b.hostIP);
}
