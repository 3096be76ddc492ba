/** The executable by the name `loopback`: as containerd and CRI-O call it for each sandbox, before ours. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXECUTABLE, installExecutable } from '../../control/cni/install.js';
import { loadNative } from '../../native/index.js';
import { file, program, root, testIf } from '../support/requires.js';
import { runExecutable } from './executable.js';

const directory = mkdtempSync(join(tmpdir(), 'pteropus-F-'));
const LOOPBACK = join(directory, 'loopback');
const NETNS = `pterF-${process.pid}-lo`;
const PATH = `/run/netns/${NETNS}`;

function environment(command: string, netns: string = PATH): Readonly<Record<string, string>> {
  const ids = { CNI_CONTAINERID: 'c1', CNI_IFNAME: 'lo', CNI_PATH: directory };
  return { ...ids, CNI_COMMAND: command, ...(netns === '' ? {} : { CNI_NETNS: netns }) };
}

async function call(command: string, version: string | undefined, netns?: string) {
  // As containerd's go-cni writes it.
  const conf = {
    ...(version === undefined ? {} : { cniVersion: version }),
    name: 'cni-loopback',
    type: 'loopback',
  };
  const { exit, stdout } = await runExecutable(environment(command, netns), conf, LOOPBACK);
  return { exit, answer: stdout === '' ? null : (JSON.parse(stdout) as Record<string, unknown>) };
}

const isUp = (): boolean => execFileSync('ip', ['-n', NETNS, 'link', 'show', 'lo']).toString().includes('UP');

test.before(() => {
  if (file(EXECUTABLE) === null) installExecutable(directory);
});
test.after(() => rmSync(directory, { recursive: true }));

const needs = [root(), program('ip'), file(EXECUTABLE)];

testIf(test, ...needs)('lo goes up with ADD and down with DEL, and CHECK tells', async () => {
  const native = loadNative();
  const netns = native.createNetns(NETNS);
  try {
    netns.setLink('lo', { up: false });
    const down = await call('CHECK', '1.0.0');
    assert.equal([down.exit, down.answer?.['code']], [1, 101]);
    for (const version of ['0.3.1', '1.0.0']) {
      const added = await call('ADD', version);
      assert.is(added.exit, 0);
      const family = version === '0.3.1' ? { version: '4' } : {};
      assert.equal(added.answer, {
        cniVersion: version,
        interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: PATH }],
        ips: [{ ...family, interface: 0, address: '127.0.0.1/8' }],
        dns: {},
      });
      assert.ok(isUp());
      assert.equal(await call('CHECK', version), { exit: 0, answer: null });
      assert.equal(await call('DEL', version), { exit: 0, answer: null });
      assert.not(isUp());
    }
    for (const version of ['0.2.0', undefined]) {
      const { answer } = await call('ADD', version);
      assert.equal(answer?.['ip4'], { ip: '127.0.0.1/8' });
    }
  } finally {
    netns.close();
    native.deleteNetns(NETNS);
  }
  assert.equal(await call('DEL', '1.0.0'), { exit: 0, answer: null }, 'the namespace is gone');
  assert.equal(await call('DEL', '1.0.0', ''), { exit: 0, answer: null }, 'nobody knows it any more');
  const lost = await call('ADD', '1.0.0');
  assert.equal([lost.exit, lost.answer?.['code']], [1, 5]);
});

testIf(test, file(EXECUTABLE))('versions, and what cannot be', async () => {
  const { answer } = await call('VERSION', '1.1.0');
  const versions = answer?.['supportedVersions'] as readonly string[];
  assert.ok(versions.includes('0.2.0') && versions.includes('1.1.0'));
  for (const command of ['STATUS', 'GC']) assert.is((await call(command, '1.1.0')).exit, 0);
  assert.is((await call('ADD', '9.0.0')).answer?.['code'], 1);
  const broken = await runExecutable(environment('ADD'), '[', LOOPBACK);
  assert.is((JSON.parse(broken.stdout) as { code: number }).code, 6);
});

test.run();
