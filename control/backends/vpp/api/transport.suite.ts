/** What a connection to a real VPP must do, whichever way it takes. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { rejects } from '../../../../test/support/rejects.js';
import type { TestVpp } from '../../../../test/support/vpp.js';
import type { Fields, VppApi, VppEvent } from './api.js';
import { VppConnectError, VppLostError, VppRetvalError } from './errors.js';

/** A VPP, and the way to it. */
export interface TransportRig {
  readonly vpp: TestVpp;
  open(): Promise<VppApi>;
}

export function transportTests(test: Test, kind: string, makeRig: () => Promise<TransportRig>): void {
  const run = (name: string, body: (api: VppApi, rig: TransportRig) => Promise<void>): void =>
    test(`${kind}: ${name}`, async () => {
      const rig = await makeRig();
      try {
        const api = await rig.open();
        await body(api, rig);
        await api.close();
      } finally {
        await rig.vpp.close();
      }
    });

  run('requests, dumps and commands are answered', async (api, { vpp }) => {
    assert.is(api.pid, vpp.pid);
    assert.match(api.version, /^\d\d\.\d\d/);
    assert.ok(api.has('acl_add_replace') && !api.has('no_such_message'));
    const { sw_if_index: index } = await api.request('create_loopback', { mac_address: '02:00:00:00:00:01' });
    const interfaces = await api.dump('sw_interface_dump');
    const names = interfaces.map(({ interface_name: name }) => name);
    assert.equal(names.sort(), ['local0', 'loop0']);
    assert.match(await api.cli('show version'), 'vpp v');
    await rejects(() => api.request('sw_interface_set_flags', { sw_if_index: 99 }), VppRetvalError);
    await api.request('delete_loopback', { sw_if_index: index as number });
  });

  run('many requests under way at once are answered in their order', async (api) => {
    const answered: number[] = [];
    const calls = Array.from({ length: 3000 }, (_, i) =>
      api.request('control_ping').then(() => answered.push(i)),
    );
    await Promise.all(calls);
    assert.equal(
      answered,
      [...answered].sort((a, b) => a - b),
    );
    assert.is(answered.length, 3000);
  });

  run('messages longer than any buffer pass, both ways', async (api) => {
    const rules = Array.from(
      { length: 5000 },
      (_, i): Fields => ({
        ...{
          is_permit: 'ACL_ACTION_API_PERMIT',
          src_prefix: `10.${i >> 8}.${i & 255}.0/24`,
          dst_prefix: '0.0.0.0/0',
        },
        ...{ srcport_or_icmptype_last: 65535, dstport_or_icmpcode_last: 65535 },
      }),
    );
    const { acl_index: index } = await api.request('acl_add_replace', {
      ...{ acl_index: 0xffff_ffff, tag: 'long', r: rules },
    });
    const [found] = await api.dump('acl_dump', { acl_index: index as number });
    const read = (found?.['r'] ?? []) as readonly Fields[];
    assert.is(read.length, 5000);
    assert.is(read[4999]?.['src_prefix'], '10.19.135.0/24');
  });

  run('events come while requests are under way', async (api) => {
    const events: VppEvent[] = [];
    const enough = new Promise<void>((resolve) => {
      api.onEvent('sw_interface_event', (event) => {
        if (events.push(event) === 1) resolve();
      });
    });
    await api.request('want_interface_events', { enable_disable: 1, pid: process.pid });
    const { sw_if_index: index } = await api.request('create_loopback', {});
    const up = { sw_if_index: index as number, flags: ['IF_STATUS_API_FLAG_ADMIN_UP'] };
    await Promise.all([api.request('sw_interface_set_flags', up), api.request('control_ping')]);
    await enough;
    assert.is(events[0]?.fields['sw_if_index'], index);
  });

  run('one connection may follow another', async (api, rig) => {
    await api.close();
    await rejects(() => api.request('control_ping'), VppLostError);
    const again = await rig.open();
    assert.is(again.pid, api.pid);
    await again.close();
  });

  run('a VPP that is killed is lost at once, and one that comes again is found', async (api, rig) => {
    const waiting = api.request('control_ping');
    await waiting;
    await rig.vpp.kill();
    assert.instance(await api.lost, VppLostError);
    await rejects(() => api.request('control_ping'), VppLostError);
    await rejects(() => rig.open(), VppConnectError);
    await rig.vpp.start();
    const again = await rig.open();
    assert.is(again.pid, rig.vpp.pid);
    await again.close();
  });
}
