/**
 * Who may come by the uplink: source ranges, and services that outsiders have no backends of. CNAT has translated the destination when
 * access lists are asked, so that it is the backends that are guarded, with their ports; NAT44-ED has not, and it is the frontends. An outsider who may reach a backend by another
 * service of no backends outside is let through; by another service of other source ranges, when any of them has him.
 */
import type { Ip, Item, ServiceItem } from '../../../ruleset/types.js';
import { familyOf, hostPrefix } from '../links/specs.js';
import { interfaceKey } from '../objects/names.js';
import type { ObjectKey, Renderer, View, VppObject, VppOptions } from '../objects/types.js';
import { type AclNotes, type AclSpec, aclRule, type NotedRule } from '../policies/acl-rules.js';
import { protocolNumber } from './api-values.js';
import { backendsOf, isOnCnat } from './backends.js';

const FILTER_ACL: ObjectKey = 'acl/uplink';

export const uplinkFilterRenderer: Renderer = {
  name: 'uplink-filter',
  kinds: ['interface'],
  render(item: Item, view: View): readonly VppObject[] {
    if (item.kind !== 'interface' || item.role !== 'uplink') return [];
    const guarded = guardedPlaces(view.all('service'), view.options);
    if (guarded.size === 0) return [];
    const node = view.get('node');
    const inside = node?.kind === 'node' ? node.podCidrs : [];
    const rules = [
      ...inside.map((source) =>
        permit('pods of the cluster', aclRule('permit', familyOf(source), { source })),
      ),
      ...[...guarded].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, entry]) => rulesOf(entry)),
      ...([4, 6] as const).map((family) => permit('no service guards it', aclRule('permit', family))),
    ];
    const notes: AclNotes = { rules: rules.map(({ note }) => note) };
    const acl: VppObject<'acl', AclSpec> = {
      ...{ kind: 'acl', key: FILTER_ACL, needs: [] },
      ...{ spec: { rules: rules.map(({ rule }) => rule) }, notes },
    };
    const at = interfaceKey(item.key);
    return [
      acl,
      {
        ...{ kind: 'acl-binding', key: 'acl-binding/uplink', needs: [at, FILTER_ACL] },
        spec: { interface: at, input: [FILTER_ACL], output: [] },
      },
    ];
  },
};

interface Place {
  readonly address: Ip;
  readonly port: number;
}

/** One address and port, and which services say who may come there. */
interface Guarded {
  readonly place: Place;
  readonly protocol: ServiceItem['protocol'];
  readonly ranges: Set<string>;
  readonly services: Set<string>;
}

/** Pure. By protocol, address and port. */
export function guardedPlaces(
  services: readonly ServiceItem[],
  options: VppOptions,
): ReadonlyMap<string, Guarded> {
  const placesOf = (service: ServiceItem): readonly Place[] =>
    isOnCnat(service, options) ? backendsOf(service) : service.frontends;
  const guarded = new Map<string, Guarded>();
  const restricted = new Set<string>();
  for (const service of services.filter(isGuarded)) {
    for (const place of placesOf(service)) {
      const key = keyOf(service.protocol, place);
      const { protocol } = service;
      const entry = guarded.get(key) ?? { place, protocol, ranges: new Set(), services: new Set() };
      guarded.set(key, entry);
      entry.services.add(`Service ${service.namespace}/${service.name}`);
      if (service.sourceRanges !== null) restricted.add(key);
      if (!isShut(service)) for (const range of service.sourceRanges ?? []) entry.ranges.add(range);
    }
  }
  if (guarded.size === 0) return guarded;
  // Who has only the fault that there is no endpoint of his here is let in where another service leads him there.
  for (const service of services) {
    if (service.scope !== 'external' || isGuarded(service)) continue;
    for (const place of placesOf(service)) {
      const key = keyOf(service.protocol, place);
      if (!restricted.has(key)) guarded.delete(key);
    }
  }
  return guarded;
}

const isShut = ({ outsideBackends }: ServiceItem): boolean => outsideBackends?.length === 0;
const isGuarded = (service: ServiceItem): boolean =>
  service.scope === 'external' && (service.sourceRanges !== null || isShut(service));

function keyOf(protocol: ServiceItem['protocol'], { address, port }: Place): string {
  return `${protocol} ${address} ${port}`;
}

function rulesOf({ place, protocol, ranges, services }: Guarded): NotedRule[] {
  const family = familyOf(place.address);
  const there = {
    ...{ destination: hostPrefix(place.address), protocol: protocolNumber(protocol) },
    destinationPorts: [place.port, place.port] as const,
  };
  const name = [...services].sort().join(', ');
  return [
    ...[...ranges]
      .filter((source) => familyOf(source) === family)
      .sort()
      .map((source) => permit(`source ranges of ${name}`, aclRule('permit', family, { ...there, source }))),
    {
      rule: aclRule('deny', family, there),
      note: { text: `source ranges of ${name}`, allowed: false, direction: null },
    },
  ];
}

function permit(text: string, rule: NotedRule['rule']): NotedRule {
  return { rule, note: { text, allowed: true, direction: null } };
}
