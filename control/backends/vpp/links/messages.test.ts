/** What VPP is told, message by message, with the descriptions of two releases; this is all that holds TAP, memif and AF_XDP where they cannot run. */
import { suite, type Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Fields } from '../api/api.js';
import { MissingMessageError, VppRetvalError } from '../api/errors.js';
import { RECORDED_VERSIONS } from '../api/testing/recording.js';
import type { VppContext } from '../objects/types.js';
import { classifiers } from './classifiers.js';
import { cuts } from './cuts.js';
import { contextOf, FakeApi } from './fake-api.js';
import { isShown } from './features.js';
import { interfaces } from './interfaces.js';
import { links } from './link-settings.js';
import { neighborAgings } from './neighbor-aging.js';
import { classifier, cut, iface, link, neighborAging, policer, route } from './objects.js';
import { policers } from './policers.js';
import { routes } from './routes.js';
import { sourceChecks } from './source-checks.js';
import type { InterfaceSource } from './specs.js';

const MAC = '02:00:00:00:00:07';
const KEY = 'if/pod/shop/a';
/** Messages that came after the older release. */
const NEWER = [
  'memif_create_v2',
  'af_xdp_create_v3',
  'memif_socket_filename_add_del_v2',
  'feature_is_enabled',
];

interface Lab {
  readonly api: FakeApi;
  readonly vpp: VppContext;
}

function open(release: string): Lab {
  const api = new FakeApi(release);
  if (release === '23.02') for (const message of NEWER) api.lacking.add(message);
  return { api, vpp: contextOf(api) };
}

const ofSource = (source: InterfaceSource, table = 1) => iface(KEY, { source, mac: MAC, table });

/** Makes the interface; the message that did, with its fields. */
async function made({ api, vpp }: Lab, source: InterfaceSource): Promise<Fields & { message: string }> {
  await interfaces.create(vpp, ofSource(source));
  const found = api.asked.find(({ message }) => message.includes('_create') || message.startsWith('create_'));
  return { ...found?.fields, message: found?.message ?? '' };
}

function tests(test: Test, release: string): void {
  const old = release === '23.02';

  test('a TAP is attached in the pod’s namespace, with segmentation, and outlives VPP', async () => {
    const lab = open(release);
    const tap = {
      type: 'tap',
      netns: '/var/run/netns/pod',
      ifname: 'eth0',
      mac: '02:fe:00:00:00:09',
    } as const;
    assert.equal(await made(lab, tap), {
      message: 'tap_create_v3',
      id: 0xffff_ffff,
      ...{ use_random_mac: false, mac_address: MAC },
      ...{ host_if_name_set: true, host_if_name: 'eth0' },
      ...{ host_namespace_set: true, host_namespace: '/var/run/netns/pod' },
      ...{ host_mac_addr_set: true, host_mac_addr: '02:fe:00:00:00:09' },
      tap_flags: ['TAP_API_FLAG_GSO', 'TAP_API_FLAG_ATTACH', 'TAP_API_FLAG_PERSIST'],
    });
    lab.api.taken();
    await interfaces.remove(lab.vpp, ofSource(tap));
    assert.equal(lab.api.taken(), ['sw_interface_tag_add_del', 'tap_delete_v2']);
  });

  test('a packet socket takes packets as they are on a wire, at once', async () => {
    const fields = await made(open(release), { type: 'af_packet', link: 'p1' });
    assert.is(fields.message, 'af_packet_create_v3');
    assert.equal([fields['host_if_name'], fields['hw_addr']], ['p1', MAC]);
    assert.equal(fields['flags'], ['AF_PACKET_API_FLAG_QDISC_BYPASS', 'AF_PACKET_API_FLAG_VERSION_2']);
    for (const way of ['rx', 'tx']) {
      const [frame, frames] = [fields[`${way}_frame_size`], fields[`${way}_frames_per_block`]].map(Number);
      assert.ok((frame ?? 0) > 9000 + 50 + 14 + 96, 'a jumbo packet in a tunnel fits');
      assert.is(((frame ?? 0) * (frames ?? 0)) % 4096, 0, 'a block is whole pages');
    }
  });

  test('segments are cut where that is asked for', async () => {
    const lab = open(release);
    lab.vpp.handles.set('if/uplink', 5);
    await cuts.create(lab.vpp, cut({ interface: 'if/uplink' }));
    await cuts.remove(lab.vpp, cut({ interface: 'if/uplink' }));
    assert.equal(lab.api.taken(), ['feature_gso_enable_disable', 'feature_gso_enable_disable']);
  });

  test('AF_XDP and memif by the newest message there is', async () => {
    const lab = open(release);
    const xdp = await made(lab, { type: 'af_xdp', link: 'p1' });
    assert.is(xdp.message, old ? 'af_xdp_create_v2' : 'af_xdp_create_v3');
    assert.equal([xdp['host_if'], xdp['name']], ['p1', 'xdp-p1']);
    // The MAC is not said when it is made.
    assert.ok(lab.api.taken().includes('sw_interface_set_mac_address'));

    lab.api.dumps.set('memif_socket_filename_dump', [{ socket_id: 1, socket_filename: '/other' }]);
    await interfaces.create(lab.vpp, ofSource({ type: 'memif', socket: '/run/memif.sock', id: 9 }));
    const asked = new Map(lab.api.asked.map(({ message, fields }) => [message, fields]));
    const socket = asked.get(old ? 'memif_socket_filename_add_del' : 'memif_socket_filename_add_del_v2');
    assert.equal(socket, { is_add: true, socket_id: 2, socket_filename: '/run/memif.sock' });
    const memif = asked.get(old ? 'memif_create' : 'memif_create_v2') ?? {};
    assert.equal([memif['id'], memif['socket_id'], memif['role']], [9, 2, 'MEMIF_ROLE_API_MASTER']);
  });

  test('a NIC that VPP has is found by its name, and left as it was found', async () => {
    const lab = open(release);
    lab.api.dumps.set('sw_interface_dump', [{ sw_if_index: 5, interface_name: 'net0' }]);
    const nic = ofSource({ type: 'existing', name: 'net0' });
    await interfaces.create(lab.vpp, nic);
    assert.is(lab.vpp.handles.get(KEY), 5);
    lab.api.taken();
    await interfaces.remove(lab.vpp, nic);
    assert.equal(lab.api.taken(), [
      ...['sw_interface_tag_add_del', 'sw_interface_set_table', 'sw_interface_set_table'],
    ]);
    const error = await interfaces.create(lab.vpp, ofSource({ type: 'existing', name: 'net1' })).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof VppRetvalError && error.message.includes('net1'));
  });

  test('the tag comes last, and an interface that does not get it goes', async () => {
    const lab = open(release);
    await interfaces.create(lab.vpp, ofSource({ type: 'loopback' }));
    assert.is(lab.api.taken().at(-1), 'sw_interface_tag_add_del');
    lab.api.failures.set('sw_interface_set_table', [new VppRetvalError('sw_interface_set_table', -3)]);
    const error = await interfaces.create(lab.vpp, ofSource({ type: 'af_packet', link: 'p2' })).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof VppRetvalError && error.symbol === 'NO_SUCH_FIB');
    assert.is(lab.api.taken().at(-1), 'af_packet_delete');
  });

  test('one left behind without a tag is made anew', async () => {
    const lab = open(release);
    lab.api.failures.set('af_packet_create_v3', [new VppRetvalError('af_packet_create_v3', -79)]);
    lab.api.failures.set('vxlan_add_del_tunnel_v3', [new VppRetvalError('vxlan_add_del_tunnel_v3', -75)]);
    await interfaces.create(lab.vpp, ofSource({ type: 'af_packet', link: 'p1' }, 0));
    const [create, remove] = ['af_packet_create_v3', 'af_packet_delete'];
    assert.equal(lab.api.taken(), [create, remove, create, 'sw_interface_tag_add_del']);
    const tunnel = { type: 'vxlan', local: '10.0.0.1', remote: '10.0.0.2', vni: 10 } as const;
    await interfaces.create(lab.vpp, iface('if/tunnel/2', { source: tunnel, mac: null, table: 0 }));
    const adds = lab.api.asked.filter(({ message }) => message === 'vxlan_add_del_tunnel_v3');
    assert.equal(
      adds.map(({ fields }) => fields['is_add']),
      [true, false, true],
    );
  });

  test('what is read back is what was told', async () => {
    const { api, vpp } = open(release);
    const details = (sw_if_index: number, tag: string, name: string, sort: string): Fields => ({
      ...{ sw_if_index, tag, interface_name: name, interface_dev_type: sort, l2_address: MAC },
      ...{ flags: ['IF_STATUS_API_FLAG_ADMIN_UP'], mtu: [1450, 0, 0, 0] },
    });
    api.dumps.set('sw_interface_dump', [
      details(1, KEY, 'host-p1', 'af-packet'),
      details(2, 'if/gateway', 'loop0', 'Loopback'),
      details(3, '', 'host-foreign', 'af-packet'),
      details(4, 'if/uplink', 'xdp-eth1', 'af_xdp'),
      details(5, 'if/pod/shop/t', 'tap0', 'virtio'),
      details(6, 'if/pod/shop/m', 'memif2/9', 'memif'),
      details(7, 'if/tunnel/2', 'vxlan_tunnel0', 'VXLAN'),
      details(8, 'if/host', 'net0', 'dpdk'),
    ]);
    api.dumps.set('af_packet_dump', [{ sw_if_index: 1, host_if_name: 'p1' }]);
    const tap = { sw_if_index: 5, host_namespace: '/netns', host_if_name: 'eth0', host_mac_addr: MAC };
    api.dumps.set('sw_interface_tap_v2_dump', [tap]);
    api.dumps.set('memif_dump', [{ sw_if_index: 6, id: 9, socket_id: 2 }]);
    api.dumps.set('memif_socket_filename_dump', [{ socket_id: 2, socket_filename: '/run/m' }]);
    api.dumps.set('vxlan_tunnel_v2_dump', [
      { sw_if_index: 7, src_address: '10.0.0.1', dst_address: '10.0.0.2', vni: 10 },
    ]);
    api.replies.set('sw_interface_get_table', { vrf_id: 1 });
    const found = await interfaces.read(vpp);
    assert.equal(
      found.map(({ key, spec }) => [key, spec.source]),
      [
        [KEY, { type: 'af_packet', link: 'p1' }],
        ['if/gateway', { type: 'loopback' }],
        ['if/uplink', { type: 'af_xdp', link: 'eth1' }],
        ['if/pod/shop/t', { type: 'tap', netns: '/netns', ifname: 'eth0', mac: MAC }],
        ['if/pod/shop/m', { type: 'memif', socket: '/run/m', id: 9 }],
        ['if/tunnel/2', { type: 'vxlan', local: '10.0.0.1', remote: '10.0.0.2', vni: 10 }],
        ['if/host', { type: 'existing', name: 'net0' }],
      ],
    );
    assert.is(vpp.handles.keyOf('if', 4), 'if/uplink');
    assert.equal([found[0]?.spec.table, found[0]?.spec.mac, found[5]?.spec.mac], [1, MAC, null]);
    api.dumps.set('ip_unnumbered_dump', [{ sw_if_index: 1, ip_sw_if_index: 2 }]);
    const [settings] = await links.read(vpp);
    assert.equal(settings?.spec, { interface: KEY, mtu: 1450, ip6: true, unnumbered: 'if/gateway' });
  });

  test('settings change one by one while packets pass', async () => {
    const { api, vpp } = open(release);
    vpp.handles.set(KEY, 3);
    const before = link({ interface: KEY, mtu: 1450, ip6: true, unnumbered: null });
    await links.create(vpp, before);
    const told = api.taken();
    assert.ok(told.includes('sw_interface_ip6nd_ra_config'), 'no router advertisements');
    assert.not(told.includes('sw_interface_set_flags'), 'which is another object’s');
    await links.update?.(vpp, before, link({ ...before.spec, mtu: 1400 }));
    assert.equal(api.asked, [
      { message: 'sw_interface_set_mtu', fields: { sw_if_index: 3, mtu: [1400, 0, 0, 0] } },
    ]);
  });

  test('routes are of a source of our own, made once and found again', async () => {
    const { api, vpp } = open(release);
    vpp.handles.set('if/bvi', 7);
    api.replies.set('fib_source_add', { id: 30 });
    const path = { type: 'interface', interface: 'if/bvi', nextHop: '192.168.30.2' } as const;
    const wanted = [
      route({ table: 1, prefix: '10.1.2.0/24', path }),
      route({ table: 0, prefix: '10.1.0.0/16', path: { type: 'drop' } }),
      route({ table: 0, prefix: '10.96.0.0/12', path: { type: 'unreachable' } }),
      route({ table: 0, prefix: '192.168.16.1/32', path: { type: 'lookup', table: 1 } }),
      route({ table: 1, prefix: 'fd00:16::/64', path: { ...path, nextHop: null } }),
    ];
    await Promise.all(wanted.map((each) => routes.create(vpp, each)));
    assert.is(api.taken().filter((message) => message === 'fib_source_add').length, 1);

    // What VPP says of them, read by an agent that comes back.
    await Promise.all(wanted.map((each) => routes.create(vpp, each)));
    const sent = api.asked.map(({ fields }) => fields['route'] as Fields);
    const again = open(release);
    again.vpp.handles.set('if/bvi', 7);
    again.api.dumps.set('fib_source_dump', [{ src: { id: 30, name: 'pteropus', priority: 1 } }]);
    again.api.dumps.set('ip_table_dump', [{ table: { table_id: 0, is_ip6: false } }]);
    const unspecified = { address: { ip4: '0.0.0.0', ip6: '::' } };
    again.api.dumps.set(
      'ip_route_v2_dump',
      sent.map((fields) => ({
        route: {
          ...fields,
          paths: (fields['paths'] as readonly Fields[]).map((each) => ({
            ...{ table_id: 0, nh: unspecified },
            ...each,
          })),
        },
      })),
    );
    assert.equal(await routes.read(again.vpp), wanted);
    await routes.remove(again.vpp, wanted[1] as (typeof wanted)[number]);
    const removed = again.api.asked.map(({ fields }) => fields['route'] as Fields);
    assert.equal(
      removed.map(({ n_paths }) => n_paths),
      [0],
      'all paths go',
    );
  });

  test('a limit is a bucket of bytes that drops what is over', async () => {
    const { api, vpp } = open(release);
    vpp.handles.set(KEY, 3);
    const limit = policer({
      interface: KEY,
      direction: 'input',
      bitsPerSecond: 8_000_000,
      burstBits: 80_000,
    });
    await policers.create(vpp, limit);
    const [bucket, use] = api.asked;
    assert.equal([bucket?.fields['cir'], bucket?.fields['cb']], [8000, 10_000n]);
    assert.equal(bucket?.fields['violate_action'], { type: 'SSE2_QOS_ACTION_API_DROP' });
    assert.equal([use?.message, use?.fields['apply']], ['policer_input', true]);
    api.dumps.set('policer_dump', [
      { name: String(bucket?.fields['name']), cir: 8000, cb: 10_000n },
      { name: 'somebody else’s', cir: 1, cb: 1n },
    ]);
    assert.equal(await policers.read(vpp), [limit]);
  });

  test('classifiers compare where the header has it, and are read back', async () => {
    const { api, vpp } = open(release);
    api.replies.set('classify_add_del_table', { new_table_index: 7 });
    const nested = classifier({ name: 'nested', matches: [{ bytes: '3c2b', verdict: 'drop' }] });
    const address = 'fd000016000000000000000000000001';
    const discovery = classifier({
      name: 'discovery',
      matches: [{ bytes: `3a${address}88`, verdict: 'own' }],
    });
    await classifiers.create(vpp, nested);
    // An old release's source check lets multicast sources pass: a table behind this one does not.
    const behind = old ? api.asked.splice(0, 2) : [];
    assert.equal(
      behind.map(({ fields }) => (fields['mask'] ?? fields['match']) as Uint8Array).map((bytes) => bytes[8]),
      old ? [0xff, 0xff] : [],
    );
    const [made, session] = api.asked.splice(0);
    assert.is(made?.fields['next_table_index'], old ? 7 : 0xffff_ffff);
    await classifiers.remove(vpp, nested);
    assert.is(api.asked.splice(0)[0]?.fields['del_chain'], old);
    const mask = Buffer.from(made?.fields['mask'] as Uint8Array);
    assert.equal([mask.length, mask[6], mask[40], made?.fields['match_n_vectors']], [48, 0xff, 0xff, 3]);
    assert.is(mask.filter((byte) => byte !== 0).length, 2);
    const match = session?.fields['match'] as Uint8Array;
    assert.equal([match[6], match[40], session?.fields['hit_next_index']], [60, 43, 0]);
    await classifiers.create(vpp, discovery);
    const own = api.asked.splice(0)[1];
    assert.equal(
      [own?.fields['action'], own?.fields['metadata']],
      ['CLASSIFY_API_ACTION_SET_IP6_FIB_INDEX', 3],
    );
    await classifiers.update?.(vpp, discovery, classifier({ name: 'discovery', matches: [] }));
    assert.equal(
      api.asked.splice(0).map(({ message, fields }) => [message, fields['is_add']]),
      [['classify_add_del_session', false]],
    );
    // Read: a table of ours, and one of somebody else.
    const again = open(release);
    again.api.replies.set('classify_table_ids', { ids: [7] });
    again.api.replies.set('classify_table_info', { mask });
    again.api.dumps.set('classify_session_dump', [{ hit_next_index: 0, match }]);
    assert.equal(await classifiers.read(again.vpp), [nested]);
    assert.is(again.vpp.handles.get('classifier/nested'), 7);
    again.api.replies.set('classify_table_info', { mask: Buffer.alloc(16, 1) });
    assert.equal(await classifiers.read(again.vpp), []);
  });

  test('what VPP shows of neighbors’ age is understood', async () => {
    const { api, vpp } = open(release);
    const shown = 'ip4:\n  limit:50000, age:30, recycle:1\nip6:\n  limit:50000, age:0, recycle:0\n';
    api.texts.set('show ip neighbor-config', shown);
    const found = await neighborAgings.read(vpp);
    assert.equal(found, [neighborAging({ family: 4, seconds: 30 })]);
    await neighborAgings.remove(vpp, neighborAging({ family: 4, seconds: 30 }));
    assert.is(api.asked[0]?.fields['max_age'], 0);
  });

  test('IPv6 neighbors are asked whether they are there by releases that can', async () => {
    const { api, vpp } = open(release);
    const wanted = neighborAging({ family: 6, seconds: 30 });
    await neighborAgings.create(vpp, wanted);
    const { max_age: age, max_number: limit } = api.asked[0]?.fields ?? {};
    assert.is(age, old ? 0 : 30);
    const shown = `ip4:\n  limit:50000, age:0, recycle:0\nip6:\n  limit:${String(limit)}, age:${String(age)}, recycle:1\n`;
    api.texts.set('show ip neighbor-config', shown);
    assert.equal(await neighborAgings.read(vpp), [wanted], 'what is in force is not set again');
    await neighborAgings.remove(vpp, wanted);
    assert.equal([api.asked[1]?.fields['max_number'], api.asked[1]?.fields['max_age']], [50_000, 0]);
  });

  test('source checks are read where packets meet them', async () => {
    const { api, vpp } = open(release);
    vpp.handles.set(KEY, 3);
    api.replies.set('feature_is_enabled', { is_enabled: true });
    const shown =
      'ip4-unicast:\n  ip4-rx-urpf-strict\n  acl-plugin-in-ip4-fa\n\nip6-unicast:\n  none configured\n';
    api.dumps.set('sw_interface_dump', [{ sw_if_index: 3, tag: KEY, interface_name: 'host-p1' }]);
    api.texts.set('show interface features host-p1', shown);
    const found = await sourceChecks.read(vpp);
    assert.equal(
      found.map(({ spec }) => spec),
      (old ? [4] : [4, 6]).map((family) => ({ interface: KEY, family })),
    );
    assert.not(isShown(shown, { arc: 'ip6-unicast', name: 'ip4-rx-urpf-strict' }));
  });
}

for (const release of RECORDED_VERSIONS) {
  const test = suite(`link messages of ${release}`);
  tests(test, release);
  test.run();
}

const lacking = suite('link messages that no VPP has');
lacking('the message is named', async () => {
  const { api, vpp } = open('26.06');
  for (const message of ['tap_create_v3', 'tap_create_v2']) api.lacking.add(message);
  const tap = { type: 'tap', netns: null, ifname: 'eth0', mac: null } as const;
  const error = await interfaces.create(vpp, ofSource(tap)).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MissingMessageError && error.object === 'tap_create_v3');
});
lacking.run();
