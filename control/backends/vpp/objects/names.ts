/** Keys of the objects that others refer to. */
import { createHash } from 'node:crypto';
import type { Ip, Key, Vrf } from '../../../ruleset/types.js';
import type { ObjectKey } from './types.js';

/** FIB table of a routing table. */
export const TABLE_IDS: Readonly<Record<Vrf, number>> = { main: 0, pod: 1 };

/**
 * The table of the interface that packets come out of tunnels by: all it says is to look into the pod table. CNAT's rules of source
 * translation are those of a table, and pods of other nodes are under others than pods of this one.
 */
export const TUNNEL_TABLE = 2;

/** The table in which the node's IPv6 addresses are VPP's own: of neighbor discovery that is sent to them by the uplink. */
export const OWN_TABLE = 3;

/** The table of pods' IPv6 pings, and of the answers: it leads both to the loopback where their source is changed. */
export const PING_TABLE = 4;

/** VPP keeps 63 bytes of an interface's tag, which is the object's key; names made of a key have room for some more. */
const LONGEST_INTERFACE_KEY = 54;
const DIGEST = 12;

/**
 * Of the interface that carries an interface item (`if/uplink`, `if/host`, `if/pod/NS/NAME`). One too long for VPP's tag ends in a
 * digest of the item's key.
 */
export function interfaceKey(item: Key): ObjectKey {
  const key = `if/${item.slice(item.indexOf('/') + 1)}`;
  if (key.length <= LONGEST_INTERFACE_KEY) return key;
  const digest = createHash('sha256').update(item).digest('hex').slice(0, DIGEST);
  return `${key.slice(0, LONGEST_INTERFACE_KEY - DIGEST - 1)}~${digest}`;
}

/** The loopback that holds the pods' gateway addresses, and the bridged virtual interface of the tunnels. */
export const GATEWAY_INTERFACE: ObjectKey = 'if/gateway';
export const BVI_INTERFACE: ObjectKey = 'if/bvi';

/**
 * The loopback by which what leaves the pods' table for the uplink goes round where CNAT makes the services, and whom to ask for there.
 * CNAT decides on a flow's first packet; on the uplink that may be one that is lost for want of a neighbor.
 */
export const EDGE_INTERFACE: ObjectKey = 'if/edge';
export const EDGE_NEXT_HOP: Readonly<Record<4 | 6, Ip>> = { 4: '169.254.254.3', 6: 'fe80::fe:3' };

/** The loopback of pods' IPv6 pings (`links/pings.ts`), and whom to ask for there. */
export const PING_INTERFACE: ObjectKey = 'if/ping';
export const PING_NEXT_HOP: Ip = 'fe80::fe:4';

/** Of the tunnel interface that carries a tunnel item (`tunnel/2` → `if/tunnel/2`). */
export function tunnelKey(item: Key): ObjectKey {
  return interfaceKey(`interface/${item}`);
}

/** `table/4/1`. Table 0 is always there and no object. */
export function tableKey(family: 4 | 6, vrf: Vrf): ObjectKey {
  return `table/${family}/${TABLE_IDS[vrf]}`;
}
