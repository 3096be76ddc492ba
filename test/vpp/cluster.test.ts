/**
 * Clusters with nodes on VPP, three nodes on one machine, real pods: every cell of the matrix measured with real traffic and as the naive
 * oracle says. Once with VPP everywhere, and once mixed: one node on VPP, two on our own data plane, same overlay.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAfxdpDriver } from '../../control/sim/afxdp/driver.js';
import { Cluster } from '../../control/sim/cluster.js';
import { ManifestReader, readInputs } from '../../control/sim/manifest-set.js';
import { startTestCluster } from '../e2e/support/cluster.js';
import { pod, policy, service } from '../e2e/support/manifests.js';
import { measureMatrix, withoutPolicies } from '../e2e/support/matrix.js';
import { driverSpec } from '../e2e/support/spec.js';
import { file, testIf } from '../support/requires.js';
import { needsVppCluster } from './needs.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
/** Google's demonstration shop is not part of this project: its manifests are read where they lie. */
const BOUTIQUE = process.env['PTEROPUS_BOUTIQUE'] ?? join(ROOT, '../shared/data/online-boutique');
const EVERYWHERE = ['node-1', 'node-2', 'node-3'];
const MIXED = ['node-2'];

const test = suite('clusters on VPP');

const examples: readonly { readonly name: string; readonly path: string; readonly vpp: readonly string[] }[] =
  [
    { name: 'vshop', path: join(ROOT, 'examples/shop'), vpp: EVERYWHERE },
    { name: 'mshop', path: join(ROOT, 'examples/shop'), vpp: MIXED },
    { name: 'mboutique', path: BOUTIQUE, vpp: MIXED },
  ];

for (const { name, path, vpp } of examples) {
  testIf(
    test,
    ...needsVppCluster(),
    file(path),
  )(
    `${name}: ${vpp.length} of 3 nodes on VPP: every cell is as the policies say, without and with them`,
    async () => {
      const set = new ManifestReader().parse(await readInputs([path]));
      const spec = driverSpec(`x-${name}-${process.pid}`, { nodes: 3, vpp });
      const { nodes, config, outside, outsidePorts, progress } = spec;
      const driver = createAfxdpDriver(spec);
      const cluster = new Cluster({ driver, nodes, config, outside, outsidePorts, progress });
      try {
        const start = performance.now();
        await cluster.start();
        await cluster.bring(withoutPolicies(set));
        process.stdout.write(`${name}: ready after ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
        const open = await measureMatrix(cluster, { icmp: true });
        process.stdout.write(`${name} without policies: ${open.summary}\n`);
        assert.equal(open.wrong, []);
        const { millis } = await cluster.bring(set);
        process.stdout.write(`${name}: policies in force after ${millis.toFixed(0)} ms\n`);
        const guarded = await measureMatrix(cluster, { icmp: true });
        process.stdout.write(`${name} with policies: ${guarded.summary}\n`);
        assert.equal(guarded.wrong, []);
        assert.ok(guarded.forbidden > open.forbidden, 'policies forbid something');
      } finally {
        await cluster.close();
      }
    },
  );
}

testIf(test, ...needsVppCluster())(
  'a mixed cluster: TCP and UDP every way, by pod, Service and node port, and no way past a policy',
  async () => {
    const names = ['a', 'b', 'c'];
    const cluster = await startTestCluster(
      'mixed',
      [
        ...names.map((name, i) => pod(name, { node: `node-${i + 1}`, labels: { kind: 'friend' } })),
        ...names.map((name, i) => pod(`stranger-${name}`, { node: `node-${i + 1}` })),
        ...names.map((name) => service(name, { app: name }, { type: 'NodePort' })),
        ...names.map((name) =>
          policy(`friends-${name}`, name, {
            ingress: [{ from: [{ podSelector: { matchLabels: { kind: 'friend' } } }] }],
          }),
        ),
      ],
      { nodes: 3, vpp: MIXED },
    );
    try {
      for (const from of names) {
        for (const to of names) {
          for (const protocol of ['tcp', 'udp'] as const) {
            for (const address of [cluster.ip(to), cluster.clusterIp(to)]) {
              const told = `${from} to ${to} (${address}) ${protocol}`;
              const friend = await cluster.workload(from).probe(protocol, address, 80, 3000);
              assert.equal([friend.outcome, friend.answer], ['connected', `default/${to}`], told);
              const stranger = cluster.workload(`stranger-${from}`);
              assert.is(
                (await stranger.probe(protocol, address, 80, 300)).outcome,
                'timeout',
                `stranger ${told}`,
              );
            }
          }
        }
      }
    } finally {
      await cluster.close();
    }
  },
);

test.run();
