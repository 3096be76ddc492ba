/** k8s/clean-node.sh takes away what is ours, and nothing else. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { podLinkName } from '../control/agent/links.js';
import { EXECUTABLE, installExecutable } from '../control/cni/install.js';
import { loadNative, type Netns } from '../native/index.js';
import { file, program, root, testIf } from './support/requires.js';

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
  file(EXECUTABLE),
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
    for (const path of ['net.d/10-pteropus.conflist', 'net.d/20-other.conflist', 'bin/bridge']) put(path);
    for (const path of [
      'run/cni.sock',
      'lib/pteropus/journal.json',
      'lib/pteropus-etcd/data',
      'lib/other/data',
    ])
      put(path);
    installExecutable(join(folder, 'bin'));
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

testIf(
  test,
  root(),
  program('ip'),
  program('tc'),
  program('ping'),
  file(EXECUTABLE),
)('the host hears again by its uplink', () => {
  const native = loadNative();
  const name = (label: string): string => `pterF-${process.pid}-${label}`;
  const folder = mkdtempSync(join(tmpdir(), 'pteropus-clean-'));
  const made: Netns[] = [];
  const inside = (label: string, ...argv: readonly string[]) =>
    spawnSync('ip', ['netns', 'exec', name(label), ...argv], {
      env: {
        ...process.env,
        CONF_DIR: folder,
        BIN_DIR: folder,
        STATE_DIR: folder,
        RUN_DIR: join(folder, 'run'),
      },
      encoding: 'utf8',
    });
  try {
    for (const label of ['node', 'peer']) made.push(native.createNetns(name(label)));
    const [node, peer] = made as [Netns, Netns];
    node.createVeth({ name: 'uplink' }, { name: 'far', netns: peer });
    node.addAddress('uplink', '10.9.0.1/24');
    peer.addAddress('far', '10.9.0.2/24');
    node.setLink('uplink', { up: true });
    peer.setLink('far', { up: true });
    node.deafen('uplink');
    const heard = (): boolean => inside('peer', 'ping', '-c', '1', '-W', '1', '10.9.0.1').status === 0;
    assert.not(heard());
    installExecutable(folder);
    const cleaned = inside('node', SCRIPT);
    assert.is(cleaned.status, 0, cleaned.stderr);
    assert.match(cleaned.stdout, /uplink/);
    assert.ok(heard());
    assert.equal(readdirSync(folder), []);
    assert.is(inside('node', SCRIPT).status, 0, 'once more is fine');
  } finally {
    for (const netns of made) netns.close();
    for (const label of ['node', 'peer']) native.deleteNetns(name(label));
    rmSync(folder, { recursive: true });
  }
});

test.run();
