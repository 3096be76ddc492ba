/** DEL while no agent listens: the executable removes the link that only this sandbox can have, and no other. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { podLinkName } from '../../control/agent/links.js';
import { EXECUTABLE } from '../../control/cni/install.js';
import { podMacs } from '../../control/ipam/arithmetic.js';
import { loadNative, type Netns } from '../../native/index.js';
import { file, root, testIf } from '../support/requires.js';
import { type Run, runExecutable } from './executable.js';

const test = suite('DEL without an agent');
const needs = [root(), file(EXECUTABLE)];
const real = testIf(test, ...needs);
const directory = mkdtempSync(join(tmpdir(), 'pteropus-C-'));
const NAME = `pterC-${process.pid}-absent`;
const POD = `/run/netns/${NAME}`;
const [OTHER_POD, OTHER] = [`/run/netns/${NAME}-other`, `${NAME}-other`];
let sandbox: Netns;
let other: Netns;
let own: Netns;

test.before(() => {
  if (needs.some((need) => need !== null)) return;
  sandbox = loadNative().createNetns(NAME);
  other = loadNative().createNetns(OTHER);
  own = loadNative().openNetns('/proc/self/ns/net');
});
test.after(() => {
  for (const netns of [sandbox, other, own]) netns?.close();
  if (sandbox !== undefined) for (const name of [NAME, OTHER]) loadNative().deleteNetns(name);
  rmSync(directory, { recursive: true, force: true });
});

function del(containerId: string, netns: string, socket = join(directory, 'nobody.sock'), ifname = 'eth0') {
  const env = { CNI_COMMAND: 'DEL', CNI_CONTAINERID: containerId, CNI_IFNAME: ifname, CNI_PATH: directory };
  const conf = { cniVersion: '1.0.0', name: 'net', type: 'pteropus', socket, timeoutMs: 300 };
  return runExecutable({ ...env, ...(netns === '' ? {} : { CNI_NETNS: netns }) }, conf);
}

const names = (netns: Netns): readonly string[] => netns.links().map(({ name }) => name);
const newId = (): string => randomBytes(32).toString('hex');
const FINE: Run = { exit: 0, stdout: '' };

real('a pair goes by its name on the node, whatever the length of the sandbox’s name', async () => {
  // SHA-256 pads to blocks of 64 bytes: `/eth0` is in them too.
  for (const length of [1, 49, 50, 51, 58, 59, 64, 100, 114, 115, 200]) {
    const id = newId().repeat(4).slice(0, length);
    const near = podLinkName(id, 'eth0');
    own.createVeth({ name: near }, { name: 'eth0', netns: sandbox });
    assert.equal(await del(id, length % 2 === 0 ? POD : ''), FINE);
    assert.not.ok(names(own).includes(near), `${length} characters`);
    assert.not.ok(names(sandbox).includes('eth0'));
  }
});

real(
  'one whose other end is not on this node goes by its MAC in the sandbox, and so does a TAP',
  async () => {
    const id = newId();
    const { pod: mac } = podMacs(id, 'eth0');
    other.createVeth({ name: podLinkName(id, 'eth0') }, { name: 'eth0', mac, netns: sandbox });
    assert.equal(await del(id, POD), FINE);
    assert.not.ok(names(sandbox).includes('eth0'));
    sandbox.createTap('eth0', { multiQueue: false });
    sandbox.setLink('eth0', { mac });
    assert.equal(await del(id, POD), FINE);
    assert.not.ok(names(sandbox).includes('eth0'));
    // Of an ADD that was cut short.
    sandbox.createTap(podLinkName(id, 'eth0'), { multiQueue: true });
    assert.equal(await del(id, POD), FINE);
    assert.equal(names(sandbox), ['lo']);
  },
);

real('links of others stay', async () => {
  const [id, neighbor] = [newId(), newId()];
  // Another plugin's, of the same name; another pod's of ours; and what has our name without being a pair.
  other.createVeth({ name: 'theirs' }, { name: 'eth0', netns: sandbox });
  const kept = podLinkName(neighbor, 'eth0');
  own.createVeth({ name: kept }, { name: 'eth0', mac: podMacs(neighbor, 'eth0').pod, netns: other });
  const bridge = podLinkName(id, 'eth0');
  own.createBridge(bridge);
  try {
    for (const netns of [POD, OTHER_POD, '', '/proc/self/ns/net', `${POD}-never`, '/etc/hostname'])
      assert.equal(await del(id, netns), FINE);
    assert.equal(await del(neighbor, OTHER_POD, undefined, 'eth1'), FINE, 'another interface of it');
    assert.ok(names(sandbox).includes('eth0'));
    assert.ok(names(other).includes('eth0'));
    assert.ok(names(own).includes(kept) && names(own).includes(bridge));
  } finally {
    own.deleteLink(bridge);
    own.deleteLink(kept);
    other.deleteLink('theirs');
  }
});

real('where somebody listens, or might, an error stays an error and the link stays', async () => {
  const id = newId();
  const near = podLinkName(id, 'eth0');
  own.createVeth({ name: near }, { name: 'eth0', netns: sandbox });
  const mute: Server = createServer((socket) => socket.on('error', () => undefined));
  const path = join(directory, 'mute.sock');
  await new Promise<void>((resolve) => mute.listen(path, resolve));
  try {
    const silent = await del(id, POD, path);
    assert.is(silent.exit, 1);
    assert.match(silent.stdout, /"code":11,.*did not answer within 300 ms/);
    // No way to the socket says nothing of who is there.
    const file = join(directory, 'file');
    writeFileSync(file, '');
    assert.match((await del(id, POD, join(file, 'cni.sock'))).stdout, /"code":11,.*cannot be reached/);
    assert.ok(names(own).includes(near));
  } finally {
    mute.close();
  }
  // What an agent that was killed leaves.
  const dead = join(directory, 'dead.sock');
  writeFileSync(dead, '');
  assert.equal(await del(id, POD, dead), FINE);
  assert.not.ok(names(own).includes(near));
});

test.run();
