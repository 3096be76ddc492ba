/** Which backends a service's frontends lead to. Pure. */
import type { ServiceBackend, ServiceItem } from '../../../ruleset/types.js';

/**
 * CNAT knows an address and port, and not by which interface a packet came: where those outside have backends of their own (a subset of
 * all), everyone is led to them; where they have none, they are kept out by the uplink's access list.
 */
export function backendsOf({ backends, outsideBackends }: ServiceItem): readonly ServiceBackend[] {
  return outsideBackends === null || outsideBackends.length === 0 ? backends : outsideBackends;
}
