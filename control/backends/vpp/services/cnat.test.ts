/** What CNAT is told of services and of sources, field by field. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Item } from '../../../ruleset/types.js';
import { RenderError } from '../objects/errors.js';
import type { ObjectKey, VppObject } from '../objects/types.js';
import { DEFAULT_OPTIONS } from '../options.js';
import type { AclSpec } from '../policies/acl-rules.js';
import type { TranslationSpec } from './cnat-objects.js';
import { at, backend, HOST, NODE, POD, renderAll, SNAT, service, TUNNEL, UPLINK } from './fixtures.js';
import { serviceRenderers } from './index.js';

const test = suite('CNAT renderers');

const NODE_ITEMS = [NODE, SNAT, UPLINK, HOST, POD];
const render = (...items: readonly Item[]): Map<ObjectKey, VppObject> =>
  renderAll(serviceRenderers(DEFAULT_OPTIONS), [...NODE_ITEMS, ...items]);
const translations = (objects: ReadonlyMap<ObjectKey, VppObject>): TranslationSpec[] =>
  [...objects.values()].flatMap(({ kind, spec }) =>
    kind === 'cnat-translation' ? [spec as TranslationSpec] : [],
  );
const keysOf = (objects: ReadonlyMap<ObjectKey, VppObject>, kind: string): string[] =>
  [...objects.values()].flatMap((object) => (object.kind === kind ? [object.key] : [])).sort();

test('a translation for each frontend, all with the same paths', () => {
  const frontends = [at('10.96.0.10', 80), at('192.168.16.1', 30080, 'NodePort')];
  const found = translations(render(service({ frontends, backends: [backend('10.1.1.2', 8080)] })));
  assert.equal(
    found.map(({ address, port, protocol, paths }) => ({ address, port, protocol, paths })),
    frontends.map(({ address, port }) => ({
      ...{ address, port, protocol: 'TCP' },
      paths: [{ address: '10.1.1.2', port: 8080, copy: 0 }],
    })),
  );
});

test('weights are paths, maglev is consistent hashing, and affinity brings it along', () => {
  const backends = [backend('10.1.1.2', 80, 1), backend('10.1.1.3', 80, 2)];
  const [even] = translations(render(service({ backends })));
  assert.equal([even?.paths.length, even?.maglev, even?.affinity], [3, false, false]);
  const [hashed] = translations(render(service({ backends, algorithm: 'maglev' })));
  assert.equal([hashed?.maglev, hashed?.affinity], [true, false]);
  // A change of backends shall move few clients.
  const [sticky] = translations(render(service({ backends, affinitySeconds: 60 })));
  assert.equal([sticky?.maglev, sticky?.affinity], [true, true]);
});

test('without backends no translation; an address that is nobody’s rejects', () => {
  const none = render(service({ frontends: [at('10.96.0.10', 80), at('192.168.16.1', 30080, 'NodePort')] }));
  assert.equal(translations(none), []);
  assert.equal(keysOf(none, 'route'), keysOf(render(), 'route'));
  const outside = render(service({ scope: 'external', frontends: [at('203.0.113.7', 80, 'LoadBalancer')] }));
  for (const table of [0, 1]) {
    assert.equal(outside.get(`route/${table}/203.0.113.7/32`)?.spec, {
      ...{ table, prefix: '203.0.113.7/32', path: { type: 'unreachable' } },
    });
  }
  const own = render(service({ scope: 'external', frontends: [at('192.168.16.1', 80, 'ExternalIP')] }));
  assert.not(own.has('route/0/192.168.16.1/32'), 'the node itself is somebody');
});

test('who comes by the uplink: fewer backends are everyone’s, none are kept from him', () => {
  const backends = [backend('10.1.1.2', 80), backend('10.1.2.2', 80)];
  const options = { scope: 'external', backends } as const;
  const [fewer] = translations(render(service({ ...options, outsideBackends: [backend('10.1.1.2', 80)] })));
  assert.equal(
    fewer?.paths.map(({ address }) => address),
    ['10.1.1.2'],
  );
  const shut = render(service({ ...options, outsideBackends: [] }));
  assert.is(translations(shut)[0]?.paths.length, 2);
  assert.ok(shut.has('acl-binding/uplink'));
});

test('a pod of another node is led to outsiders in our name, by a turn', () => {
  const far = service({ scope: 'external', backends: [backend('10.1.2.2', 80), backend('10.1.1.2', 80)] });
  assert.not(render(far).has('if/turn'), 'without tunnels its answers come by the uplink');
  const objects = render(far, TUNNEL);
  assert.ok(objects.has('if/turn'));
  assert.ok(objects.has('abf-attachment/if/uplink/4/4'));
  assert.not(render({ ...far, scope: 'internal' }, TUNNEL).has('if/turn'), 'pods keep their addresses');
});

test('backends that are no pods are led to by the edge, there and back; our own host only back', () => {
  const nodes = service({
    ...{ scope: 'external', backends: [backend('192.168.16.1', 6443), backend('192.168.16.2', 6443)] },
  });
  const acl = render(nodes).get('acl/edge')?.spec as { rules: readonly object[] } | undefined;
  assert.is(acl?.rules.length, 3);
  assert.ok(render(nodes).has('abf-attachment/if/host/4/14'));
  assert.not(render().has('acl/edge'));
});

test('answers of a host port to pods of other nodes make a turn', () => {
  const pod = { namespace: 'shop', name: 'a' };
  const port = service({
    ...{ scope: 'external', frontends: [at('192.168.16.1', 8080, 'HostPort')] },
    backends: [{ ...backend('10.1.1.2', 80), pod }],
  });
  const objects = render(port, TUNNEL);
  const [attached] = keysOf(objects, 'abf-attachment');
  assert.match(attached ?? '', 'abf-attachment/if/pod/shop/a/4/');
  const acl = [...objects.values()].find(({ key }) => key.startsWith('acl/answers/'))?.spec as
    | AclSpec
    | undefined;
  assert.equal(
    acl?.rules.map(({ action, source, destination, sourcePorts }) => [
      action,
      source,
      destination,
      sourcePorts[0],
    ]),
    [
      ['deny', '10.1.1.2/32', '10.1.1.0/24', 80],
      ['permit', '10.1.1.2/32', '10.1.0.0/16', 80],
    ],
  );
  assert.equal(keysOf(render(port), 'abf-attachment'), [], 'without tunnels nobody comes by one');
});

test('what CNAT cannot do is refused by name', () => {
  const six = { frontends: [at('fd00:96::a', 80)] };
  const refused = (fields: Parameters<typeof service>[0], field: string): void => {
    assert.throws(
      () => render(service(fields)),
      (error: unknown) => error instanceof RenderError && error.field === field,
    );
  };
  refused({ ...six, protocol: 'SCTP', backends: [backend('fd00:1::2', 80)] }, 'protocol');
  refused({ ...six, backends: [backend('10.1.1.2', 80)] }, 'backends');
  assert.is(
    translations(render(service({ protocol: 'SCTP', backends: [backend('10.1.1.2', 80)] }))).length,
    1,
  );
});

test('sources: the node’s addresses, by interfaces; the host’s own are left alone', () => {
  const objects = render(TUNNEL);
  assert.equal(objects.get('cnat-source/default')?.spec, {
    ...{ address4: '192.168.16.1', address6: 'fd00:16::1' },
  });
  const lists = (name: string): unknown =>
    (objects.get(`cnat-interface/${name}`)?.spec as { lists: unknown } | undefined)?.lists;
  // Its IPv6 address is not among the sources.
  assert.equal(lists('pod/shop/a'), ['include-v4', 'k8s']);
  assert.equal(lists('host'), ['k8s', 'host']);
  assert.equal([lists('uplink'), lists('edge'), lists('bvi')], [[], ['include-v4'], ['k8s']]);
  assert.ok(objects.has('cnat-exclude/10.1.0.0/16'));
  assert.ok(objects.has('cnat-exclude/172.30.1.2/32'), 'nor is what goes there translated');
});

test('where packets are translated on their way out: not where tunnels’ packets are', () => {
  const objects = render(TUNNEL);
  const output = (name: string): unknown =>
    (objects.get(`cnat-interface/${name}`)?.spec as { output: unknown } | undefined)?.output;
  assert.equal(
    ['pod/shop/a', 'host', 'edge', 'uplink', 'bvi'].map((name) => output(name)),
    [true, true, true, false, false],
  );
});

test('without source translation pods still meet themselves', () => {
  const items = [NODE, UPLINK, HOST, POD];
  const objects = renderAll(serviceRenderers(DEFAULT_OPTIONS), items);
  assert.ok(objects.has('cnat-source/default'));
  assert.equal((objects.get('cnat-interface/pod/shop/a')?.spec as { lists: unknown } | undefined)?.lists, [
    'k8s',
  ]);
});

test.run();
