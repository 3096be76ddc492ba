/** What is asked of a service without backends. Pure. */
import type { Frontend, ServiceItem } from '../../../ruleset/types.js';
import { route } from '../links/objects.js';
import { hostPrefix } from '../links/specs.js';
import { TABLE_IDS } from '../objects/names.js';
import type { View, VppObject } from '../objects/types.js';

/**
 * The service range rejects by itself, and the node's own addresses are answered by the host. An address that is nobody's would leave by
 * the default route.
 */
export function rejects(item: ServiceItem, view: View): VppObject[] {
  return item.frontends
    .filter((frontend) => isNobodys(frontend, view))
    .flatMap(({ address }) =>
      Object.values(TABLE_IDS).map((table) =>
        route({ table, prefix: hostPrefix(address), path: { type: 'unreachable' } }),
      ),
    );
}

function isNobodys({ address, type }: Frontend, view: View): boolean {
  if (type !== 'ExternalIP' && type !== 'LoadBalancer') return false;
  const prefix = hostPrefix(address);
  const routed = (['main', 'pod'] as const).some((vrf) => view.get(`route/${vrf}/${prefix}`) !== undefined);
  if (routed) return false;
  return !view
    .all('interface')
    .some(
      ({ ownAddresses, peerAddresses }) => ownAddresses.includes(address) || peerAddresses.includes(address),
    );
}
