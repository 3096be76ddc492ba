/** Which backends a service's frontends lead to. Pure. */
import type { ServiceBackend, ServiceItem } from '../../../ruleset/types.js';
import { familyOf } from '../links/specs.js';
import type { VppOptions } from '../objects/types.js';

/**
 * CNAT knows an address and port, and not by which interface a packet came: where those outside have backends of their own (a subset of
 * all), everyone is led to them; where they have none, they are kept out by the uplink's access list.
 */
export function backendsOf({ backends, outsideBackends }: ServiceItem): readonly ServiceBackend[] {
  return outsideBackends === null || outsideBackends.length === 0 ? backends : outsideBackends;
}

/** NAT44-ED leaves IPv6 to CNAT. */
export function cnatFamilies({ services }: Pick<VppOptions, 'services'>): readonly (4 | 6)[] {
  return services === 'cnat' ? [4, 6] : [6];
}

/** A service's addresses are of one family. */
export function isOnCnat({ frontends }: ServiceItem, options: Pick<VppOptions, 'services'>): boolean {
  return frontends.every(({ address }) => cnatFamilies(options).includes(familyOf(address)));
}
