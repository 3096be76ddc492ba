/** Keys of the objects that others refer to. */
import type { Key, Vrf } from '../../../ruleset/types.js';
import type { ObjectKey } from './types.js';

/** FIB table of a routing table. */
export const TABLE_IDS: Readonly<Record<Vrf, number>> = { main: 0, pod: 1 };

/** Of the interface that carries an interface item (`if/uplink`, `if/host`, `if/pod/NS/NAME`). */
export function interfaceKey(item: Key): ObjectKey {
  return `if/${item.slice(item.indexOf('/') + 1)}`;
}

/** The loopback that holds the pods' gateway addresses, and the bridged virtual interface of the tunnels. */
export const GATEWAY_INTERFACE: ObjectKey = 'if/gateway';
export const BVI_INTERFACE: ObjectKey = 'if/bvi';

/** Of the tunnel interface that carries a tunnel item (`tunnel/2` → `if/tunnel/2`). */
export function tunnelKey(item: Key): ObjectKey {
  return `if/${item}`;
}

/** `table/4/1`. Table 0 is always there and no object. */
export function tableKey(family: 4 | 6, vrf: Vrf): ObjectKey {
  return `table/${family}/${TABLE_IDS[vrf]}`;
}
