import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as items from '../../../../test/backends/items.js';
import type { InterfaceItem, Item, Key } from '../../../ruleset/types.js';
import { RenderError } from '../objects/errors.js';
import { interfaceKey } from '../objects/names.js';
import { sameObject } from '../objects/same.js';
import type { ObjectKey, View, VppObject, VppOptions } from '../objects/types.js';
import { DEFAULT_OPTIONS } from '../options.js';
import { DESCRIPTORS, renderersOf } from '../registry.js';
import { memifId } from './source.js';
import type {
  AddressSpec,
  ClassifierSpec,
  InterfaceSpec,
  LinkSpec,
  PolicerSpec,
  RouteSpec,
} from './specs.js';

const test = suite('links rendered for VPP');

function viewOf(list: readonly Item[], options: Partial<VppOptions> = {}): View {
  const map = new Map<Key, Item>(list.map((item) => [item.key, item]));
  const kinds = new Map<string, readonly Item[]>();
  return {
    options: { ...DEFAULT_OPTIONS, ...options },
    get: (key) => map.get(key),
    all: (kind) => {
      const known = kinds.get(kind) ?? [...map.values()].filter((item) => item.kind === kind);
      kinds.set(kind, known);
      return known as never;
    },
  };
}

/** All objects of the items; throws where two items want different ones of one key. */
function render(list: readonly Item[], options: Partial<VppOptions> = {}): ReadonlyMap<ObjectKey, VppObject> {
  const view = viewOf(list, options);
  const objects = new Map<ObjectKey, VppObject>();
  for (const item of new Map(list.map((each) => [each.key, each])).values()) {
    for (const renderer of renderersOf(view.options).filter(({ kinds }) => kinds.includes(item.kind))) {
      for (const object of renderer.render(item, view)) {
        const known = objects.get(object.key);
        assert.ok(known === undefined || sameObject(known, object), `two of ${object.key}`);
        objects.set(object.key, object);
      }
    }
  }
  return objects;
}

const CLUSTER: readonly Item[] = [
  ...items.nodeItems(1),
  ...items.peerItems(1, 2),
  ...items.peerItems(1, 3),
  ...items.podItems(1, 1, 'a'),
  ...items.podItems(1, 2, 'b'),
];

const specOf = <T>(objects: ReadonlyMap<ObjectKey, VppObject>, key: ObjectKey): T => {
  const object = objects.get(key);
  assert.ok(object !== undefined, `no ${key} among ${[...objects.keys()].join(' ')}`);
  return object?.spec as T;
};
const pathOf = (objects: ReadonlyMap<ObjectKey, VppObject>, key: ObjectKey) =>
  specOf<RouteSpec>(objects, key).path;
const without = (list: readonly Item[], ...keys: readonly Key[]): readonly Item[] =>
  list.filter(({ key }) => !keys.includes(key));
const uplinkOf = (list: readonly Item[]): InterfaceItem =>
  list.find((item) => item.key === items.UPLINK) as InterfaceItem;

test('every object needs what is rendered as well, in no circle, and has a descriptor', () => {
  const objects = render(CLUSTER);
  const kinds = new Set(DESCRIPTORS.map(({ kind }) => kind));
  const done = new Set<ObjectKey>();
  const visit = (key: ObjectKey, path: readonly ObjectKey[]): void => {
    assert.not(path.includes(key), `circle ${[...path, key].join(' ')}`);
    if (done.has(key)) return;
    const object = objects.get(key);
    assert.ok(object !== undefined, `${path.at(-1)} needs ${key}`);
    assert.ok(kinds.has(object?.kind ?? ''), object?.kind);
    for (const need of object?.needs ?? []) visit(need, [...path, key]);
    done.add(key);
  };
  for (const key of objects.keys()) visit(key, []);
  // Handles are looked up by the first part of the key.
  for (const { kind, key } of objects.values()) assert.ok(key.startsWith(`${kind}/`), key);
});

test('a pod has the gateway’s addresses, static neighbors, and may send only what is its own', () => {
  const objects = render(CLUSTER);
  const key = interfaceKey(items.podKey('a'));
  assert.equal(specOf<InterfaceSpec>(objects, key), {
    ...{ source: { type: 'af_packet', link: 'p1-a' }, mac: items.gatewayMac(1), table: 1 },
  });
  assert.equal(specOf<LinkSpec>(objects, `link/${key}`), {
    ...{ interface: key, mtu: 1450, ip6: true, unnumbered: 'if/gateway' },
  });
  for (const ip of [items.podAddress(1, 1), items.podAddress6(1, 1)]) {
    assert.equal(specOf(objects, `neighbor/${key}/${ip}`), {
      ...{ interface: key, ip, mac: items.podMac(1, 1), fib: true },
    });
  }
  for (const kind of ['source-check', 'arp-off'])
    assert.ok([...objects.keys()].some((each) => each.startsWith(`${kind}/${key}`)));
  assert.ok(objects.has('address/if/gateway/10.1.1.1/32'));
  // Who is not in the pods' table finds the gateway there.
  assert.equal(pathOf(objects, 'route/0/10.1.1.1/32'), { type: 'lookup', table: 1 });
  assert.equal(pathOf(objects, 'route/1/10.1.1.2/32'), {
    ...{ type: 'interface', interface: key, nextHop: items.podAddress(1, 1) },
  });
});

test('an interface’s own address has the length of the link’s prefix, which then is no route', () => {
  const objects = render(CLUSTER);
  assert.ok(objects.has('address/if/uplink/192.168.16.1/24'));
  assert.ok(objects.has('address/if/uplink/fd00:16::1/64'));
  assert.ok(objects.has('address/if/host/172.30.1.1/24'));
  for (const prefix of ['192.168.16.0/24', '172.30.1.0/24', 'fd00:16::/64'])
    assert.not(objects.has(`route/0/${prefix}`));
  assert.ok(objects.has('route/1/192.168.16.0/24'));
});

test('where no route names the link’s prefix, it holds the stations that are on it', () => {
  const lists = (own: string, stations: readonly string[]): readonly Item[] => [
    { ...uplinkOf(CLUSTER), ownAddresses: [own] },
    ...stations.map((ip) => items.route('main', `${ip}/32`, items.via(items.UPLINK))),
  ];
  const prefixOf = (own: string, ...stations: readonly string[]): string => {
    const objects = [...render(lists(own, stations)).values()];
    const found = objects.flatMap(({ kind, spec }) => (kind === 'address' ? [spec as AddressSpec] : []));
    return found.map(({ prefix }) => prefix).join();
  };
  assert.is(prefixOf('10.0.3.4'), '10.0.3.4/32');
  assert.is(prefixOf('10.0.3.4', '10.0.3.200'), '10.0.3.4/24');
  assert.is(prefixOf('10.0.3.4', '10.0.3.200', '10.0.18.1'), '10.0.3.4/16');
  assert.is(prefixOf('10.0.3.4', '172.16.0.1'), '10.0.3.4/32', 'no link is as large');
  const viaGateway = [
    { ...uplinkOf(CLUSTER), ownAddresses: ['10.0.3.4'] },
    items.route('main', '0.0.0.0/0', items.via(items.UPLINK, '10.0.3.1')),
  ];
  assert.ok(render(viaGateway).has('address/if/uplink/10.0.3.4/24'));
});

test('what is sent to the node goes to the host, and VPP answers ARP and ND for it', () => {
  const objects = render(CLUSTER);
  const direct = { type: 'interface', interface: 'if/host', nextHop: '192.168.16.1' };
  assert.equal(pathOf(objects, 'route/1/192.168.16.1/32'), direct);
  // A route that named another interface would end ARP on the uplink.
  assert.equal(pathOf(objects, 'route/0/192.168.16.1/32'), { type: 'lookup', table: 1 });
  assert.equal(pathOf(objects, 'route/0/fd00:16::1/128'), { ...direct, nextHop: 'fd00:16::1' });
  const neighbor = specOf<{ fib: boolean }>(objects, 'neighbor/if/host/192.168.16.1');
  assert.is(neighbor.fib, false);
  assert.is(specOf<{ fib: boolean }>(objects, 'neighbor/if/host/172.30.1.2').fib, true);
  assert.ok(objects.has('proxy-address/0/172.30.1.1'));
  assert.equal(pathOf(objects, 'route/1/172.30.1.1/32'), { type: 'lookup', table: 0 });
});

test('without a host VPP itself answers for the node’s addresses', () => {
  const list = [
    ...without(CLUSTER, items.HOST, 'route/main/192.168.16.1/32'),
    items.route('main', '192.168.16.1/32', { type: 'reject' }),
  ];
  assert.not(render(list).has('route/0/192.168.16.1/32'));
});

test('a route that leads nowhere yet drops, and is of the same key later', () => {
  const early = render(without(CLUSTER, items.podKey('a'), 'endpoint/shop/a', 'tunnel/2', items.HOST));
  for (const key of ['route/1/10.1.1.2/32', 'route/0/10.1.2.0/24', 'route/1/192.168.16.1/32'])
    assert.equal(pathOf(early, key), { type: 'drop' });
  const [tunnel] = items.peerItems(1, 2);
  assert.ok(tunnel?.kind === 'tunnel');
  const { remoteBvi6: _remote, localBvi6: _local, ...only4 } = tunnel as Item & { kind: 'tunnel' };
  const ipv4 = render([...without(CLUSTER, 'tunnel/2', 'tunnel/3'), only4]);
  assert.equal(pathOf(ipv4, 'route/1/fd00:1:0:2::/64'), { type: 'drop' }, 'no IPv6 inside');
});

test('the mesh: one tunnel a peer, entered by one virtual interface', () => {
  const objects = render(CLUSTER);
  assert.equal(specOf<InterfaceSpec>(objects, 'if/tunnel/2'), {
    source: { type: 'vxlan', local: '192.168.16.1', remote: '192.168.16.2', vni: 10 },
    ...{ mac: null, table: 0 },
  });
  assert.equal(specOf<InterfaceSpec>(objects, 'if/bvi').mac, items.bviMac(1));
  assert.is(specOf<LinkSpec>(objects, 'link/if/bvi').mtu, 1450);
  const groups = ['if/bvi', 'if/tunnel/2', 'if/tunnel/3'].map(
    (key) => specOf<{ group: number }>(objects, `bridge-member/${key}`).group,
  );
  assert.equal(groups, [0, 1, 1], 'nothing goes from tunnel to tunnel');
  assert.equal(specOf(objects, `bridge-entry/1/${items.bviMac(3)}`), {
    ...{ bridge: 1, mac: items.bviMac(3), interface: 'if/tunnel/3' },
  });
  assert.equal(pathOf(objects, 'route/0/10.1.3.0/24'), {
    ...{ type: 'interface', interface: 'if/bvi', nextHop: items.bvi(3) },
  });
  assert.equal(pathOf(objects, 'route/1/fd00:1:0:3::/64'), {
    ...{ type: 'interface', interface: 'if/bvi', nextHop: items.bvi6(3) },
  });
});

test('tunnels run over IPv4; what is learned by ARP and ND there is asked again', () => {
  const [tunnel] = items.peerItems(1, 2);
  assert.ok(tunnel?.kind === 'tunnel');
  const over6 = { ...(tunnel as Item & { kind: 'tunnel' }), remote: 'fd00:16::2' };
  assert.throws(
    () => render([over6]),
    (error: unknown) => error instanceof RenderError && error.object === 'tunnel/2',
  );
  const objects = render(CLUSTER);
  assert.ok(objects.has('tunnel-input/if/uplink/4') && !objects.has('tunnel-input/if/uplink/6'));
  assert.ok(objects.has('neighbor-aging/4') && objects.has('neighbor-aging/6'));
});

test('IPv6 packets that ask routers for something are dropped; discovery of the node’s addresses is VPP’s', () => {
  const objects = render(CLUSTER);
  const { matches } = specOf<ClassifierSpec>(objects, 'classifier/discovery');
  const address = 'fd000016000000000000000000000001';
  assert.equal(
    matches,
    ['87', '88'].map((type) => ({ bytes: `3a${address}${type}`, verdict: 'own' })),
  );
  assert.equal(pathOf(objects, 'route/3/fd00:16::1/128'), { type: 'local' });
  for (const name of ['a', 'b'])
    assert.equal(specOf(objects, `classifier-use/if/pod/shop/${name}`), {
      ...{ interface: `if/pod/shop/${name}`, name: 'options' },
    });
  const only4 = items.podItems(1, 1, 'a').map((item) => {
    if (item.kind !== 'interface') return item;
    return { ...item, peerAddresses: [items.podAddress(1, 1)], ownAddresses: [items.gateway(1)] };
  });
  assert.not(render(only4).has('classifier-use/if/pod/shop/a'));
});

test('each kind of interface is made from what its options say', () => {
  const sourceOf = (options: Partial<VppOptions>, item: Item = items.podItems(1, 1, 'a')[0] as Item) =>
    specOf<InterfaceSpec>(render([item], options), interfaceKey(item.key)).source;
  assert.equal(sourceOf({ pod: { type: 'af_xdp' } }), { type: 'af_xdp', link: 'p1-a' });
  assert.equal(sourceOf({ pod: { type: 'memif', socket: '/run/memif.sock' } }), {
    ...{ type: 'memif', socket: '/run/memif.sock', id: memifId('p1-a') },
  });
  assert.equal(sourceOf({ uplink: { type: 'existing', name: 'net0' } }, uplinkOf(CLUSTER)), {
    ...{ type: 'existing', name: 'net0' },
  });
  const tap = { netns: '/var/run/netns/pod', ifname: 'eth0' };
  const pod = { ...(items.podItems(1, 1, 'a')[0] as InterfaceItem), tap };
  assert.equal(sourceOf({}, pod), { type: 'tap', ...tap, mac: items.podMac(1, 1) });
  const far = { ...pod, tap: { ...tap, netns: `/var/run/netns/${'n'.repeat(64)}` } };
  assert.throws(
    () => render([far]),
    (error: unknown) => error instanceof RenderError && error.field === 'tap.netns',
  );
  const long = { ...uplinkOf(CLUSTER), link: 'sixteen-bytes-xx' };
  assert.throws(
    () => render([long]),
    (error: unknown) => error instanceof RenderError && error.object === items.UPLINK,
  );
});

test('limits become policers of the pod’s interface, each direction its own', () => {
  const limit = { bitsPerSecond: 10_000_000, burstBits: 80_000 };
  const pod = {
    ...(items.podItems(1, 1, 'a')[0] as InterfaceItem),
    limits: { toPod: limit, fromPod: null },
  };
  const objects = render([pod]);
  const policers = [...objects.values()].filter(({ kind }) => kind === 'policer');
  assert.equal(
    policers.map(({ spec }) => spec as PolicerSpec),
    [{ interface: 'if/pod/shop/a', direction: 'output', ...limit }],
  );
});

test('names too long for VPP’s tag stay apart', () => {
  const key = (name: string) => interfaceKey(`interface/pod/${'n'.repeat(63)}/${name}`);
  assert.is.not(key(`${'p'.repeat(200)}1`), key(`${'p'.repeat(200)}2`));
  assert.ok(Buffer.byteLength(key('p'.repeat(253))) <= 54);
  assert.is(interfaceKey('interface/pod/shop/web'), 'if/pod/shop/web');
});

test('where there may be TAPs, whatever is none cuts segments, and what enters tunnels is cut before', () => {
  const cutsOf = (list: readonly Item[], options: Partial<VppOptions>): readonly ObjectKey[] =>
    [...render(list, options).keys()].filter((key) => key.startsWith('cut/')).sort();
  assert.equal(cutsOf(CLUSTER, {}), []);
  const onVeth = ['cut/if/host', 'cut/if/pod/shop/a', 'cut/if/pod/shop/b', 'cut/if/uplink'];
  assert.equal(cutsOf(CLUSTER, { cutSegments: true }), ['cut/if/bvi', ...onVeth]);
  const taps = CLUSTER.map((item): Item => {
    const isPod = item.kind === 'interface' && item.role === 'pod';
    return isPod ? { ...item, tap: { netns: '/run/netns/x', ifname: 'eth0' } } : item;
  });
  assert.equal(cutsOf(taps, { cutSegments: true, host: { type: 'tap' } }), ['cut/if/bvi', 'cut/if/uplink']);
});

test.run();
