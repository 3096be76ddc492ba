/** k8s/clean-node.sh takes away what is ours, and nothing else. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { podLinkName } from '../control/agent/links.js';
import { program, root, testIf } from './support/requires.js';

const SCRIPT = fileURLToPath(new URL('../../../k8s/clean-node.sh', import.meta.url));
const LINK = podLinkName('a', 'eth0');

/** Inside of a namespace of its own: links of ours and of others, then the script. */
const SCENE = `
mount -t sysfs sysfs /sys
ip link add ptero0 type veth peer name ptero1
ip link add ${LINK} type veth peer name eth0
ip link add ptp-other type veth peer name pt-other
"$@" >&2
ls /sys/class/net
`;

testIf(
  test,
  root(),
  program('ip'),
  program('unshare'),
)('links, files and state go; those of others stay', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pteropus-clean-'));
  try {
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      ...{ CONF_DIR: join(folder, 'net.d'), BIN_DIR: join(folder, 'bin'), RUN_DIR: join(folder, 'run') },
      STATE_DIR: join(folder, 'lib'),
    };
    const put = (path: string): void => {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      writeFileSync(join(folder, path), '');
    };
    for (const path of [
      'net.d/10-pteropus.conflist',
      'net.d/20-other.conflist',
      'bin/pteropus',
      'bin/bridge',
    ])
      put(path);
    for (const path of [
      'run/cni.sock',
      'lib/pteropus/journal.json',
      'lib/pteropus-etcd/data',
      'lib/other/data',
    ])
      put(path);
    const clean = (...args: readonly string[]) =>
      spawnSync('unshare', ['--net', '--mount', 'sh', '-ec', SCENE, 'sh', SCRIPT, ...args], {
        env,
        encoding: 'utf8',
      });
    const first = clean();
    assert.is(first.status, 0, first.stderr);
    const links = first.stdout.trim().split('\n');
    assert.equal(links.includes('ptp-other') && links.includes('pt-other'), true);
    for (const gone of ['ptero0', 'ptero1', LINK, 'eth0']) assert.not.ok(links.includes(gone), gone);
    const left = (path: string): readonly string[] => readdirSync(join(folder, path)).sort();
    assert.equal(left('net.d'), ['20-other.conflist']);
    assert.equal(left('bin'), ['bridge']);
    assert.equal(left('lib'), ['other', 'pteropus-etcd']);
    assert.equal(left('.'), ['bin', 'lib', 'net.d']);
    assert.is(clean('--etcd').status, 0);
    assert.equal(left('lib'), ['other']);
    assert.is(clean('--all').status, 2);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
