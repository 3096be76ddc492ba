/** One packet's way over two nodes, with the policy that decided. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { NodeStep } from '../../control/sim/trace.js';
import { testIf } from '../support/requires.js';
import { startTestCluster, type TestCluster } from './support/cluster.js';
import { fromApp, pod, policy } from './support/manifests.js';
import { requirements } from './support/needs.js';

const needs = requirements();
/** A first SYN may be spent on finding the other node's MAC; the next one comes a second later. */
const PATIENT_MS = 3000;
let cluster: TestCluster;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  cluster = await startTestCluster('trace', [
    pod('client', { node: 'node-1' }),
    pod('stranger', { node: 'node-1' }),
    pod('server', { node: 'node-2' }),
    policy('allow-client', 'server', { ingress: [{ from: fromApp('client') }] }),
  ]);
});
test.after(() => cluster?.close());

async function traced(from: string, timeoutMs: number): Promise<readonly NodeStep[]> {
  const filter = { source: cluster.ip(from), destination: cluster.ip('server'), protocol: 6, port: 80 };
  return cluster.driver.trace(filter, async () => {
    await cluster.workload(from).probe('tcp', cluster.ip('server'), 80, timeoutMs);
  });
}

testIf(test, ...needs)('the steps of an allowed connection, in order of time over both nodes', async () => {
  const steps = await traced('client', PATIENT_MS);
  assert.equal([...new Set(steps.map(({ node }) => node))], ['node-1', 'node-2']);
  for (const [i, step] of steps.entries()) if (i > 0) assert.ok(step.time >= steps[i - 1]!.time);
  const texts = steps.map(({ text }) => text).join('\n');
  assert.match(texts, /default\/allow-client/);
  // A second trace finds nothing of the first still recording.
  assert.ok((await traced('client', PATIENT_MS)).length > 0);
});

testIf(test, ...needs)('the steps of a forbidden one say what forbade it', async () => {
  const steps = await traced('stranger', 700);
  const last = steps.filter(({ node }) => node === 'node-2');
  assert.ok(last.length > 0, 'it came as far as the destination node');
  assert.match(
    last.map(({ text }) => text).join('\n'),
    /den(y|ied).*allow-client|allow-client.*den(y|ied)|isolated/i,
  );
});

test.run();
