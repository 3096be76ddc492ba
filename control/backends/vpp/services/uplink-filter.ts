/**
 * Who may come by the uplink: source ranges, and services that outsiders have no backends of. CNAT has translated the destination when
 * access lists are asked, so that it is the backends that are guarded, with their ports. An outsider who may reach a backend by another
 * service of no backends outside is let through; by another service of other source ranges, when any of them has him.
 */
import type { Item, ServiceBackend, ServiceItem } from '../../../ruleset/types.js';
import { familyOf, hostPrefix } from '../links/specs.js';
import { interfaceKey } from '../objects/names.js';
import type { ObjectKey, Renderer, View, VppObject } from '../objects/types.js';
import { type AclNotes, type AclSpec, aclRule, type NotedRule } from '../policies/acl-rules.js';
import { protocolNumber } from './api-values.js';
import { backendsOf } from './backends.js';

const FILTER_ACL: ObjectKey = 'acl/uplink';

export const uplinkFilterRenderer: Renderer = {
  name: 'uplink-filter',
  kinds: ['interface'],
  render(item: Item, view: View): readonly VppObject[] {
    if (item.kind !== 'interface' || item.role !== 'uplink') return [];
    const guarded = guardedBackends(view.all('service'));
    if (guarded.size === 0) return [];
    const node = view.get('node');
    const inside = node?.kind === 'node' ? node.podCidrs : [];
    const rules = [
      ...inside.map((source) =>
        permit('pods of the cluster', aclRule('permit', familyOf(source), { source })),
      ),
      ...[...guarded.values()].sort(byAddress).flatMap(rulesOf),
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

/** One address and port, and which services say who may come there. */
interface Guarded {
  readonly backend: ServiceBackend;
  readonly protocol: ServiceItem['protocol'];
  readonly ranges: Set<string>;
  readonly services: Set<string>;
}

/** Pure. By protocol, address and port. */
export function guardedBackends(services: readonly ServiceItem[]): ReadonlyMap<string, Guarded> {
  const guarded = new Map<string, Guarded>();
  const closed = services.filter(isGuarded);
  for (const service of closed) {
    for (const backend of backendsOf(service)) {
      const key = keyOf(service, backend);
      const entry = guarded.get(key) ?? {
        ...{ backend, protocol: service.protocol, ranges: new Set<string>(), services: new Set<string>() },
      };
      if (!isShut(service)) for (const range of service.sourceRanges ?? []) entry.ranges.add(range);
      entry.services.add(`Service ${service.namespace}/${service.name}`);
      guarded.set(key, entry);
    }
  }
  if (guarded.size === 0) return guarded;
  // What has only the fault of having no endpoint here is open to those whom another service leads there.
  for (const service of services) {
    if (service.scope !== 'external' || isGuarded(service)) continue;
    for (const backend of backendsOf(service)) {
      const entry = guarded.get(keyOf(service, backend));
      if (entry === undefined || closed.some((other) => other.sourceRanges !== null && leadsTo(other, entry)))
        continue;
      guarded.delete(keyOf(service, backend));
    }
  }
  return guarded;
}

const isShut = ({ outsideBackends }: ServiceItem): boolean => outsideBackends?.length === 0;
const isGuarded = (service: ServiceItem): boolean =>
  service.scope === 'external' && (service.sourceRanges !== null || isShut(service));

function leadsTo(service: ServiceItem, { backend, protocol }: Guarded): boolean {
  return (
    service.protocol === protocol &&
    backendsOf(service).some(({ address, port }) => address === backend.address && port === backend.port)
  );
}

function keyOf({ protocol }: ServiceItem, { address, port }: ServiceBackend): string {
  return `${protocol} ${address} ${port}`;
}

function byAddress(a: Guarded, b: Guarded): number {
  const [left, right] = [keyOfGuarded(a), keyOfGuarded(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

const keyOfGuarded = ({ protocol, backend }: Guarded): string =>
  `${protocol} ${backend.address} ${backend.port}`;

function rulesOf({ backend, protocol, ranges, services }: Guarded): NotedRule[] {
  const family = familyOf(backend.address);
  const there = {
    ...{ destination: hostPrefix(backend.address), protocol: protocolNumber(protocol) },
    destinationPorts: [backend.port, backend.port] as const,
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
