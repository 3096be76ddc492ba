/** Both ways to a real VPP, held to one suite. */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative, NativeError } from '../../../../native/index.js';
import { makeNetns } from '../../../../test/backends/xdp-rig.js';
import { file, program, root, testIf } from '../../../../test/support/requires.js';
import { installedVpps, startVpp, type TestVpp, vpp } from '../../../../test/support/vpp.js';
import type { VppInstall } from '../../../sim/vpp/install.js';
import { segmentFiles } from '../../../sim/vpp/startup.js';
import { VppConnectError } from './errors.js';
import { openVppApi } from './open.js';
import { openVppShm } from './shm.js';
import { clientLibrary } from './testing/library.js';
import { type TransportRig, transportTests } from './transport.suite.js';

const test = suite('vpp transports');
const addon = file(fileURLToPath(new URL('../../../../../native/pteropus.node', import.meta.url)));
const needs = [addon, root(), program('nsenter'), program('setpriv'), vpp()];
const missing = needs.find((need) => need !== null) ?? null;
const installs = missing === null ? installedVpps() : [];

/** A VPP in a namespace of its own, which goes with it. */
async function start(install: VppInstall): Promise<TestVpp> {
  const native = loadNative();
  const netns = makeNetns(native);
  const running = await startVpp(netns.path, install);
  const close = running.close.bind(running);
  running.close = async () => {
    await close();
    native.deleteNetns(netns.path.slice(netns.path.lastIndexOf('/') + 1));
    netns.close();
  };
  return running;
}

async function socketRig(install: VppInstall): Promise<TransportRig> {
  const running = await start(install);
  const { apiSocket: socket } = running.paths;
  return { vpp: running, open: () => openVppApi({ socket, apiDir: install.apiDir, name: 'test' }) };
}

async function shmRig(install: VppInstall): Promise<TransportRig> {
  const running = await start(install);
  const options = {
    library: clientLibrary(install),
    prefix: running.segment,
    apiDir: install.apiDir,
    name: 'test',
  };
  const kill = running.kill.bind(running);
  running.kill = async () => {
    await kill();
    // What a dead VPP leaves is taken for a living one, for as long as its library is patient.
    for (const path of segmentFiles(running.segment)) rmSync(path, { force: true });
  };
  return { vpp: running, open: () => openVppShm(options) };
}

testIf(test, addon)('a library that is not there is named', () => {
  try {
    loadNative().openVppChannel(
      { library: '/nowhere/libvppapiclient.so', prefix: '', name: 'x' },
      () => undefined,
    );
    assert.unreachable();
  } catch (error) {
    assert.instance(error, NativeError);
    assert.match((error as NativeError).message, '/nowhere/libvppapiclient.so');
  }
});

testIf(test, addon)('memory that is not there is named', async () => {
  try {
    await openVppShm({ library: '/nowhere/lib.so', prefix: 'no-such-vpp', name: 'x' });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, VppConnectError);
    assert.match((error as VppConnectError).message, '/dev/shm/no-such-vpp-global_vm');
  }
});

testIf(test, missing)('both ways are tested on a real VPP', () => {
  assert.ok(installs.length > 0);
});

for (const [i, install] of installs.entries()) {
  if (!existsSync(install.binary)) continue;
  if (i === 0) {
    transportTests(test, `socket, ${install.prefix}`, () => socketRig(install));
    transportTests(test, `shared memory, ${install.prefix}`, () => shmRig(install));
  } else {
    // One client library for each process.
    test(`both, ${install.prefix}`, () => {
      const env = { ...process.env, PTEROPUS_VPP_PREFIXES: install.prefix };
      const { status, stdout } = spawnSync(process.execPath, [fileURLToPath(import.meta.url)], { env });
      assert.is(status, 0, stdout.toString());
    });
  }
}

test.run();
