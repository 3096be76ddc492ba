/** The text form: a ruleset or its changes as a person reads them. */
import type {
  AddressSetItem,
  Change,
  Item,
  Origin,
  PolicyRule,
  PortRange,
  RouteTarget,
  ServiceItem,
} from './types.js';

/** One item a paragraph. */
export function formatItems(items: Iterable<Item>): string {
  return [...items].map((item) => `${formatItem(item)}\n`).join('');
}

/** `+` added, `~` updated, `-` removed; an update shows the new form. */
export function formatChanges(changes: readonly Change[]): string {
  return changes
    .map((change) => {
      const sign = { add: '+', update: '~', remove: '-' }[change.type];
      return `${sign} ${formatItem(change.type === 'remove' ? change.old : change.item)}\n`;
    })
    .join('');
}

/** The key, then what it says; lists go on in further lines, set in by four. */
function formatItem(item: Item): string {
  return [`${item.key}: ${summary(item)}`, ...details(item).map((line) => `    ${line}`)].join('\n');
}

function summary(item: Item): string {
  switch (item.kind) {
    case 'node':
      return `${item.name}, id ${item.id}, at ${list(item.addresses)}, pods in ${list(item.podSubnets)}`;
    case 'interface':
      return `${item.tap === undefined ? 'link' : 'tap'} ${item.link}, ${item.mac}, peer ${item.peerMac ?? 'learned'} ${list(item.peerAddresses)}, mtu ${item.mtu}`;
    case 'route':
      return formatTarget(item.target);
    case 'tunnel':
      return `to ${item.peer}, ${item.local} -> ${item.remote}, vni ${item.vni}, mtu ${item.mtu}`;
    case 'addressset':
      return formatSet(item);
    case 'policy':
      return `${item.direction}, ${item.isolatedBy.length > 0 ? 'closed' : 'open'} but for ${item.rules.length} rules`;
    case 'endpoint':
      return `ingress ${item.ingress ?? 'open'}, egress ${item.egress ?? 'open'}`;
    case 'service': {
      const affinity = item.affinitySeconds === null ? '' : `, affinity ${item.affinitySeconds} s`;
      const ranges = item.sourceRanges === null ? '' : `, only from ${list(item.sourceRanges)}`;
      const backends = item.backends.length === 0 ? 'reject' : `${item.backends.length} backends`;
      const outside = formatOutside(item.outsideBackends);
      return `${item.frontends.map(({ address, port }) => `${address}:${port}`).join(' ')} -> ${backends}${affinity}${ranges}${outside}`;
    }
    case 'healthcheck':
      return `port ${item.port} answers ${item.localEndpoints > 0 ? 200 : 503}: ${item.localEndpoints} ready here`;
    case 'snat':
      return `${list(item.sources)} becomes ${list(item.addresses)}, hairpin ${list(item.hairpin)}`;
  }
}

function formatOutside(backends: ServiceItem['outsideBackends']): string {
  if (backends === null) return '';
  if (backends.length === 0) return ', not from outside the cluster';
  return `, from outside ${list(backends.map(({ address, port }) => `${address}:${port}`))}`;
}

function details(item: Item): readonly string[] {
  switch (item.kind) {
    case 'policy':
      return [
        ...item.rules.map(formatRule),
        ...item.isolatedBy.map((origin) => `closed by ${formatOrigin(origin)}`),
      ];
    case 'service':
      return item.backends.map(({ address, port, pod, node }) => {
        const who = pod === null ? '' : ` ${pod.namespace}/${pod.name}`;
        return `${address}:${port}${who}${node === null ? '' : ` on ${node}`}`;
      });
    case 'snat':
      return item.exclude.map((cidr) => `not to ${cidr}`);
    default:
      return [];
  }
}

function formatRule({ tier, action, peers, ports, origin }: PolicyRule): string {
  const who = peers === null ? 'everyone' : list(peers);
  const what =
    ports === null ? 'everything' : ports.length === 0 ? 'nothing' : ports.map(formatPorts).join(' ');
  return `${tier === 'network' ? '' : `${tier} `}${action} ${who} on ${what} (${formatOrigin(origin)})`;
}

/** `NetworkPolicy shop/allow-web spec.ingress[0]`. */
export function formatOrigin({ kind, namespace, name, field }: Origin): string {
  const object = namespace === null ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
  return field === null ? object : `${object} ${field}`;
}

/** Where an origin is written (`policies.yaml:12`), or null where that is not known. */
export type Locate = (origin: Origin) => string | null;

/** An origin with the place it is written at, for a person. */
export function formatLocated(origin: Origin, locate: Locate): string {
  const where = locate(origin);
  return where === null ? formatOrigin(origin) : `${formatOrigin(origin)} (${where})`;
}

function formatPorts({ protocol, from, to }: PortRange): string {
  if (protocol === null) return 'every protocol';
  if (from === 0 && to === 65535) return protocol;
  return from === to ? `${protocol}/${from}` : `${protocol}/${from}-${to}`;
}

function formatSet({ addresses, blocks }: AddressSetItem): string {
  const cut = blocks.map(({ cidr, except }) =>
    except.length === 0 ? cidr : `${cidr} without ${list(except)}`,
  );
  return list([...addresses, ...cut]);
}

function formatTarget(target: RouteTarget): string {
  switch (target.type) {
    case 'interface':
      return target.nextHop === null ? target.interface : `${target.interface} via ${target.nextHop}`;
    case 'tunnel':
      return target.tunnel;
    default:
      return target.type;
  }
}

function list(texts: readonly string[]): string {
  return texts.length === 0 ? 'nothing' : texts.join(' ');
}
