/** A file of shared memory belongs to one cluster, however its name looks like another's. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clusterOfSegment, segmentOf } from './shared-memory.js';
import { segmentFiles } from './startup.js';

test('files are told by their cluster', () => {
  for (const cluster of ['sim', 'sim-node1', 'x-1-node2']) {
    for (const path of segmentFiles(segmentOf(cluster, 12))) {
      assert.is(clusterOfSegment(path.replace('/dev/shm/', '')), cluster);
    }
  }
});

test('files of other VPPs are nobody’s', () => {
  for (const file of [
    'global_vm',
    'vpe-api',
    'pteropus-1234-0-global_vm',
    'vpp-node1-vpe-api',
    'pteropus-sim-node1',
  ]) {
    assert.is(clusterOfSegment(file), null, file);
  }
});

test.run();
