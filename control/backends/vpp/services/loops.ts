/** Loopbacks that packets go out of and come in again by, so that they pass CNAT once more, or elsewhere than at the wire. */
import type { Ip } from '../../../ruleset/types.js';
import * as links from '../links/objects.js';
import { FAMILIES } from '../links/specs.js';
import type { ObjectKey, VppObject } from '../objects/types.js';
import { type CnatInterfaceSpec, cnatInterface } from './cnat-objects.js';

export interface Loop extends Pick<CnatInterfaceSpec, 'input' | 'output'> {
  readonly key: ObjectKey;
  /** Of both its ends; never on a wire. */
  readonly mac: string;
  readonly table: number;
  readonly mtu: number;
  /** Its own; without one it takes no IPv4 in. */
  readonly address: Ip;
  /** Whoever is asked for there finds the loopback. */
  readonly nextHop: Readonly<Record<4 | 6, Ip>>;
}

export function loopObjects({ key, mac, table, mtu, address, nextHop, input, output }: Loop): VppObject[] {
  return [
    links.iface(key, { source: { type: 'loopback' }, mac, table }),
    links.link({ interface: key, mtu, ip6: true, unnumbered: null }),
    links.up({ interface: key }),
    links.address({ interface: key, prefix: `${address}/32` }),
    ...FAMILIES.map((family) => links.neighbor({ interface: key, ip: nextHop[family], mac, fib: false })),
    cnatInterface({ interface: key, families: FAMILIES, input, output, remember: true, lists: [] }),
  ];
}
