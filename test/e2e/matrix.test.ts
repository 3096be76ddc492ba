/**
 * Whole examples on three nodes: every cell of the reachability matrix measured with real traffic and as the naive oracle
 * says, without policies and with them.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PodFeed } from '../../control/agent/pod-feed.js';
import { DEFAULT_IPV6 } from '../../control/compiler/input.js';
import type { EndpointSlice } from '../../control/objects/types.js';
import { createAfxdpDriver } from '../../control/sim/afxdp/driver.js';
import { Cluster } from '../../control/sim/cluster.js';
import { ManifestReader, type ManifestSet, readInputs } from '../../control/sim/manifest-set.js';
import { file, testIf } from '../support/requires.js';
import { measureMatrix, withoutPolicies } from './support/matrix.js';
import { requirements } from './support/needs.js';
import { driverSpec } from './support/spec.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
/** Google's demonstration shop is not part of this project: its manifests are read where they lie. */
const BOUTIQUE = process.env['PTEROPUS_BOUTIQUE'] ?? join(ROOT, '../shared/data/online-boutique');

const examples: readonly {
  readonly name: string;
  readonly path: string;
  readonly icmp: boolean;
  readonly podFeed?: PodFeed;
  readonly workers?: number;
  readonly dualStack?: boolean;
}[] = [
  { name: 'shop', path: join(ROOT, 'examples/shop'), icmp: false },
  { name: 'protocols', path: join(ROOT, 'examples/protocols'), icmp: true },
  { name: 'tiers', path: join(ROOT, 'examples/tiers'), icmp: false },
  { name: 'shop-tap', path: join(ROOT, 'examples/shop'), icmp: false, podFeed: 'tap' },
  { name: 'protocols-tap', path: join(ROOT, 'examples/protocols'), icmp: true, podFeed: 'tap' },
  { name: 'shop-dual-stack', path: join(ROOT, 'examples/shop'), icmp: false, dualStack: true },
  { name: 'shop-workers', path: join(ROOT, 'examples/shop'), icmp: false, workers: 2 },
  {
    name: 'protocols-workers-tap',
    path: join(ROOT, 'examples/protocols'),
    icmp: true,
    podFeed: 'tap',
    workers: 2,
  },
  { name: 'boutique', path: BOUTIQUE, icmp: false },
];

for (const { name, path, icmp, podFeed = 'afxdp', workers = 1, dualStack = false } of examples) {
  testIf(
    test,
    ...requirements(),
    file(path),
  )(`${name}: every cell is as the policies say, without and with them`, async () => {
    const set = new ManifestReader().parse(await readInputs([path]));
    const spec = driverSpec(`x-${name}-${process.pid}`, {
      nodes: 3,
      slices: slicesOf(set),
      podFeed,
      workers,
      ...(dualStack ? { config: { ipv6: DEFAULT_IPV6 } } : {}),
    });
    const { nodes, config, outside, outsidePorts, progress } = spec;
    const driver = createAfxdpDriver(spec);
    const cluster = new Cluster({ driver, nodes, config, outside, outsidePorts, progress });
    try {
      const start = performance.now();
      await cluster.start();
      await cluster.bring(withoutPolicies(set));
      process.stdout.write(`${name}: ready after ${((performance.now() - start) / 1000).toFixed(1)} s\n`);

      const open = await measureMatrix(cluster, { icmp });
      process.stdout.write(`${name} without policies: ${open.summary}\n`);
      assert.equal(open.wrong, []);
      assert.ok(open.cells > 50);

      const { millis } = await cluster.bring(set);
      process.stdout.write(`${name}: policies in force after ${millis.toFixed(0)} ms\n`);
      const guarded = await measureMatrix(cluster, { icmp });
      process.stdout.write(`${name} with policies: ${guarded.summary}\n`);
      assert.equal(guarded.wrong, []);
      assert.ok(guarded.forbidden > open.forbidden, 'policies forbid something');
    } finally {
      await cluster.close();
    }
  });
}

/** Slices the manifests bring themselves: they may point at the outside host. */
function slicesOf(set: ManifestSet): readonly EndpointSlice[] {
  return [...set.items.values()].flatMap(({ object }) => (object?.kind === 'EndpointSlice' ? [object] : []));
}

test.run();
