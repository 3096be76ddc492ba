/** What VPP is told of access lists, and what is made of its answers. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../../oracle/random.js';
import type { Fields, VppApi } from '../api/api.js';
import type { TypedVppApi } from '../api/typed.js';
import { HandleTable } from '../objects/handles.js';
import type { VppContext, VppObject } from '../objects/types.js';
import { DEFAULT_OPTIONS } from '../options.js';
import { aclBindingDescriptor } from './acl-binding-descriptor.js';
import { aclDescriptor } from './acl-descriptor.js';
import type { AclBindingSpec, AclSettingsSpec } from './acl-renderer.js';
import { type AclAction, type AclRule, type AclSpec, aclRule, decodeRule, encodeRule } from './acl-rules.js';
import { AclSettingsError, aclSettingsDescriptor } from './acl-settings-descriptor.js';
import { ACL_SETTINGS, aclTag, keyOfTag, policyAclKey, selfAclKey } from './names.js';

/** A VPP that has these lists; remembers what it is told. */
class Vpp {
  readonly requests: (readonly [message: string, fields: Fields])[] = [];
  readonly handles = new HandleTable();
  readonly dumps = new Map<string, readonly Fields[]>();
  readonly settings = { reclassify: false, counters: false, deaf: false };
  #next = 7;

  get context(): VppContext {
    return { api: this.#api() as TypedVppApi, handles: this.handles, options: DEFAULT_OPTIONS };
  }

  #api(): VppApi {
    return {
      ...{ version: 'test', pid: 1, has: () => true },
      request: (message, fields = {}) => {
        this.requests.push([message, fields]);
        if (message === 'acl_stats_intf_counters_enable') {
          if (!this.settings.deaf) this.settings.counters = fields['enable'] === true;
          // As VPP does: the answer is not this message's.
          return Promise.reject(new Error('no reply'));
        }
        return Promise.resolve({ retval: 0, acl_index: this.#next++ });
      },
      dump: (message) => Promise.resolve(this.dumps.get(message) ?? []),
      cli: (command) => Promise.resolve(this.#cli(command)),
      ...{ onEvent: () => () => undefined, lost: new Promise<Error>(() => undefined) },
      close: () => Promise.resolve(),
    };
  }

  #cli(command: string): string {
    const { settings } = this;
    if (command.startsWith('set ')) settings.reclassify = command.endsWith(' 1');
    return `Reclassify sessions: ${settings.reclassify ? 1 : 0}
Stats counters enabled for interface ACLs: ${settings.counters ? 1 : 0}`;
  }
}

function acl(key: string, rules: readonly AclRule[]): VppObject<'acl', AclSpec> {
  return { kind: 'acl', key, needs: [], spec: { rules } };
}

test('rules come back as they went', () => {
  const random = new Random(3);
  for (let i = 0; i < 500; i++) {
    const family = random.pick([4, 6] as const);
    const rule = aclRule(random.pick(['deny', 'permit', 'reflect'] as AclAction[]), family, {
      ...(random.chance(0.5) ? { source: family === 4 ? '10.1.0.0/16' : 'fd00::/8' } : {}),
      protocol: random.pick([0, 1, 6, 17, 58, 132]),
      destinationPorts: [random.below(100), 100 + random.below(100)],
      flags: { mask: random.below(64), value: random.below(64) },
    });
    assert.equal(decodeRule(encodeRule(rule)), rule);
  }
  assert.not.equal(
    decodeRule({ ...encodeRule(aclRule('deny', 4)), proto: 89 }),
    aclRule('deny', 4),
    'a protocol of others is no protocol of ours',
  );
});

test('a list is made, replaced in place, and removed by its number', async () => {
  const vpp = new Vpp();
  const one = acl('acl/policy/a', [aclRule('reflect', 4), aclRule('deny', 6)]);
  await aclDescriptor.create(vpp.context, one);
  assert.is(vpp.handles.get(one.key), 7);
  await aclDescriptor.update?.(vpp.context, one, acl(one.key, [aclRule('deny', 4)]));
  await aclDescriptor.remove(vpp.context, one);
  const [made, replaced, removed] = vpp.requests;
  assert.is(made?.[0], 'acl_add_replace');
  assert.is(made?.[1]['acl_index'], 0xffffffff);
  assert.is(made?.[1]['tag'], 'pteropus policy/a');
  assert.is(made?.[1]['count'], 2);
  assert.is(replaced?.[1]['acl_index'], 7);
  assert.equal(replaced?.[1]['r'], [encodeRule(aclRule('deny', 4))]);
  assert.equal(removed, ['acl_del', { acl_index: 7 }]);
});

test('lists are known by their tags; those of others are left alone, a second one of ours is nobody’s', async () => {
  const vpp = new Vpp();
  const r = [encodeRule(aclRule('deny', 4))];
  vpp.dumps.set('acl_dump', [
    { acl_index: 1, tag: 'somebody else', count: 1, r },
    { acl_index: 2, tag: 'pteropus policy/a', count: 1, r },
    { acl_index: 3, tag: 'pteropus policy/a', count: 0, r: [] },
  ]);
  const read = await aclDescriptor.read(vpp.context);
  assert.equal(
    read.map(({ key, spec }) => [key, spec.rules.length]),
    [
      ['acl/policy/a', 1],
      ['acl/policy/a#3', 0],
    ],
  );
  assert.is(vpp.handles.get('acl/policy/a'), 2);
  assert.is(vpp.handles.get('acl/policy/a#3'), 3);
});

test('both directions of an interface go in one message, and are read back by name', async () => {
  const vpp = new Vpp();
  for (const [key, handle] of [
    ['if/pod/shop/web', 4],
    ['acl/open', 20],
    ['acl/policy/a', 21],
    ['acl/to-pod', 22],
  ] as const)
    vpp.handles.set(key, handle);
  const spec: AclBindingSpec = {
    interface: 'if/pod/shop/web',
    input: ['acl/open'],
    output: ['acl/to-pod', 'acl/policy/a'],
  };
  const binding = { kind: 'acl-binding', key: 'acl-binding/pod/shop/web', needs: [], spec } as const;
  await aclBindingDescriptor.create(vpp.context, binding);
  const lists = { sw_if_index: 4, count: 3, n_input: 1, acls: [20, 22, 21] };
  assert.equal(vpp.requests.at(-1), ['acl_interface_set_acl_list', lists]);
  vpp.dumps.set('acl_interface_list_dump', [
    lists,
    { sw_if_index: 5, count: 1, n_input: 1, acls: [20] },
    { sw_if_index: 4, count: 0, n_input: 0, acls: [] },
  ]);
  const read = await aclBindingDescriptor.read(vpp.context);
  assert.is(read.length, 1, 'an interface of others, and one without lists, are none of ours');
  assert.equal(read[0]?.spec, spec);
  assert.is(read[0]?.key, binding.key);
  assert.equal(read[0]?.needs, ['if/pod/shop/web', 'acl/open', 'acl/to-pod', 'acl/policy/a']);
  vpp.dumps.set('acl_interface_list_dump', [{ ...lists, acls: [20, 99, 21] }]);
  const [changed] = await aclBindingDescriptor.read(vpp.context);
  assert.not.equal(changed?.spec, spec, 'a list of others on our interface');
  await aclBindingDescriptor.remove(vpp.context, binding);
  const none = { sw_if_index: 4, count: 0, n_input: 0, acls: [] };
  assert.equal(vpp.requests.at(-1), ['acl_interface_set_acl_list', none]);
});

test('settings: told although VPP gives another message’s reply, read back, and missed when they do not hold', async () => {
  const vpp = new Vpp();
  const spec: AclSettingsSpec = { reclassify: true, counters: true };
  const object = { kind: 'acl-settings', key: ACL_SETTINGS, needs: [], spec } as const;
  assert.equal(await aclSettingsDescriptor.read(vpp.context), []);
  await aclSettingsDescriptor.create(vpp.context, object);
  const [read] = await aclSettingsDescriptor.read(vpp.context);
  assert.equal(read, object);
  vpp.settings.counters = false;
  vpp.settings.deaf = true;
  try {
    await aclSettingsDescriptor.create(vpp.context, object);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, AclSettingsError);
  }
});

test('names fit into a tag and come back from it; long ones stay apart', () => {
  const long = 'n'.repeat(63);
  const keys = [
    policyAclKey('policy/0123456789abcdef'),
    selfAclKey({ namespace: long, name: `${'p'.repeat(250)}a` }, 'to'),
    selfAclKey({ namespace: long, name: `${'p'.repeat(250)}b` }, 'to'),
    selfAclKey({ namespace: long, name: `${'p'.repeat(250)}b` }, 'from'),
  ];
  assert.is(new Set(keys).size, keys.length);
  for (const key of keys) {
    assert.ok(Buffer.byteLength(aclTag(key)) <= 63, key);
    assert.is(keyOfTag(aclTag(key)), key);
  }
  assert.is(keyOfTag('contiv-policy-1'), null);
});

test.run();
