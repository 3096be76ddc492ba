/** A node whose uplink is a device of DPDK, as the configuration names it: packets go through it both ways. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../native/index.js';
import {
  gatewayMac,
  nodeAddress,
  nodeItems,
  OUTSIDE,
  podAddress,
  podItems,
  podMac,
  UPLINK,
} from '../../test/backends/items.js';
import { file, program, type Requirement, root, testIf } from '../../test/support/requires.js';
import { installedVpps, vpp } from '../../test/support/vpp.js';
import { readAgentConfig } from '../agent/agent-config.js';
import { openVppDataplane, uplinkMacOf } from '../agent/vpp/open.js';
import type { Item } from '../ruleset/types.js';
import { SMALL, withBed } from './fixtures.js';

const test = suite('dpdk');
const ADDON = file(fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url)));

/** The VPPs that have the plugin: distributions package it by itself. */
const withDpdk =
  vpp() === null
    ? installedVpps().filter(({ pluginDir }) => existsSync(join(pluginDir, 'dpdk_plugin.so')))
    : [];
const dpdk = (): Requirement => vpp() ?? (withDpdk.length > 0 ? null : 'needs VPP’s dpdk plugin');

const ip = (netns: string, ...args: string[]): string =>
  execFileSync('ip', ['-n', netns, ...args], { encoding: 'utf8' });
/** Answers of `count` echo requests; the first may be lost while neighbors are found. */
const ping = (netns: string, address: string, count = 5): number => {
  const command = `ping -c ${count} -i 0.2 -W 1 ${address} | grep -c ttl= || true`;
  return Number(execFileSync('ip', ['netns', 'exec', netns, 'sh', '-c', command], { encoding: 'utf8' }));
};

testIf(
  test,
  root(),
  ADDON,
  program('nsenter'),
  program('ip'),
  dpdk(),
)('a virtual device of DPDK is the uplink', async () => {
  const native = loadNative();
  await withBed(withDpdk[0]?.prefix ?? '', async (bed) => {
    const far = `${bed.netns}f`;
    const pod = `${bed.netns}p`;
    const netns = native.openNetns(`/run/netns/${bed.netns}`);
    const [farNs, podNs] = [native.createNetns(far), native.createNetns(pod)];
    try {
      netns.createVeth({ name: 'u0' }, { name: 'u1', netns: farNs });
      netns.createVeth(
        { name: 'p1-a', mac: gatewayMac(1) },
        { name: 'eth0', mac: podMac(1, 1), netns: podNs },
      );
      netns.createVeth({ name: 'host1' }, { name: 'h' });
      for (const link of ['u0', 'p1-a', 'host1', 'h']) netns.setLink(link, { up: true });
      for (const link of ['u0', 'p1-a', 'host1']) netns.deafen(link);
      for (const [each, link] of [
        [farNs, 'u1'],
        [podNs, 'eth0'],
      ] as const) {
        each.setOffloads(link, { txChecksum: false, tso: false });
        each.setLink(link, { up: true });
      }
      ip(far, 'addr', 'add', `${OUTSIDE}/24`, 'dev', 'u1');
      ip(far, 'route', 'add', '10.1.0.0/16', 'via', nodeAddress(1));
      ip(pod, 'addr', 'add', `${podAddress(1, 1)}/32`, 'dev', 'eth0');
      ip(pod, 'neigh', 'add', '10.1.1.1', 'lladdr', gatewayMac(1), 'dev', 'eth0');
      ip(pod, 'route', 'add', '10.1.1.1', 'dev', 'eth0');
      ip(pod, 'route', 'add', 'default', 'via', '10.1.1.1');

      bed.configure({
        uplink: { vdev: 'net_af_packet0,iface=u0', name: 'Ethernet0' },
        startup: { ...SMALL, segment: bed.segment },
      });
      const { child, said } = bed.start('--no-agent');
      await said(/\{"ready":true\}/);
      const { vpp: config } = readAgentConfig(bed.config);
      assert.ok(config !== null);
      const log = (): void => undefined;
      const mac = await uplinkMacOf(config, log)?.();
      // Without translation, so that each direction can be asked by itself.
      const items: readonly Item[] = [
        ...nodeItems(1).filter(({ kind }) => kind !== 'snat'),
        ...podItems(1, 1, 'a'),
      ];
      const backend = await openVppDataplane(config, log);
      try {
        const results = await backend.apply(
          items.map((item) => ({
            type: 'add',
            key: item.key,
            item: item.key === UPLINK ? ({ ...item, mac } as Item) : item,
          })),
        );
        assert.equal(
          results.flatMap(({ error }) => (error === null ? [] : [error])),
          [],
        );
        assert.ok(ping(far, podAddress(1, 1)) >= 3, 'from the underlay to the pod');
        assert.ok(ping(pod, OUTSIDE) >= 3, 'from the pod to the underlay');
        assert.match(await backend.vpp.api.cli('show hardware-interfaces Ethernet0'), /rx burst function/);
      } finally {
        await backend.close();
      }
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    } finally {
      for (const each of [netns, farNs, podNs]) each.close();
      for (const name of [far, pod]) native.deleteNetns(name);
    }
  });
});

test.run();
