/** A node as it is run: `pteropus vswitch` with VPP and agent, the CNI program, two pods; and each of the three may die. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../native/index.js';
import { file, program, root, testIf } from '../../test/support/requires.js';
import { installedVpps, vpp } from '../../test/support/vpp.js';
import { statusThat } from '../agent/fixtures.js';
import { keyOf } from '../agent/objects.js';
import { DEFAULT_CONFIG } from '../compiler/input.js';
import { toJson } from '../objects/json.js';
import { COMPLETE_KEY } from '../objects/stored-keys.js';
import type { Pod } from '../objects/types.js';
import { EmbeddedStore } from '../store/embedded.js';
import { serveStore } from '../store/server.js';
import { withBed } from './fixtures.js';
import { isAlive } from './record.js';

const test = suite('a node on VPP');
const buildPath = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const CNI = buildPath('native/pteropus-cni');
const needs = [
  root(),
  program('nsenter'),
  program('ip'),
  file(CNI),
  file(buildPath('native/pteropus.node')),
  vpp(),
];
const prefixes = needs.every((need) => need === null) ? installedVpps().map(({ prefix }) => prefix) : [''];

/** A store without objects is not believed where pods are wired. */
function podObject(name: string): Pod {
  const metadata = { name, namespace: 'shop', uid: null, labels: {}, annotations: {} };
  const network = { hostNetwork: false, hostname: null, subdomain: null };
  return {
    ...{ kind: 'Pod', metadata },
    spec: { nodeName: 'n1', ...network, nodeSelector: {}, containers: [] },
    status: { phase: 'Running', podIPs: [], ready: true, terminating: false },
  };
}

for (const prefix of prefixes) {
  const on = prefixes.length > 1 ? ` (${prefix})` : '';
  testIf(test, ...needs)(
    `pods are wired and stay so, whoever of vswitch, agent and VPP dies${on}`,
    async () => {
      const native = loadNative();
      await withBed(prefix, async (bed) => {
        const pods = ['a', 'b'].map((pod) => `${bed.netns}${pod}`);
        const node = native.openNetns(`/run/netns/${bed.netns}`);
        node.createVeth({ name: 'eth1' }, { name: 'wire' });
        node.setLink('wire', { up: true });
        for (const pod of pods) native.createNetns(pod).close();
        const store = new EmbeddedStore();
        await store.put(COMPLETE_KEY, '{}');
        for (const name of ['a', 'b']) await store.put(keyOf(podObject(name)), toJson(podObject(name)));
        const server = await serveStore(store, join(bed.dir, 'store.sock'));
        try {
          bed.configure();
          const given = JSON.parse(readFileSync(bed.config, 'utf8')) as object;
          const cluster = { defaultGateway: DEFAULT_CONFIG.defaultGateway };
          writeFileSync(bed.config, JSON.stringify({ ...given, cluster }));
          const cni = (command: string, pod: string): { status: number | null; out: string } => {
            const { status, stdout } = spawnSync(CNI, {
              encoding: 'utf8',
              input: JSON.stringify({
                cniVersion: '1.0.0',
                name: 'net',
                type: 'pteropus',
                socket: join(bed.dir, 'cni.sock'),
              }),
              env: {
                CNI_COMMAND: command,
                CNI_CONTAINERID: `container-${pod}`,
                CNI_NETNS: `/run/netns/${pod}`,
                CNI_IFNAME: 'eth0',
                CNI_PATH: '/opt/cni/bin',
                CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${pod.slice(-1)}`,
              },
            });
            return { status, out: stdout };
          };
          const ping = (from: string, address: string): boolean =>
            spawnSync('ip', ['netns', 'exec', from, 'ping', '-c', '1', '-W', '1', address]).status === 0;
          const reaches = async (from: string, address: string, what: string): Promise<void> => {
            for (let tries = 0; !ping(from, address); tries++) {
              if (tries === 20) throw new Error(`${what}: no answer`);
              await wait(50);
            }
          };

          const first = bed.start();
          await first.said(/\{"ready":true\}/);
          for (const pod of pods) {
            const { status, out } = cni('ADD', pod);
            assert.is(status, 0, out);
          }
          const [a = '', b = ''] = pods;
          await reaches(a, '10.1.1.3', 'pod to pod');
          await reaches(a, '10.1.1.1', 'the gateway');
          await reaches(bed.netns, '10.1.1.2', 'the node’s own stack');

          const { record } = bed;
          assert.ok(record !== null);
          // vswitch with its agent: VPP does not notice.
          await bed.end(first.child, 'SIGKILL');
          assert.ok(ping(a, '10.1.1.3'), 'traffic goes on without vswitch and agent');
          const second = bed.start();
          await second.said(/goes on/);
          await second.said(/\{"ready":true\}/);
          assert.equal(bed.record, record, 'the same VPP');
          assert.ok(ping(b, '10.1.1.2'));

          process.kill(record.pid, 'SIGKILL');
          await statusThat(store, ({ ready }) => !ready);
          await statusThat(store, ({ ready }) => ready);
          await reaches(a, '10.1.1.3', 'after VPP died');
          await reaches(bed.netns, '10.1.1.3', 'the node’s own stack, after VPP died');
          const next = bed.record;
          assert.ok(next !== null && isAlive(next) && next.pid !== record.pid);

          for (const pod of pods) assert.is(cni('DEL', pod).status, 0);
          assert.not(node.links().some(({ name }) => name.startsWith('pt') && name.length === 15));
          const gone = once(second.child, 'exit');
          second.child.kill('SIGTERM');
          assert.equal(await gone, [0, null]);
        } finally {
          await server.close();
          await store.close();
          node.close();
          for (const pod of pods) native.deleteNetns(pod);
        }
      });
    },
  );
}

test.run();
