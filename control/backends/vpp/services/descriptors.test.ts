/** CNAT's objects as messages of two releases, and what those tell of themselves. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Fields } from '../api/api.js';
import { contextOf, FakeApi } from '../links/fake-api.js';
import type { VppContext } from '../objects/types.js';
import { abfAttachmentDescriptor, abfPolicyDescriptor } from './abf-descriptors.js';
import { abfAttachment, abfPolicy } from './abf-objects.js';
import { cnatInterfaceDescriptor } from './cnat-interface-descriptor.js';
import { cnatInterface, source, type TranslationSpec, translation } from './cnat-objects.js';
import { cnatSourceDescriptor } from './cnat-source-descriptor.js';
import { cnatTranslationDescriptor } from './cnat-translation-descriptor.js';
import { parseFeatures } from './features.js';
import { parseSnatPolicy } from './snat-policy-text.js';

const test = suite('CNAT descriptors');

/** Which messages tell an old release from a new one. */
const OLD = ['feature_cnat_enable_disable', 'cnat_set_snat_addresses_v2'];

function vppOf(release: '23.02' | '26.06'): { api: FakeApi; vpp: VppContext } {
  const api = new FakeApi(release);
  if (release === '23.02') for (const message of OLD) api.lacking.add(message);
  api.replies.set('cnat_translation_update', { id: 7 });
  return { api, vpp: contextOf(api) };
}

const spec = (fields: Partial<TranslationSpec> = {}): TranslationSpec => ({
  ...{ address: '10.96.0.10', port: 80, protocol: 'TCP', maglev: false, affinity: false },
  paths: [
    { address: '10.1.1.2', port: 8080, copy: 0 },
    { address: '10.1.1.2', port: 8080, copy: 1 },
  ],
  ...fields,
});

const sent = (api: FakeApi): Fields => api.asked.at(-1)?.fields['translation'] as Fields;

for (const release of ['23.02', '26.06'] as const) {
  test(`a translation of ${release} is read as it was written`, async () => {
    for (const fields of [{}, { maglev: true }]) {
      const { api, vpp } = vppOf(release);
      const object = translation(spec(fields));
      await cnatTranslationDescriptor.create(vpp, object);
      assert.is(vpp.handles.get(object.key), 7);
      api.dumps.set('cnat_translation_dump', [{ translation: { ...sent(api), id: 9 } }]);
      const [read] = await cnatTranslationDescriptor.read(vpp);
      assert.equal(read, object);
      assert.is(vpp.handles.get(object.key), 9);
    }
  });

  test(`in ${release} paths are changed in place; how one is chosen only anew`, async () => {
    const { api, vpp } = vppOf(release);
    const [old, more] = [translation(spec()), translation(spec({ paths: spec().paths.slice(0, 1) }))];
    await cnatTranslationDescriptor.create(vpp, old);
    api.taken();
    await cnatTranslationDescriptor.update?.(vpp, old, more);
    assert.equal(api.taken(), ['cnat_translation_update']);
    await cnatTranslationDescriptor.update?.(vpp, more, translation(spec({ maglev: true })));
    assert.equal(api.taken(), ['cnat_translation_del', 'cnat_translation_update']);
  });
}

test('affinity: by the client’s address in the new release, refused by name in the old one', async () => {
  const sticky = translation(spec({ affinity: true, maglev: true }));
  const now = vppOf('26.06');
  await cnatTranslationDescriptor.create(now.vpp, sticky);
  assert.equal(sent(now.api)['flow_hash_config'], ['IP_API_V2_FLOW_HASH_SRC_IP']);
  now.api.dumps.set('cnat_translation_dump', [{ translation: { ...sent(now.api), id: 1 } }]);
  assert.equal((await cnatTranslationDescriptor.read(now.vpp))[0]?.spec, sticky.spec);
  const then = vppOf('23.02');
  let refused: unknown;
  await cnatTranslationDescriptor.create(then.vpp, sticky).catch((error: unknown) => {
    refused = error;
  });
  assert.match(String(refused), 'no session affinity');
  assert.equal(then.api.asked, []);
});

test('no route leads to what is translated, so that nothing but its port is taken', async () => {
  const now = vppOf('26.06');
  await cnatTranslationDescriptor.create(now.vpp, translation(spec()));
  assert.equal([sent(now.api)['is_real_ip'], sent(now.api)['flags']], [0, 8]);
  const then = vppOf('23.02');
  await cnatTranslationDescriptor.create(then.vpp, translation(spec()));
  assert.equal([sent(then.api)['is_real_ip'], sent(then.api)['flags']], [1, 0]);
});

test('a family without an address has a reserved one, which is none', async () => {
  const { api, vpp } = vppOf('26.06');
  api.texts.set('show ip6 fib table 2 summary', 'pteropus-ip6-2, fib_index:1, flow hash:[src dst ]');
  api.replies.set('cnat_get_snat_addresses', { snat_ip4: '192.168.16.1', snat_ip6: '100::' });
  await cnatSourceDescriptor.update?.(
    vpp,
    source({ address4: null, address6: null }),
    source({ address4: '192.168.16.1', address6: null }),
  );
  assert.equal(api.asked[0]?.fields['snat_ip6'], '100::');
  assert.equal((await cnatSourceDescriptor.read(vpp))[0]?.spec, { address4: '192.168.16.1', address6: null });
  api.replies.set('cnat_get_snat_addresses', { snat_ip4: '192.0.0.8', snat_ip6: '100::' });
  assert.equal(await cnatSourceDescriptor.read(vpp), []);
});

/** As VPP 26.06 prints it; the older release leaves out `dst` and the last list. */
const POLICY = `Source NAT
  ip4: 192.168.16.1;0
  ip6: fd00:16::1;0

Excluded prefixes:
  Hash table 'snat prefixes'
[263]: heap offset 59429184, len 1, refcnt 1, linear 0
    0: fd00:1::/48 dst
[804]: heap offset 59428928, len 1, refcnt 1, linear 0
    0: 10.1.0.0/16 dst
    2 active elements 2 active buckets
    1 free lists
       [len 1] 0 free elts
    0 linear search buckets
    heap: 1 chunk(s) allocated
          bytes: used 128k, scrap 118.75k


Included v4 interfaces:
  host-a

Included v6 interfaces:

k8s pod interfaces:
  host-a
  host-h

k8s host interfaces:
  host-h
`;

test('what VPP prints of source translation', () => {
  for (const text of [POLICY, POLICY.replace(/ dst$/gm, '')]) {
    const { excluded, lists } = parseSnatPolicy(text);
    assert.equal(excluded, ['10.1.0.0/16', 'fd00:1::/48']);
    assert.equal(
      Object.entries(lists).map(([list, names]) => [list, [...names]]),
      [
        ['include-v4', ['host-a']],
        ['include-v6', []],
        ['k8s', ['host-a', 'host-h']],
        ['host', ['host-h']],
      ],
    );
  }
  assert.equal(parseSnatPolicy('no default snat policy').excluded, []);
});

const FEATURES = `Feature paths configured on host-a...

ip4-output:
  cnat-output-ip4
  cnat-writeback-ip4

ip4-unicast:
  acl-plugin-in-ip4-fa

ip4-drop:
  none configured
`;

test('features that are on are not switched on again, those that are too many go', async () => {
  assert.equal(
    [...(parseFeatures(FEATURES).get('ip4-output') ?? [])],
    ['cnat-output-ip4', 'cnat-writeback-ip4'],
  );
  const { api, vpp } = vppOf('26.06');
  vpp.handles.set('if/uplink', 3);
  api.dumps.set('sw_interface_dump', [{ sw_if_index: 3, interface_name: 'host-a' }]);
  api.texts.set('show interface features host-a', FEATURES);
  const object = cnatInterface({
    ...{
      interface: 'if/uplink',
      families: [4, 6],
      input: true,
      output: false,
      remember: true,
      pings: false,
      lists: [],
    },
  });
  await cnatInterfaceDescriptor.create(vpp, object);
  const switched = api.asked.map(({ fields }) => `${fields['enable']} ${fields['feature_name']}`).sort();
  assert.equal(switched, [
    'false cnat-output-ip4',
    'true cnat-input-ip4',
    'true cnat-input-ip6',
    'true cnat-lookup-ip4',
    'true cnat-lookup-ip6',
    'true cnat-writeback-ip6',
  ]);
});

test('routing by access lists is read as it was written', async () => {
  const { api, vpp } = vppOf('26.06');
  for (const [key, handle] of [
    ['acl/turn', 4],
    ['if/turn', 7],
    ['if/uplink', 1],
  ] as const) {
    vpp.handles.set(key, handle);
  }
  const policy = abfPolicy({ id: 4, acl: 'acl/turn', interface: 'if/turn', nextHop: '169.254.254.1' });
  await abfPolicyDescriptor.create(vpp, policy);
  api.dumps.set('abf_policy_dump', [api.asked.at(-1)?.fields ?? {}]);
  assert.equal(await abfPolicyDescriptor.read(vpp), [policy]);
  const attached = abfAttachment({ policy: policy.key, id: 4, interface: 'if/uplink', family: 4 });
  await abfAttachmentDescriptor.create(vpp, attached);
  api.dumps.set('abf_itf_attach_dump', [api.asked.at(-1)?.fields ?? {}]);
  assert.equal(await abfAttachmentDescriptor.read(vpp), [attached]);
});

test.run();
