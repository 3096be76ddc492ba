/** What NAT44-ED is told of services and of sources, field by field. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Item } from '../../../ruleset/types.js';
import { contextOf, FakeApi } from '../links/fake-api.js';
import { RenderError } from '../objects/errors.js';
import { TABLE_IDS, TUNNEL_TABLE } from '../objects/names.js';
import type { ObjectKey, VppObject } from '../objects/types.js';
import { DEFAULT_OPTIONS } from '../options.js';
import { at, backend, HOST, NODE, POD, renderAll, SNAT, service, TUNNEL, UPLINK } from './fixtures.js';
import { serviceRenderers } from './index.js';
import { mappingDescriptor } from './nat44-mapping-descriptor.js';
import { type MappingObject, type MappingSpec, mapping } from './nat44-objects.js';

const test = suite('NAT44-ED');

const OPTIONS = { ...DEFAULT_OPTIONS, services: 'nat44' } as const;
const render = (...items: readonly Item[]): Map<ObjectKey, VppObject> =>
  renderAll(serviceRenderers(OPTIONS), [NODE, SNAT, UPLINK, HOST, POD, TUNNEL, ...items], OPTIONS);
const mappings = (objects: ReadonlyMap<ObjectKey, VppObject>): MappingSpec[] =>
  [...objects.values()].flatMap(({ kind, spec }) => (kind === 'nat44-mapping' ? [spec as MappingSpec] : []));

test('one local has no share; several have theirs, and the table their answers come in by', () => {
  const [one] = mappings(render(service({ backends: [backend('10.1.1.2', 80, 7)] })));
  assert.equal(one?.locals, [{ address: '10.1.1.2', port: 80, share: 0, table: TABLE_IDS.pod }]);
  const backends = [
    backend('10.1.2.2', 80, 510),
    backend('192.168.16.2', 80, 1),
    backend('10.1.1.2', 80, 255),
  ];
  const [several] = mappings(render(service({ backends })));
  assert.equal(several?.locals, [
    { address: '10.1.1.2', port: 80, share: 128, table: TABLE_IDS.pod },
    { address: '10.1.2.2', port: 80, share: 255, table: TUNNEL_TABLE },
    { address: '192.168.16.2', port: 80, share: 1, table: TABLE_IDS.main },
  ]);
});

test('sources: who meets himself always, outsiders led to another node; nobody else', () => {
  const far = [backend('10.1.2.2', 80), backend('10.1.1.2', 80)];
  const of = (scope: 'internal' | 'external', backends = far): unknown =>
    mappings(render(service({ scope, backends })))[0]?.source;
  assert.equal([of('internal'), of('external')], ['self', 'always']);
  assert.is(of('external', [backend('10.1.1.2', 80), backend('192.168.16.1', 80)]), 'self');
});

test('affinity counts where there is a choice', () => {
  const of = (...backends: Parameters<typeof backend>[]): unknown =>
    mappings(render(service({ affinitySeconds: 600, backends: backends.map((each) => backend(...each)) })))[0]
      ?.affinity;
  assert.equal([of(['10.1.1.2', 80]), of(['10.1.1.2', 80], ['10.1.1.3', 80])], [0, 600]);
});

test('what it cannot do is refused by name; IPv6 is CNAT’s', () => {
  for (const [fields, field] of [
    [{ protocol: 'SCTP' }, 'protocol'],
    [{ algorithm: 'maglev' }, 'algorithm'],
  ] as const) {
    assert.throws(
      () => render(service({ ...fields, backends: [backend('10.1.1.2', 80)] })),
      (error: unknown) => error instanceof RenderError && error.field === field,
    );
  }
  const six = render(service({ frontends: [at('fd00:96::a', 80)], backends: [backend('fd00:1::2', 80)] }));
  assert.equal(mappings(six), []);
  assert.ok(six.has('cnat-translation/TCP/fd00:96::a/80'));
  assert.equal((six.get('cnat-interface/host')?.spec as { families: unknown } | undefined)?.families, [6]);
});

test('the host and tunnels keep the address that pods borrow', () => {
  const keys = [...render().keys()].filter((key) => key.startsWith('nat44')).sort();
  assert.equal(keys, [
    'nat44-identity/0/192.168.16.1/4789',
    'nat44-identity/0/192.168.16.1/all',
    'nat44-identity/1/192.168.16.1/all',
    ...['bvi', 'host', 'pod/shop/a', 'uplink'].map((name) => `nat44-interface/${name}`),
    'nat44-pool/source/192.168.16.1',
    'nat44-pool/twice/172.30.1.1',
    'nat44/on',
  ]);
});

test('the node’s address is in the tunnels’ table what it is in that of the pods', () => {
  assert.equal(render().get('route/2/192.168.16.1/32')?.spec, {
    ...{ table: TUNNEL_TABLE, prefix: '192.168.16.1/32' },
    path: { type: 'lookup', table: 1 },
  });
});

test('where nothing is source-translated the uplink has clients behind it like any other', () => {
  const place = (snat: Item): unknown => {
    const objects = renderAll(serviceRenderers(OPTIONS), [NODE, snat, UPLINK], OPTIONS);
    return (objects.get('nat44-interface/uplink')?.spec as { place: unknown } | undefined)?.place;
  };
  assert.equal([place(SNAT), place({ ...SNAT, sources: [] })], ['output', 'both']);
});

const specOf = (backends: readonly string[], affinity = 0): MappingObject =>
  mapping({
    ...{ address: '10.96.0.10', port: 80, protocol: 'TCP', source: 'self', affinity },
    locals: backends.map((address) => ({
      ...{ address, port: 80, share: backends.length > 1 ? 1 : 0, table: 1 },
    })),
  });

for (const release of ['23.02', '26.06']) {
  test(`as messages of ${release}: one local, several, one more, one less`, async () => {
    const api = new FakeApi(release);
    const vpp = contextOf(api);
    const { create, update, remove } = mappingDescriptor;
    const [one, two, three] = [['10.1.1.2'], ['10.1.1.2', '10.1.1.3'], ['10.1.1.2', '10.1.1.3', '10.1.1.4']];
    const changed = async (old: readonly string[], now: readonly string[]): Promise<readonly string[]> => {
      await update?.(vpp, specOf(old), specOf(now));
      return api.taken();
    };
    await create(vpp, specOf(one));
    assert.equal(api.taken(), ['nat44_add_del_static_mapping_v2']);
    await create(vpp, specOf(two));
    assert.equal(api.taken(), ['nat44_add_del_lb_static_mapping']);
    assert.equal(await changed(two, three), ['nat44_lb_static_mapping_add_del_local']);
    assert.equal(await changed(three, two), ['nat44_lb_static_mapping_add_del_local']);
    assert.equal(await changed(two, one), [
      'nat44_add_del_lb_static_mapping',
      'nat44_add_del_static_mapping_v2',
    ]);
    await remove(vpp, specOf(two, 60));
    assert.equal(api.asked[0]?.fields['tag'], 'pteropus affinity 60');
  });
}

test.run();
