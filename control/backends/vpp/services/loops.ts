/** Loopbacks that packets go out of and come in again by, so that they are translated elsewhere than at the wire. */
import type { Ip } from '../../../ruleset/types.js';
import * as links from '../links/objects.js';
import { FAMILIES } from '../links/specs.js';
import type { ObjectKey, VppObject } from '../objects/types.js';
import { type AclNotes, type AclSpec, aclRule } from '../policies/acl-rules.js';
import { ownReports } from '../policies/common-acls.js';
import { bindingKey } from '../policies/names.js';
import { cnatInterface, type SnatList } from './cnat-objects.js';

const QUIET_ACL: ObjectKey = 'acl/quiet';

/** What goes out is translated; it comes in again as what it has become. */
export interface Loop {
  readonly key: ObjectKey;
  /** Of both its ends; never on a wire. */
  readonly mac: string;
  readonly table: number;
  readonly mtu: number;
  /** Whether IPv6 passes as well. */
  readonly ip6: boolean;
  /** Its own; without one it takes no IPv4 in. */
  readonly address: Ip;
  /** Whoever is asked for there finds the loopback. */
  readonly nextHop: Readonly<Record<4 | 6, Ip>>;
  readonly lists: readonly SnatList[];
}

/** `keeper` as in `cnatInterface`. */
export function loopObjects(loop: Loop, keeper: readonly ObjectKey[] = []): VppObject[] {
  const { key, mac, table, mtu, ip6, address, nextHop, lists } = loop;
  return [
    links.iface(key, { source: { type: 'loopback' }, mac, table }),
    links.link({ interface: key, mtu, ip6, unnumbered: null }),
    links.up({ interface: key }),
    links.address({ interface: key, prefix: `${address}/32` }),
    ...(ip6 ? FAMILIES : ([4] as const)).map((family) =>
      links.neighbor({ interface: key, ip: nextHop[family], mac, fib: false }),
    ),
    ...(ip6 ? quiet(key) : []),
    cnatInterface(
      { interface: key, families: FAMILIES, input: false, output: true, remember: true, pings: false, lists },
      keeper,
    ),
  ];
}

/** What VPP says there of itself goes no further; see `ownReports`. */
function quiet(key: ObjectKey): VppObject[] {
  const rules = [ownReports().rule, ...FAMILIES.map((family) => aclRule('permit', family))];
  const notes: AclNotes = {
    rules: [
      ownReports().note,
      ...FAMILIES.map(() => ({ text: 'on its way', allowed: true, direction: null })),
    ],
  };
  const acl: VppObject<'acl', AclSpec> = { kind: 'acl', key: QUIET_ACL, needs: [], spec: { rules }, notes };
  const spec = { interface: key, input: [], output: [QUIET_ACL] };
  return [acl, { kind: 'acl-binding', key: bindingKey(key), needs: [key, QUIET_ACL], spec }];
}
