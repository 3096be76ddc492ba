/** The binary API of every VPP installed: whatever its files describe, by every way to the files, until the process is killed. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Fields, VppEvent } from '../../control/backends/vpp/api/api.js';
import { checkMessages } from '../../control/backends/vpp/api/check.js';
import { VppConnectError, VppLostError, VppRetvalError } from '../../control/backends/vpp/api/errors.js';
import { generateTypes } from '../../control/backends/vpp/api/generate.js';
import { FORMS } from '../../control/backends/vpp/api/generated/messages.gen.js';
import { loadApiDir, parseApiJson } from '../../control/backends/vpp/api/load.js';
import { apiDirs } from '../../control/backends/vpp/api/locate.js';
import { formatMessage } from '../../control/backends/vpp/api/notation.js';
import { openVppApi, openVppClient } from '../../control/backends/vpp/api/open.js';
import { RECORDED_VERSIONS, schemaOf } from '../../control/backends/vpp/api/testing/recording.js';
import { typed } from '../../control/backends/vpp/api/typed.js';
import { USED_MESSAGES } from '../../control/backends/vpp/api/used.js';
import type { VppInstall } from '../../control/sim/vpp/install.js';
import { loadNative } from '../../native/index.js';
import { makeNetns } from '../backends/xdp-rig.js';
import { testIf } from '../support/requires.js';
import { installedVpps, startVpp, type TestVpp, vpp } from '../support/vpp.js';
import { onEveryVpp } from './needs.js';

const test = suite("VPP's binary API");
const ALL = 0xffffffff;

async function withVpp(install: VppInstall, body: (vpp: TestVpp) => Promise<void>): Promise<void> {
  const native = loadNative();
  const netns = makeNetns(native);
  const running = await startVpp(netns.path, install);
  try {
    await body(running);
  } finally {
    await running.close();
    native.deleteNetns(netns.path.slice(netns.path.lastIndexOf('/') + 1));
    netns.close();
  }
}

onEveryVpp(test, 'its own files are found, and are the same as what it tells of itself', (install) =>
  withVpp(install, async (running) => {
    assert.is(apiDirs(running.pid)[0], install.apiDir);
    const api = await openVppClient({ socket: running.paths.apiSocket, name: 'test' });
    assert.is(api.pid, running.pid);
    assert.match(api.version, /^\d\d\.\d\d/);
    const { schema } = api.codecs;
    for (const name of schema.messages.keys()) api.codecs.get(name);
    assert.equal(
      checkMessages(api, ['show_version', 'no_such_message']).map(({ message }) => message),
      ['no_such_message'],
    );
    if (api.has('get_api_json')) {
      const { json } = await api.request('get_api_json');
      assert.ok(String(json).length > 1_000_000);
      const told = parseApiJson(String(json));
      assert.equal(checkMessages(api, told.messages.keys()), []);
      for (const message of told.messages.values()) {
        const described = schema.messages.get(message.name);
        if (described !== undefined) assert.is(formatMessage(described), formatMessage(message));
      }
      const byItself = await openVppApi({ socket: running.paths.apiSocket, name: 'test', schema: told });
      assert.is((await byItself.request('show_version'))['version'], api.version);
      await byItself.close();
    }
    await api.close();
  }),
);

onEveryVpp(test, 'values of every type there and back; refusals by name; events among replies', (install) =>
  withVpp(install, async (running) => {
    const plain = await openVppApi({ socket: running.paths.apiSocket, apiDir: install.apiDir, name: 'test' });
    const api = typed(plain);
    const events: VppEvent[] = [];
    plain.onEvent('sw_interface_event', (event) => events.push(event));
    await plain.request('want_interface_events', { enable_disable: 1, pid: process.pid });
    const { sw_if_index } = await api.request('create_loopback_instance', {
      mac_address: '02:fe:00:00:00:07',
    });
    const refused = api.request('sw_interface_set_flags', { sw_if_index: 4242, flags: [] });
    await Promise.all([
      api.request('sw_interface_set_flags', { sw_if_index, flags: ['IF_STATUS_API_FLAG_ADMIN_UP'] }),
      api.request('sw_interface_tag_add_del', { is_add: true, sw_if_index, tag: 'ä tag' }),
      api.request('sw_interface_add_del_address', { is_add: true, sw_if_index, prefix: '10.1.0.1/16' }),
      api.request('sw_interface_add_del_address', { is_add: true, sw_if_index, prefix: 'fd00:1::1/64' }),
      refused.then(
        () => assert.unreachable(),
        (error: unknown) => {
          assert.instance(error, VppRetvalError);
          assert.is((error as VppRetvalError).symbol, 'INVALID_SW_IF_INDEX');
        },
      ),
    ]);
    const loop = (await api.dump('sw_interface_dump', { sw_if_index: ALL })).find(
      (one) => one.sw_if_index === sw_if_index,
    );
    assert.is(loop?.tag, 'ä tag');
    assert.is(loop?.l2_address, '02:fe:00:00:00:07');
    assert.ok(loop?.flags.includes('IF_STATUS_API_FLAG_ADMIN_UP'));
    assert.equal(
      (await api.dump('ip_address_dump', { sw_if_index, is_ipv6: true })).map(({ prefix }) => prefix),
      ['fd00:1::1/64'],
    );
    const nh = { address: { ip6: 'fd00:1::2' } };
    const paths = [{ sw_if_index, weight: 1, proto: 'FIB_API_PATH_NH_PROTO_IP6', nh }] as const;
    await api.request('ip_route_add_del_v2', { is_add: true, route: { prefix: 'fd00:2::/64', paths } });
    const routes = await api.dump('ip_route_v2_dump', { table: { table_id: 0, is_ip6: true } });
    const route = routes.map((entry) => entry.route).find(({ prefix }) => prefix === 'fd00:2::/64');
    assert.equal(route?.paths[0]?.nh.address, { ip6: 'fd00:1::2' });
    assert.ok(
      events.some(({ fields }) => fields['sw_if_index'] === sw_if_index && fields['deleted'] === false),
    );
    assert.match(await api.cli('show version'), /^vpp v/);
    await api.close();
  }),
);

onEveryVpp(test, 'a list of 10,000 rules goes there and comes back', (install) =>
  withVpp(install, async (running) => {
    const api = await openVppApi({ socket: running.paths.apiSocket, apiDir: install.apiDir, name: 'test' });
    const rules = Array.from({ length: 10_000 }, (_, i) => ({
      is_permit: 'ACL_ACTION_API_PERMIT_REFLECT',
      src_prefix: i % 2 === 0 ? `10.${i >> 8}.${i & 255}.0/24` : `fd00:${i.toString(16)}::/64`,
      dst_prefix: i % 2 === 0 ? '0.0.0.0/0' : '::/0',
      proto: 'IP_API_PROTO_TCP',
      srcport_or_icmptype_first: 0,
      srcport_or_icmptype_last: 65535,
      dstport_or_icmpcode_first: i,
      dstport_or_icmpcode_last: i + 1,
      tcp_flags_mask: 0,
      tcp_flags_value: 0,
    }));
    const { acl_index } = await api.request('acl_add_replace', { acl_index: ALL, tag: 'large', r: rules });
    const [acl] = await api.dump('acl_dump', { acl_index: acl_index ?? 0 });
    assert.is(acl?.['tag'], 'large');
    // uvu tells differences of long lists slowly.
    const back = acl?.['r'] as readonly Fields[];
    assert.is(back.length, rules.length);
    for (const [i, rule] of rules.entries()) assert.equal(back[i], rule);
    await api.close();
  }),
);

onEveryVpp(
  test,
  'kill -9: what waits fails at once and may be tried again; the next run is another one',
  (install) =>
    withVpp(install, async (running) => {
      const open = () =>
        openVppApi({ socket: running.paths.apiSocket, apiDir: install.apiDir, name: 'test' });
      const api = await open();
      const calls = Array.from({ length: 20_000 }, () => api.request('show_version'));
      const outcomes = Promise.allSettled(calls);
      await running.kill();
      const reason = await api.lost;
      assert.instance(reason, VppLostError);
      for (const outcome of await outcomes) {
        if (outcome.status === 'fulfilled') continue;
        assert.instance(outcome.reason, VppLostError);
        assert.ok((outcome.reason as VppLostError).retryable);
      }
      const refused = await open().catch((error: unknown) => error);
      assert.instance(refused, VppConnectError);
      assert.ok((refused as VppConnectError).retryable);
      await running.start();
      const again = await open();
      assert.is.not(again.pid, api.pid);
      await again.close();
    }),
);

/** The installed VPP that the generated types are of, or the reason why there is none. */
function newest(): VppInstall | string {
  const installs = installedVpps();
  if (installs.length === 0) return vpp() ?? 'needs a VPP';
  const found = installs.find((install) => {
    const { messages } = loadApiDir(install.apiDir);
    return Object.entries(FORMS).every(([name, crc]) => messages.get(name)?.crc === crc);
  });
  return found ?? 'needs the VPP the types were generated from';
}

const generatedFrom = newest();
testIf(test, typeof generatedFrom === 'string' ? generatedFrom : null)(
  'the generated types are up to date',
  () => {
    if (typeof generatedFrom === 'string') return;
    const path = new URL('../../../../control/backends/vpp/api/generated/messages.gen.ts', import.meta.url);
    assert.ok(
      readFileSync(fileURLToPath(path), 'utf8') ===
        generateTypes(loadApiDir(generatedFrom.apiDir), USED_MESSAGES),
      'pteropus vpp types --out control/backends/vpp/api/generated/messages.gen.ts makes them anew',
    );
  },
);

onEveryVpp(test, 'the descriptions kept with the recordings are those of that version', async (install) => {
  const schema = loadApiDir(install.apiDir);
  for (const version of RECORDED_VERSIONS) {
    const kept = schemaOf(version);
    const same = [...kept.messages.values()].every(({ name, crc }) => schema.messages.get(name)?.crc === crc);
    if (!same) continue;
    for (const message of kept.messages.values()) {
      const described = schema.messages.get(message.name);
      assert.is(described === undefined ? '' : formatMessage(described), formatMessage(message));
    }
  }
});

test.run();
