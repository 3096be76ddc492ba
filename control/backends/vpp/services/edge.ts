/**
 * What leaves by the uplink and is translated goes round by a loopback first. There every packet finds its neighbor, so that the first of a
 * flow, on which CNAT decides, is never lost; and tunnels' packets, whose outer headers CNAT would take for the inner ones, pass the uplink
 * untouched. Pods are led there by their table. Outsiders led to addresses that are no pods, and the answers of those, by access lists.
 */

import { cidrContains, parseCidr, parseIp } from '../../../common/ip.js';
import type { InterfaceItem, NodeItem, ServiceItem } from '../../../ruleset/types.js';
import { FAMILIES, familyOf, hostPrefix } from '../links/specs.js';
import { EDGE_INTERFACE, EDGE_NEXT_HOP, interfaceKey, TABLE_IDS } from '../objects/names.js';
import type { ObjectKey, View, VppObject, VppOptions } from '../objects/types.js';
import { type AclRule, type AclSpec, aclRule } from '../policies/acl-rules.js';
import { abfAttachment, abfPolicy } from './abf-objects.js';
import { protocolNumber } from './api-values.js';
import { backendsOf, isOnCnat } from './backends.js';
import { cnatInterfaceKey } from './cnat-objects.js';
import type { Loop } from './loops.js';

const EDGE_ACL: ObjectKey = 'acl/edge';
const POLICY_ID = { 4: 14, 6: 16 } as const;

/** Too long a packet is refused before its source is translated: whoever sent it is told. */
export function edge({ mtu, ownAddresses }: InterfaceItem): Loop {
  return {
    ...{ key: EDGE_INTERFACE, mac: '02:fe:00:00:00:03', table: TABLE_IDS.main, mtu },
    ...{ address: '169.254.254.4', nextHop: EDGE_NEXT_HOP },
    ip6: ownAddresses.some((address) => familyOf(address) === 6),
    // Nothing is looked up that comes in there, so that this translates nothing. But once its first list is empty CNAT 26.06 takes itself for
    // new: it clears no other list any more, and at the next interface forgets what is excluded. Without this the last pod would empty it.
    lists: ['include-v4'],
  };
}

/** What of CNAT's has to be there before all else of its kind, and to go after it; none where there is no uplink. */
export function keeperOf(view: View): readonly ObjectKey[] {
  const uplink = view.get('interface/uplink');
  const there = uplink?.kind === 'interface' && view.get('node') !== undefined;
  return there ? [cnatInterfaceKey(EDGE_INTERFACE)] : [];
}

/** At the uplink and the host: the way to backends of outsiders that are no pods, and the way back. */
export function edgeSteering(item: InterfaceItem, view: View): VppObject[] {
  const node = view.get('node');
  if (node?.kind !== 'node') return [];
  const rules = edgeRules(view.all('service'), node, view.options);
  if (rules.length === 0) return [];
  const acl: VppObject<'acl', AclSpec> = { kind: 'acl', key: EDGE_ACL, needs: [], spec: { rules } };
  const families = FAMILIES.filter((family) => rules.some(({ source }) => familyOf(source) === family));
  return [
    acl,
    ...families.flatMap((family) => {
      const id = POLICY_ID[family];
      const nextHop = EDGE_NEXT_HOP[family];
      const policy = abfPolicy({ id, acl: EDGE_ACL, interface: EDGE_INTERFACE, nextHop });
      return [policy, abfAttachment({ policy: policy.key, id, interface: interfaceKey(item.key), family })];
    }),
  ];
}

/** Pure. To this node's own host no way round is needed, only back from it. */
function edgeRules(
  services: readonly ServiceItem[],
  node: NodeItem,
  options: VppOptions,
): readonly AclRule[] {
  const pods = node.podCidrs.map(parseCidr);
  const rules = new Map<string, AclRule>();
  for (const service of services) {
    if (service.scope !== 'external' || !isOnCnat(service, options)) continue;
    for (const { address, port } of backendsOf(service)) {
      const ip = parseIp(address);
      if (pods.some((cidr) => cidrContains(cidr, ip))) continue;
      const [prefix, family, protocol] = [
        hostPrefix(address),
        familyOf(address),
        protocolNumber(service.protocol),
      ];
      const ports = [port, port] as const;
      const key = `${protocol} ${address} ${port}`;
      rules.set(`${key} <`, aclRule('permit', family, { protocol, source: prefix, sourcePorts: ports }));
      if (node.addresses.includes(address)) continue;
      rules.set(
        `${key} >`,
        aclRule('permit', family, { protocol, destination: prefix, destinationPorts: ports }),
      );
    }
  }
  return [...rules].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, rule]) => rule);
}
