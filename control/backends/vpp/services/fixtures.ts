/** Items and views for the tests of services. */
import type {
  Frontend,
  InterfaceItem,
  Item,
  NodeItem,
  ServiceBackend,
  ServiceItem,
  SnatItem,
  TunnelItem,
} from '../../../ruleset/types.js';
import type { ObjectKey, Renderer, View, VppObject, VppOptions } from '../objects/types.js';
import { DEFAULT_OPTIONS } from '../options.js';

export const NODE: NodeItem = {
  ...{ kind: 'node', key: 'node', name: 'node-1', id: 1, addresses: ['192.168.16.1', 'fd00:16::1'] },
  ...{ podSubnets: ['10.1.1.0/24', 'fd00:1:0:1::/64'], podCidrs: ['10.1.0.0/16', 'fd00:1::/48'] },
};

export const SNAT: SnatItem = {
  ...{ kind: 'snat', key: 'snat', addresses: NODE.addresses, sources: ['10.1.0.0/16'] },
  ...{ exclude: ['10.1.0.0/16'], hairpin: ['172.30.1.1'] },
};

export const TUNNEL: TunnelItem = {
  ...{ kind: 'tunnel', key: 'tunnel/2', peer: 'node-2', vni: 10 },
  ...{ local: '192.168.16.1', remote: '192.168.16.2', localMac: '12:2b:00:00:00:01' },
  ...{ remoteMac: '12:2b:00:00:00:02', localBvi: '192.168.30.1', remoteBvi: '192.168.30.2', mtu: 1450 },
};

function link(
  role: InterfaceItem['role'],
  own: readonly string[],
  peers: readonly string[] = [],
): InterfaceItem {
  const pod = role === 'pod' ? { namespace: 'shop', name: 'a' } : null;
  const key = pod === null ? `interface/${role}` : 'interface/pod/shop/a';
  return {
    ...{ kind: 'interface', key, role, pod, link: role, mac: '02:00:00:00:00:01', peerMac: null },
    ...{ peerAddresses: peers, ownAddresses: own, mtu: 1500 },
  };
}

export const UPLINK = link('uplink', NODE.addresses);
export const HOST = link('host', ['172.30.1.1'], ['172.30.1.2', ...NODE.addresses]);
export const POD = link('pod', ['10.1.1.1'], ['10.1.1.2', 'fd00:1:0:1::2']);

export const at = (address: string, port: number, type: Frontend['type'] = 'ClusterIP'): Frontend => ({
  ...{ address, port, type },
});

export const backend = (address: string, port: number, weight = 1): ServiceBackend => ({
  ...{ address, port, weight, pod: null, node: null },
});

export function service(fields: Partial<ServiceItem>): ServiceItem {
  const { name = 'web', protocol = 'TCP', scope = 'internal' } = fields;
  return {
    ...{ kind: 'service', key: `service/shop/${name}/${protocol}/80/${scope}`, namespace: 'shop', name },
    ...{ portName: null, protocol, scope, frontends: [at('10.96.0.10', 80)], backends: [] },
    ...{ affinitySeconds: null, algorithm: 'random', sourceRanges: null, outsideBackends: null },
    ...fields,
  };
}

export function viewOf(items: readonly Item[], options: Partial<VppOptions> = {}): View {
  const byKey = new Map(items.map((item) => [item.key, item]));
  return {
    options: { ...DEFAULT_OPTIONS, ...options },
    get: (key) => byKey.get(key),
    all: (kind) => items.filter((item) => item.kind === kind) as never,
  };
}

/** What renderers make of all the items, by key. Throws when two make different things of one key. */
export function renderAll(
  renderers: readonly Renderer[],
  items: readonly Item[],
  options: Partial<VppOptions> = {},
): Map<ObjectKey, VppObject> {
  const view = viewOf(items, options);
  const objects = new Map<ObjectKey, VppObject>();
  for (const renderer of renderers) {
    for (const item of items.filter(({ kind }) => renderer.kinds.includes(kind))) {
      for (const object of renderer.render(item, view)) {
        const old = objects.get(object.key);
        if (old !== undefined && JSON.stringify(old.spec) !== JSON.stringify(object.spec)) {
          throw new Error(`two of ${object.key}`);
        }
        objects.set(object.key, object);
      }
    }
  }
  return objects;
}
