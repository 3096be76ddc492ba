/** VPPs of tests: found, started in a namespace of the test's, ended without a trace. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findVpp, vppUnder } from '../../control/sim/vpp/install.js';
import { segmentFiles } from '../../control/sim/vpp/startup.js';
import { loadNative } from '../../native/index.js';
import { makeNetns } from '../backends/xdp-rig.js';
import { file, program, root, testIf } from '../support/requires.js';
import { startVpp, vpp } from '../support/vpp.js';

const test = suite('a VPP for tests');
const addon = file(fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url)));

test('a prefix without VPP is named', () => {
  assert.is(vppUnder('/nowhere'), 'needs /nowhere/bin/vpp');
  assert.is(findVpp({ PTEROPUS_VPP_PREFIX: '/nowhere' }), 'needs /nowhere/bin/vpp');
});

testIf(
  test,
  root(),
  addon,
  program('nsenter'),
  program('setpriv'),
  vpp(),
)('starts, dies, starts again, and leaves nothing', async () => {
  const native = loadNative();
  const netns = makeNetns(native);
  try {
    const started = await startVpp(netns.path);
    const { paths, segment, pid } = started;
    try {
      assert.ok(existsSync(`/proc/${pid}`));
      await started.kill();
      assert.not(existsSync(`/proc/${pid}`));
      await started.start();
      assert.is.not(started.pid, pid);
    } finally {
      await started.close();
    }
    for (const path of [paths.dir, ...segmentFiles(segment)]) assert.not(existsSync(path), path);
  } finally {
    native.deleteNetns(netns.path.slice(netns.path.lastIndexOf('/') + 1));
    netns.close();
  }
});

test.run();
