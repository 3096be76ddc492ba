/** Source NAT of pods' packets that leave the cluster, and the address of a pod that meets itself through a Service. */
import { bitsOf, canonicalCidr } from '../common/ip.js';
import { plansOf } from '../ipam/arithmetic.js';
import type { SnatItem } from '../ruleset/types.js';
import { allAddresses, type Context, familyOf, firstOfEachFamily, sortedSet } from './context.js';
import { rangesOf } from './input.js';

export function compileSnat({ self, peers, config }: Context): SnatItem {
  const nodes = [self, ...peers].flatMap(allAddresses);
  return {
    kind: 'snat',
    key: 'snat',
    addresses: firstOfEachFamily(self.addresses),
    // No sources: nothing is translated, but hairpin connections still need their address.
    sources: config.natExternalTraffic
      ? rangesOf(config).map(({ podSubnetCIDR }) => canonicalCidr(podSubnetCIDR))
      : [],
    exclude: sortedSet([
      ...rangesOf(config).flatMap(({ podSubnetCIDR, hostSubnetCIDR, vxlanCIDR, serviceCIDR }) =>
        [podSubnetCIDR, hostSubnetCIDR, vxlanCIDR, serviceCIDR].map(canonicalCidr),
      ),
      ...[...nodes, ...config.hostAddresses].map((ip) => `${ip}/${bitsOf(familyOf(ip))}`),
    ]),
    hairpin: plansOf(self.plan).map(({ natLoopback }) => natLoopback),
  };
}
