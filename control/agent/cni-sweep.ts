/** A sandbox's link, found without knowing its pod: it has a name and a MAC that only this sandbox gives. */
import { podMacs } from '../ipam/arithmetic.js';
import { type LinkDriver, podLinkName } from './links.js';
import type { Sandbox } from './wiring.js';

/**
 * Removes it; absent is fine. The executable does the same where no agent listens (native/cni/unwire.cc). Throws what the link driver
 * throws.
 */
export async function sweepSandbox(
  links: Pick<LinkDriver, 'sweepPod'>,
  { containerId, ifname, netns }: Pick<Sandbox, 'containerId' | 'ifname' | 'netns'>,
): Promise<void> {
  const { pod: podMac } = podMacs(containerId, ifname);
  await links.sweepPod({ link: podLinkName(containerId, ifname), netns, ifname, podMac });
}
