/**
 * Services on CNAT: a translation for each frontend that has backends. Where there are none there is no translation, and what asks for
 * the frontend goes where its address leads: the service range rejects, the node's own address is answered by the host.
 */
import type { Frontend, ServiceItem } from '../../../ruleset/types.js';
import { route } from '../links/objects.js';
import { familyOf, hostPrefix } from '../links/specs.js';
import { isTunnelEnd } from '../links/tunnel-ends.js';
import { RenderError } from '../objects/errors.js';
import { TABLE_IDS } from '../objects/names.js';
import type { Renderer, View, VppObject } from '../objects/types.js';
import { backendsOf } from './backends.js';
import { translation } from './cnat-objects.js';
import { pathsOf } from './paths.js';
import { turnObjects } from './turn.js';

export const cnatServicesRenderer: Renderer = {
  name: 'cnat-services',
  kinds: ['service'],
  render(item, view) {
    if (item.kind !== 'service') return [];
    refuse(item);
    const backends = backendsOf(item).filter((backend) => !isTunnelEnd(backend, item.protocol, view));
    if (backends.length === 0) return rejects(item, view);
    const paths = pathsOf(backends);
    const affinity = item.affinitySeconds !== null;
    // A change of backends moves as few clients as can be.
    const maglev = affinity || item.algorithm === 'maglev';
    const { protocol, key: service } = item;
    return [
      ...item.frontends.map(({ address, port }) =>
        translation({ address, port, protocol, maglev, affinity, oneWay: false, paths }, { service }),
      ),
      ...turnObjects(item, backends, view),
    ];
  },
};

function refuse(item: ServiceItem): void {
  for (const { address } of item.frontends) {
    const family = familyOf(address);
    if (item.protocol === 'SCTP' && family === 6) {
      throw new RenderError('CNAT does not translate SCTP over IPv6', item.key, {
        ...{ field: 'protocol', value: item.protocol },
      });
    }
    const other = backendsOf(item).find((backend) => familyOf(backend.address) !== family);
    if (other !== undefined) {
      throw new RenderError('a backend is of another address family than a frontend', item.key, {
        ...{ field: 'backends', value: other.address },
      });
    }
  }
}

/** An address that is nobody's: without a translation its packets would leave by the default route. */
function rejects(item: ServiceItem, view: View): VppObject[] {
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
  if (view.get(`route/main/${prefix}`) !== undefined || view.get(`route/pod/${prefix}`) !== undefined)
    return false;
  return !view
    .all('interface')
    .some(
      ({ ownAddresses, peerAddresses }) => ownAddresses.includes(address) || peerAddresses.includes(address),
    );
}
