/** The cluster over a driver that refuses: what could not be done is done by the next change, and nothing twice. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseClusterConfig } from '../ipam/config.js';
import { EmbeddedStore } from '../store/embedded.js';
import { Cluster } from './cluster.js';
import type { Driver } from './driver.js';
import { ManifestReader } from './manifest-set.js';

const pods = (...names: readonly string[]) =>
  new ManifestReader().parse(
    names.map((name) => ({
      file: name,
      text: `{apiVersion: v1, kind: Pod, metadata: {name: ${name}}, spec: {containers: [{name: c, image: i}]}}`,
    })),
  );

test('a pod that cannot be removed now keeps no other change from coming', async () => {
  const wired = new Set<string>();
  const refused = new Set(['b']);
  const driver: Driver = {
    feed: 'memory',
    store: new EmbeddedStore(),
    start: () => Promise.resolve(),
    addPod: ({ metadata }) => {
      wired.add(metadata.name);
      return Promise.resolve([`10.1.1.${wired.size + 1}`]);
    },
    removePod: ({ name }) => {
      if (refused.delete(name)) return Promise.reject(new Error(`${name}: not now`));
      if (!wired.delete(name)) return Promise.reject(new Error(`${name}: does not run`));
      return Promise.resolve();
    },
    probe: () => Promise.resolve([]),
    trace: () => Promise.resolve([]),
    settled: () => Promise.resolve(),
    execCommand: () => null,
    close: () => Promise.resolve(),
  };
  const config = parseClusterConfig({});
  const cluster = new Cluster({
    ...{ driver, config, nodes: ['node-1'], outside: [], outsidePorts: [] },
    progress: () => undefined,
  });
  await cluster.start();
  await cluster.bring(pods('a', 'b', 'c'));
  let problem = '';
  await cluster.bring(pods()).catch((error: Error) => {
    problem = error.message;
  });
  assert.is(problem, 'b: not now');
  assert.equal([...wired], ['b']);
  assert.equal(
    cluster.state.pods.map(({ pod }) => pod.metadata.name),
    ['b'],
  );
  await cluster.bring(pods('d'));
  assert.equal([...wired], ['d']);
  assert.equal(
    cluster.state.pods.map(({ pod }) => pod.metadata.name),
    ['d'],
  );
  await cluster.close();
});

test.run();
