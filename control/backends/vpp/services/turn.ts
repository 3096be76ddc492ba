/**
 * Outsiders led to a pod of another node. Its reply would leave by that node's own uplink, where nobody knows of the translation: so the
 * outsider's address is replaced by this node's, which other nodes answer through the tunnel. CNAT may do so only where the packet is not
 * encapsulated behind it (it would take the outer header for the inner one), hence such packets make a turn: out of a loopback, which
 * translates the source, and in again by it.
 */

import { cidrContains, parseCidr, parseIp } from '../../../common/ip.js';
import type { NodeItem, ServiceBackend, ServiceItem } from '../../../ruleset/types.js';
import { FAMILIES, familyOf, UNLIMITED_MTU } from '../links/specs.js';
import { interfaceKey, TUNNEL_TABLE } from '../objects/names.js';
import type { ObjectKey, View, VppObject } from '../objects/types.js';
import { type AclSpec, aclRule } from '../policies/acl-rules.js';
import { abfAttachment, abfPolicy } from './abf-objects.js';
import { keeperOf } from './edge.js';
import { type Loop, loopObjects } from './loops.js';

export const TURN: Omit<Loop, 'ip6'> = {
  ...{ key: 'if/turn', mac: '02:fe:00:00:00:02', table: TUNNEL_TABLE, mtu: UNLIMITED_MTU },
  ...{ address: '169.254.254.2', nextHop: { 4: '169.254.254.1', 6: 'fe80::fe:2' } },
  lists: [],
};
const TURN_ACL: ObjectKey = 'acl/turn';
/** Of the policies that send packets there, one for each family. */
const POLICY_ID = { 4: 4, 6: 6 } as const;
const UPLINK = 'interface/uplink';

/** What backends behind tunnels need of a service that outsiders may ask for. */
export function turnObjects(item: ServiceItem, backends: readonly ServiceBackend[], view: View): VppObject[] {
  const node = view.get('node');
  if (item.scope !== 'external' || node?.kind !== 'node' || view.get(UPLINK)?.kind !== 'interface') return [];
  const away = backends.filter(({ address }) => isAway(address, node));
  if (away.length === 0 || view.all('tunnel').length === 0) return [];
  return [...turnLoop(node, view), ...steering(node)];
}

export function turnLoop(node: NodeItem, view: View): VppObject[] {
  return loopObjects({ ...TURN, ip6: familiesOf(node).includes(6) }, keeperOf(view));
}

/** Of pods. */
function familiesOf({ podCidrs }: NodeItem): readonly (4 | 6)[] {
  return FAMILIES.filter((family) => podCidrs.some((cidr) => familyOf(cidr) === family));
}

function isAway(address: string, { podCidrs, podSubnets }: NodeItem): boolean {
  const ip = parseIp(address);
  const within = (cidrs: readonly string[]): boolean =>
    cidrs.some((cidr) => cidrContains(parseCidr(cidr), ip));
  return within(podCidrs) && !within(podSubnets);
}

/** What comes by the uplink and goes, translated by now, to a pod of another node. */
function steering(node: NodeItem): VppObject[] {
  const { podCidrs, podSubnets } = node;
  const rules = [
    ...podSubnets.map((destination) => aclRule('deny', familyOf(destination), { destination })),
    ...podCidrs.map((destination) => aclRule('permit', familyOf(destination), { destination })),
  ];
  const acl: VppObject<'acl', AclSpec> = { kind: 'acl', key: TURN_ACL, needs: [], spec: { rules } };
  return [
    acl,
    ...familiesOf(node).flatMap((family) => {
      const id = POLICY_ID[family];
      const policy = abfPolicy({ id, acl: TURN_ACL, interface: TURN.key, nextHop: TURN.nextHop[family] });
      return [policy, abfAttachment({ policy: policy.key, id, interface: interfaceKey(UPLINK), family })];
    }),
  ];
}
