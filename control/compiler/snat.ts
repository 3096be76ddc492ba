/** Source NAT of pods' packets that leave the cluster, and the address of a pod that meets itself through a Service. */
import { bitsOf, canonicalCidr } from '../common/ip.js';
import type { SnatItem } from '../ruleset/types.js';
import { type Context, familyOf, firstOfEachFamily, sortedSet } from './context.js';

export function compileSnat({ self, peers, config }: Context): SnatItem {
  const nodes = [self, ...peers].flatMap(({ addresses }) => addresses);
  return {
    kind: 'snat',
    key: 'snat',
    addresses: firstOfEachFamily(self.addresses),
    // No sources: nothing is translated, but hairpin connections still need their address.
    sources: config.natExternalTraffic ? [canonicalCidr(config.podSubnetCIDR)] : [],
    exclude: sortedSet([
      ...[config.podSubnetCIDR, config.hostSubnetCIDR, config.vxlanCIDR, config.serviceCIDR].map(
        canonicalCidr,
      ),
      ...nodes.map((ip) => `${ip}/${bitsOf(familyOf(ip))}`),
    ]),
    hairpin: [self.plan.natLoopback],
  };
}
