/** The addon's view of a real segment. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
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

/** Plays VPP's side of the socket: hands out memory, then cuts it short, or nothing. Prints `ready`, and `cut` or `kept`. */
const HANDS_OUT = `
import array, os, socket, sys
path, mode = sys.argv[1:]
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind(path)
server.listen(1)
print('ready', flush=True)
client, _ = server.accept()
if mode == 'nothing':
    client.sendmsg([b'x'])
elif mode != 'silence':
    memory = os.memfd_create('x', os.MFD_ALLOW_SEALING if mode == 'sealed' else 0)
    os.write(memory, bytes(range(256)) * 16)
    client.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [memory]))])
client.close()
sys.stdin.readline()
try:
    os.ftruncate(memory, 0)
    print('cut', flush=True)
except (OSError, NameError):
    print('kept', flush=True)
`;

testIf(
  test,
  addon,
  program('python3'),
)('memory that is cut short, and a peer that hands out nothing, are errors and no more', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-segment-'));
  try {
    for (const [mode, end] of [
      ['sealed', 'kept'],
      ['unsealed', 'cut'],
      ['nothing', null],
      ['silence', null],
    ] as const) {
      const socket = join(dir, mode);
      const peer = spawn('python3', ['-c', HANDS_OUT, socket, mode], { stdio: ['pipe', 'pipe', 'inherit'] });
      const lines = createInterface(peer.stdout)[Symbol.asyncIterator]();
      assert.is((await lines.next()).value, 'ready');
      if (end === null) {
        assert.throws(() => loadNative().openStats(socket), /recvmsg: EBADMSG/);
      } else {
        const segment = loadNative().openStats(socket);
        const bytes = new Uint8Array(3);
        assert.ok(segment.copy(254, bytes));
        assert.equal([...bytes], [254, 255, 0]);
        peer.stdin.write('\n');
        assert.is((await lines.next()).value, end);
        assert.is(segment.copy(254, bytes), end === 'kept');
        segment.close();
      }
      peer.stdin.end();
      await once(peer, 'exit');
    }
  } finally {
    rmSync(dir, { recursive: true });
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
