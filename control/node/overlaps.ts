/**
 * Whether the cluster's ranges meet what the host's own stack talks to. The agent leads these ranges into the data plane, so that an
 * address of the host inside of them, and whoever shares its subnet, would be cut off when it starts.
 */
import { cidrContains, parseCidr, parseIp } from '../common/ip.js';
import { type FamilyRanges, rangesOf } from '../compiler/input.js';
import type { Cidr } from '../ruleset/types.js';
import type { Findings } from './checks.js';
import type { NodeFacts } from './facts.js';

/** The underlay is left out: the host may have another link in its subnet. */
const RANGES = ['podSubnetCIDR', 'hostSubnetCIDR', 'vxlanCIDR', 'serviceCIDR'] as const;

/** Ours, and those that kube-proxy (IPVS) and NodeLocal DNSCache put addresses of Services on. */
const EXPECTED = /^(lo|ptero[01]|pt[0-9a-f]{13}|kube-ipvs0|nodelocaldns)$/;

/** An address inside a range is a problem; a route to a part of one is told, since only that part is hidden. */
export function checkOverlaps(
  { links, routes }: Pick<NodeFacts, 'links' | 'routes'>,
  config: Parameters<typeof rangesOf>[0],
): Findings {
  const ranges = rangesOf(config).flatMap(named);
  const problems = [...links].flatMap(([link, { addresses }]) =>
    EXPECTED.test(link)
      ? []
      : addresses.flatMap((address) => {
          const inside = ranges.find(({ cidr }) => cidrContains(parseCidr(cidr), parseIp(address)));
          if (inside === undefined) return [];
          return `link ${link}: its address ${address} lies inside ${inside.name} ${inside.cidr}, which is the cluster's alone; choose another range, or remove the link if a former network left it`;
        }),
  );
  const remarks = routes.flatMap(({ link, destination }) => {
    const inside = ranges.find(({ cidr }) => cidrContains(parseCidr(cidr), parseCidr(destination)));
    if (EXPECTED.test(link) || inside === undefined) return [];
    return `link ${link}: the host's route to ${destination} lies inside ${inside.name} ${inside.cidr}; one of both hides the other`;
  });
  return { problems, remarks };
}

function named(ranges: FamilyRanges): readonly { readonly name: string; readonly cidr: Cidr }[] {
  return RANGES.map((name) => ({ name, cidr: ranges[name] }));
}
