/** The addon's view of a real segment. */
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative, NativeError } from '../../../../native/index.js';
import { makeNetns } from '../../../../test/backends/xdp-rig.js';
import { file, program, root, testIf } from '../../../../test/support/requires.js';
import { installedVpps, startVpp, vpp } from '../../../../test/support/vpp.js';
import { Stats } from './stats.js';
import { lengthOf } from './values.js';

const test = suite('vpp stats segment');
const addon = file(fileURLToPath(new URL('../../../../../native/pteropus.node', import.meta.url)));

testIf(test, addon)('a socket that is not there is an error that names it', () => {
  for (const path of ['/nowhere/stats.sock', `/${'x'.repeat(200)}`]) {
    try {
      loadNative().openStats(path);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, NativeError);
      assert.is((error as NativeError).object, path);
    }
  }
});

testIf(
  test,
  addon,
  root(),
  program('nsenter'),
  program('setpriv'),
  vpp(),
)('every VPP tells its figures', async () => {
  const native = loadNative();
  for (const install of installedVpps()) {
    const netns = makeNetns(native);
    const running = await startVpp(netns.path, install);
    try {
      const segment = native.openStats(running.paths.statsSocket);
      const stats = new Stats(segment);
      const read = await stats.read(['*']);
      assert.equal(read.get('/if/names'), { type: 'names', names: ['local0'] });
      assert.is(lengthOf(read.get('/if/rx')), 1);
      const boot = read.get('/sys/boottime');
      assert.ok(boot?.type === 'scalar' && Math.abs(boot.value - Date.now() / 1000) < 60);
      assert.ok([...read.keys()].some((name) => name.startsWith('/err/ip4-input/')));
      // What lies beside the segment is not read.
      assert.is(segment.copy(segment.size - 8, new Uint8Array(8)), true);
      for (const offset of [segment.size - 7, segment.size, -1, 0.5, Number.NaN, 2 ** 60]) {
        assert.is(segment.copy(offset, new Uint8Array(8)), false, String(offset));
      }
      // The last figures stay there when VPP is gone, and none are read of a segment that was closed.
      await running.kill();
      assert.ok((await stats.read(['/sys/heartbeat'])).size === 1);
      segment.close();
      segment.close();
      assert.is(segment.copy(0, new Uint8Array(8)), false);
    } finally {
      await running.close();
      native.deleteNetns(netns.path.slice(netns.path.lastIndexOf('/') + 1));
      netns.close();
    }
  }
});

test.run();
