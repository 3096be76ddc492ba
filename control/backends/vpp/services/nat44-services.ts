/**
 * Services on NAT44-ED: a mapping for each IPv4 frontend that has backends. It translates after the access lists of the input: a pod's
 * egress policies see the service's address.
 */
import { cidrContains, parseCidr, parseIp } from '../../../common/ip.js';
import type { NodeItem, ServiceBackend, ServiceItem } from '../../../ruleset/types.js';
import { familyOf } from '../links/specs.js';
import { isTunnelEnd } from '../links/tunnel-ends.js';
import { RenderError } from '../objects/errors.js';
import { TABLE_IDS, TUNNEL_TABLE } from '../objects/names.js';
import type { Renderer } from '../objects/types.js';
import { backendsOf, isOnCnat } from './backends.js';
import { type Local, mapping } from './nat44-objects.js';
import { rejects } from './rejects.js';

const LARGEST_SHARE = 255;

export const nat44ServicesRenderer: Renderer = {
  name: 'nat44-services',
  kinds: ['service'],
  render(item, view) {
    if (item.kind !== 'service' || isOnCnat(item, view.options)) return [];
    refuse(item);
    const backends = backendsOf(item).filter((backend) => !isTunnelEnd(backend, item.protocol, view));
    if (backends.length === 0) return rejects(item, view);
    const node = view.get('node');
    const self = node?.kind === 'node' ? node : null;
    const locals = localsOf(backends, self);
    // A backend elsewhere answers by its own uplink, unless the client has our name.
    const away = item.scope === 'external' && backends.some(({ address }) => !isHere(address, self));
    const { protocol, key: service } = item;
    // With one backend a client has nowhere else to go.
    const affinity = locals.length > 1 ? (item.affinitySeconds ?? 0) : 0;
    return item.frontends.map(({ address, port }) =>
      mapping({ address, port, protocol, source: away ? 'always' : 'self', affinity, locals }, { service }),
    );
  },
};

function refuse(item: ServiceItem): void {
  const wrong = (field: string, value: unknown, text: string): never => {
    throw new RenderError(text, item.key, { field, value });
  };
  if (item.protocol === 'SCTP') wrong('protocol', item.protocol, 'NAT44-ED does not translate SCTP');
  if (item.algorithm === 'maglev') wrong('algorithm', item.algorithm, 'NAT44-ED has no consistent hashing');
  const other = backendsOf(item).find(({ address }) => familyOf(address) !== 4);
  if (other !== undefined) wrong('backends', other.address, 'NAT44-ED translates IPv4 alone');
}

/** Pure. VPP takes one local alone without a share. */
function localsOf(backends: readonly ServiceBackend[], node: NodeItem | null): readonly Local[] {
  const largest = Math.max(...backends.map(({ weight }) => weight));
  const scale = largest > LARGEST_SHARE ? LARGEST_SHARE / largest : 1;
  const locals = new Map<string, Local>();
  for (const { address, port, weight } of backends) {
    const share = Math.max(1, Math.round(weight * scale));
    locals.set(`${address} ${port}`, { address, port, share, table: tableOf(address, node) });
  }
  const sorted = [...locals].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, local]) => local);
  return sorted.length === 1 ? sorted.map((local) => ({ ...local, share: 0 })) : sorted;
}

/** The table of the interface that a backend's answers come in by. */
function tableOf(address: string, node: NodeItem | null): number {
  if (within(address, node?.podSubnets ?? [])) return TABLE_IDS.pod;
  return within(address, node?.podCidrs ?? []) ? TUNNEL_TABLE : TABLE_IDS.main;
}

function isHere(address: string, node: NodeItem | null): boolean {
  return within(address, node?.podSubnets ?? []) || (node?.addresses ?? []).includes(address);
}

function within(address: string, cidrs: readonly string[]): boolean {
  const ip = parseIp(address);
  return cidrs.some((cidr) => cidrContains(parseCidr(cidr), ip));
}
