/**
 * What is done to IPv6 packets before they are routed.
 *
 * Pods: packets whose headers ask routers for something (hop-by-hop options, routing headers), or that nest them as nobody needs, are
 * dropped. Uplink: neighbor discovery sent to the node's own addresses is VPP's, whose MAC it is about; all else that is sent to them goes
 * to the host, for which hop limits other than 255 would make discovery worthless. Both: pings are led apart where they have to be.
 */
import { parseIp } from '../../../common/ip.js';
import type { InterfaceItem, Ip } from '../../../ruleset/types.js';
import { interfaceKey, OWN_TABLE } from '../objects/names.js';
import type { Renderer, VppObject } from '../objects/types.js';
import * as make from './objects.js';
import { arePingsApart } from './pings.js';
import { familyOf, hostPrefix, type Match } from './specs.js';

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const ICMP6 = 58;
const DESTINATION_OPTIONS = 60;
const ECHO_REQUEST = 128;
/** Faults that are reported of pings are not led apart: CNAT drops there what it finds no connection in, a fault of the host's IPsec, say. */
const ECHO_REPLY = 129;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;

export const classifiersRenderer: Renderer = {
  name: 'classifiers',
  kinds: ['interface'],
  render(item, view) {
    if (item.kind !== 'interface') return [];
    const pings = arePingsApart(view);
    if (item.role === 'pod' && has6([...item.peerAddresses, ...item.ownAddresses]))
      return podObjects(item, pings);
    return item.role === 'uplink' && has6(item.ownAddresses) ? uplinkObjects(item, pings) : [];
  },
};

const has6 = (addresses: readonly Ip[]): boolean => addresses.some((address) => familyOf(address) === 6);

const drop = (...bytes: readonly number[]): Match => ({ bytes: hex(bytes), verdict: 'drop' });

const hex = (bytes: readonly number[]): string => Buffer.from(bytes).toString('hex');

/** The same classifiers for all pods. */
function podObjects(item: InterfaceItem, pings: boolean): VppObject[] {
  const nested = [
    ...[HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS].map((inner) => drop(DESTINATION_OPTIONS, inner)),
    ...[HOP_BY_HOP, ROUTING].map((inner) => drop(FRAGMENT, inner)),
    ...(pings ? [{ bytes: hex([ICMP6, ECHO_REQUEST]), verdict: 'ping' } as const] : []),
  ];
  return [
    make.classifier({ name: 'nested', matches: nested }),
    make.classifier({ name: 'options', matches: [drop(HOP_BY_HOP), drop(ROUTING)] }),
    make.classifierUse({ interface: interfaceKey(item.key), name: 'options' }),
  ];
}

function uplinkObjects(item: InterfaceItem, pings: boolean): VppObject[] {
  const own = item.ownAddresses.filter((address) => familyOf(address) === 6);
  const verdicts = [
    ...[SOLICITATION, ADVERTISEMENT].map((type) => ({ type, verdict: 'own' }) as const),
    ...(pings ? [{ type: ECHO_REPLY, verdict: 'ping' } as const] : []),
  ];
  const matches = own.flatMap((address) => {
    const destination = parseIp(address).value.toString(16).padStart(32, '0');
    return verdicts.map(({ type, verdict }): Match => {
      return { bytes: `${hex([ICMP6])}${destination}${hex([type])}`, verdict };
    });
  });
  return [
    make.table({ family: 6, id: OWN_TABLE }),
    ...own.map((address) =>
      make.route({ table: OWN_TABLE, prefix: hostPrefix(address), path: { type: 'local' } }),
    ),
    make.classifier({ name: 'discovery', matches }),
    make.classifierUse({ interface: interfaceKey(item.key), name: 'discovery' }),
  ];
}
