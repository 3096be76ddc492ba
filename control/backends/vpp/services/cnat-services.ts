/**
 * Services on CNAT: a translation for each frontend that has backends. Where there are none there is no translation, and what asks for
 * the frontend goes where its address leads: the service range rejects, the node's own address is answered by the host.
 */
import type { ServiceItem } from '../../../ruleset/types.js';
import { familyOf } from '../links/specs.js';
import { isTunnelEnd } from '../links/tunnel-ends.js';
import { RenderError } from '../objects/errors.js';
import type { Renderer } from '../objects/types.js';
import { answerObjects } from './answers.js';
import { backendsOf, isOnCnat } from './backends.js';
import { translation } from './cnat-objects.js';
import { pathsOf } from './paths.js';
import { rejects } from './rejects.js';
import { turnObjects } from './turn.js';

export const cnatServicesRenderer: Renderer = {
  name: 'cnat-services',
  kinds: ['service'],
  render(item, view) {
    if (item.kind !== 'service' || !isOnCnat(item, view.options)) return [];
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
        translation({ address, port, protocol, maglev, affinity, paths }, { service }),
      ),
      ...turnObjects(item, backends, view),
      ...answerObjects(item, backends, view),
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
