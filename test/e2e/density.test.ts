/** A full node (110 pods, Kubernetes' default limit): every pod is reached and reaches others, also all at once. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { testIf } from '../support/requires.js';
import { startTestCluster } from './support/cluster.js';
import { pod } from './support/manifests.js';
import { requirements } from './support/needs.js';

const PODS = 110;

testIf(test, ...requirements())(`${PODS} pods on one node`, async () => {
  const names = Array.from({ length: PODS }, (_, i) => `pod-${i}`);
  const manifests = [...names.map((name) => pod(name, { node: 'node-1' })), pod('far', { node: 'node-2' })];
  const start = performance.now();
  const cluster = await startTestCluster('dense', manifests);
  try {
    process.stdout.write(`${PODS} pods ready after ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    const to = (from: string, name: string) =>
      cluster.workload(from).probe('tcp', cluster.ip(name), 80, 3000);
    const results = await Promise.all([
      ...names.map((name) => to('far', name)),
      ...names.map((name) => to(name, 'far')),
      ...names.map((name, i) => to(name, names[(i + 1) % PODS]!)),
    ]);
    const failed = results.filter(({ outcome }) => outcome !== 'connected');
    assert.equal(failed, []);
    const slow = results.filter(({ millis }) => millis > 900);
    assert.is(slow.length, 0, 'no connection lost its first packet');
  } finally {
    await cluster.close();
  }
});

test.run();
