/**
 * Host ports that pods of other nodes ask for. They come by the tunnel, and so would the answers go, untranslated (`turn.ts`): they are led
 * to make a turn, too. All other frontends are translated at the node of whoever asks.
 */
import type { NodeItem, ServiceBackend, ServiceItem } from '../../../ruleset/types.js';
import { familyOf, hostPrefix } from '../links/specs.js';
import { interfaceKey } from '../objects/names.js';
import type { View, VppObject } from '../objects/types.js';
import { type AclSpec, aclRule } from '../policies/acl-rules.js';
import { abfAttachment, abfPolicy } from './abf-objects.js';
import { protocolNumber } from './api-values.js';
import { TURN, turnLoop } from './turn.js';

/** Ids below are of policies that there is one of. */
const FIRST_ID = 0x100;

export function answerObjects(
  item: ServiceItem,
  backends: readonly ServiceBackend[],
  view: View,
): VppObject[] {
  const node = view.get('node');
  const isHostPort = item.frontends.some(({ type }) => type === 'HostPort');
  if (!isHostPort || node?.kind !== 'node' || view.all('tunnel').length === 0) return [];
  return backends.flatMap((backend) => {
    const pod = backend.pod === null ? undefined : view.get(podKey(backend.pod));
    return pod?.kind === 'interface'
      ? [...turnLoop(node, view), ...steering(item, backend, node, pod.key)]
      : [];
  });
}

const podKey = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string =>
  `interface/pod/${namespace}/${name}`;

function steering(
  { protocol }: ServiceItem,
  { address, port }: ServiceBackend,
  { podCidrs, podSubnets }: NodeItem,
  pod: string,
): VppObject[] {
  const family = familyOf(address);
  const from = {
    ...{ source: hostPrefix(address), protocol: protocolNumber(protocol) },
    sourcePorts: [port, port] as const,
  };
  const rules = [
    ...podSubnets.map((destination) => ['deny', destination] as const),
    ...podCidrs.map((destination) => ['permit', destination] as const),
  ]
    .filter(([, destination]) => familyOf(destination) === family)
    .map(([action, destination]) => aclRule(action, family, { ...from, destination }));
  const id = idOf(`${protocol} ${address} ${port}`);
  const key = `acl/answers/${id}`;
  const acl: VppObject<'acl', AclSpec> = { kind: 'acl', key, needs: [], spec: { rules } };
  const policy = abfPolicy({ id, acl: key, interface: TURN.key, nextHop: TURN.nextHop[family] });
  return [acl, policy, abfAttachment({ policy: policy.key, id, interface: interfaceKey(pod), family })];
}

/** FNV-1a (32 bits). */
function idOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return Math.max(hash, FIRST_ID);
}
