import * as assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import { kernel, program, root, testIf } from '../test/support/requires.js';
import { loadNative, type Native, NativeError, type Netns } from './index.js';

const test = suite('netlink');
const it = testIf(test, root());
const itWithIp = testIf(test, root(), program('ip'), program('ethtool'));
const itWithTcx = testIf(test, root(), program('ip'), program('tc'), kernel(6, 6));

/** Names that carry the process, so that runs side by side do not meet. */
const name = (label: string): string => `pterN-${process.pid}-${label}`;

/** Runs `body` with fresh namespaces and removes them afterwards. */
function withNetns(labels: readonly string[], body: (native: Native, ...netns: Netns[]) => void): void {
  const native = loadNative();
  const made = labels.map((label) => native.createNetns(name(label)));
  try {
    body(native, ...made);
  } finally {
    for (const netns of made) netns.close();
    for (const label of labels) native.deleteNetns(name(label));
  }
}

function inNetns(label: string, ...argv: string[]): string {
  return execFileSync('ip', ['netns', 'exec', name(label), ...argv], { encoding: 'utf8' });
}

function failure(body: () => unknown): NativeError {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof NativeError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' });
}

it('makes, lists and removes namespaces, and stays in its own', () => {
  const before = readlinkSync('/proc/self/ns/net');
  withNetns(['a'], (native, a) => {
    assert.equal(a!.path, `/run/netns/${name('a')}`);
    assert.ok(native.listNetns().includes(name('a')));
    assert.deepEqual(
      a!.links().map((l) => [l.name, l.up]),
      [['lo', true]],
    );
    assert.equal(failure(() => native.createNetns(name('a'))).code, 'EEXIST');
    assert.equal(readlinkSync('/proc/self/ns/net'), before);
  });
  const native = loadNative();
  assert.ok(!native.listNetns().includes(name('a')));
  assert.ok(!existsSync(`/run/netns/${name('a')}`));
  native.deleteNetns(name('a'));
});

it('makes a veth over two namespaces in one request', () => {
  withNetns(['a', 'b'], (_native, a, b) => {
    a!.createVeth(
      { name: 'host0', mac: '02:fe:00:00:00:01', mtu: 9000 },
      { name: 'eth0', mac: '02:fe:00:00:00:02', mtu: 1450, queues: 3, netns: b! },
    );
    const host = a!.links().find((l) => l.name === 'host0')!;
    const pod = b!.links().find((l) => l.name === 'eth0')!;
    assert.deepEqual(
      [host.type, host.mac, host.mtu, host.up, host.peerIndex],
      ['veth', '02:fe:00:00:00:01', 9000, false, pod.index],
    );
    assert.deepEqual(
      [pod.type, pod.mac, pod.mtu, pod.up, pod.peerIndex],
      ['veth', '02:fe:00:00:00:02', 1450, false, host.index],
    );
    assert.deepEqual([host.rxQueues, pod.rxQueues], [1, 3]);
    b!.setLink('eth0', { up: true, newName: 'net1', mac: '02:fe:00:00:00:03', mtu: 1400 });
    const changed = b!.links().find((l) => l.name === 'net1')!;
    assert.deepEqual([changed.mac, changed.mtu, changed.up], ['02:fe:00:00:00:03', 1400, true]);
    a!.deleteLink('host0');
    assert.equal(b!.links().length, 1);
  });
});

it('puts links into a bridge and takes them out', () => {
  withNetns(['a'], (_native, a) => {
    a!.createBridge('br0', { mtu: 9000 });
    a!.createVeth({ name: 'v0' }, { name: 'v1' });
    const bridge = a!.links().find((l) => l.name === 'br0')!;
    assert.equal(bridge.type, 'bridge');
    a!.setLink('v0', { master: 'br0' });
    assert.equal(a!.links().find((l) => l.name === 'v0')!.master, bridge.index);
    a!.setLink('v0', { master: null });
    assert.equal(a!.links().find((l) => l.name === 'v0')!.master, 0);
  });
});

itWithIp('adds and removes addresses, routes and neighbors', () => {
  withNetns(['a'], (_native, a) => {
    a!.createVeth({ name: 'v0' }, { name: 'v1' });
    a!.setLink('v0', { up: true });
    a!.setLink('v1', { up: true });
    a!.addAddress('v0', '10.1.1.5/32');
    a!.addAddress('v0', '10.1.1.5/32');
    a!.addAddress('v0', 'fd00::5/64');
    const ours = (): string[] => a!.addresses('v0').filter((x) => !x.startsWith('fe80'));
    assert.deepEqual(ours(), ['10.1.1.5/32', 'fd00::5/64']);
    a!.addRoute({ destination: '10.1.1.1/32', link: 'v0', scope: 'link' });
    a!.addRoute({ destination: 'default', link: 'v0', gateway: '10.1.1.1', source: '10.1.1.5', mtu: 1400 });
    a!.addRoute({ destination: 'default', link: 'v0', gateway: '10.1.1.1', mtu: 1300 });
    a!.addRoute({ destination: 'default', link: 'v0', gateway: 'fd00::1' });
    a!.addNeighbor('v0', '10.1.1.1', '02:fe:00:00:00:09');
    const routes = inNetns('a', 'ip', 'route');
    assert.match(routes, /^default via 10\.1\.1\.1 dev v0 proto static mtu 1300/m);
    assert.match(routes, /^10\.1\.1\.1 dev v0 proto static scope link/m);
    assert.match(inNetns('a', 'ip', '-6', 'route'), /^default via fd00::1 dev v0/m);
    assert.match(inNetns('a', 'ip', 'neigh'), /^10\.1\.1\.1 dev v0 lladdr 02:fe:00:00:00:09 PERMANENT/m);
    a!.removeRoute({ destination: 'default', link: 'v0', gateway: '10.1.1.1' });
    assert.doesNotMatch(inNetns('a', 'ip', 'route'), /default/);
    a!.removeAddress('v0', '10.1.1.5/32');
    assert.deepEqual(ours(), ['fd00::5/64']);
  });
});

itWithIp('sets offloads and sysctls inside the namespace', () => {
  const outside = readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8');
  withNetns(['a'], (_native, a) => {
    a!.createVeth({ name: 'v0' }, { name: 'v1' });
    a!.setOffloads('v0', { txChecksum: false, tso: false, gro: true });
    const features = inNetns('a', 'ethtool', '-k', 'v0').split('\n');
    const state = (feature: string): string | undefined =>
      features.find((line) => line.trim().startsWith(`${feature}:`))?.split(' ')[1];
    assert.equal(state('tx-checksumming'), 'off');
    assert.equal(state('tx-tcp-segmentation'), 'off');
    assert.equal(state('generic-receive-offload'), 'on');
    assert.equal(state('rx-vlan-offload'), 'on');
    a!.setOffloads('v0', { rxVlan: false });
    const vlan = inNetns('a', 'ethtool', '-k', 'v0').match(/^\w+-vlan-offload: \w+/gm);
    assert.deepEqual(vlan, ['rx-vlan-offload: off', 'tx-vlan-offload: on']);
    a!.setOffloads('lo', { gro: true, rxVlan: false });
    a!.setSysctl('net/ipv4/ip_forward', outside.startsWith('1') ? '0' : '1');
    assert.notEqual(inNetns('a', 'cat', '/proc/sys/net/ipv4/ip_forward'), outside);
  });
  assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'), outside);
});

it('says which call failed, with errno and object', () => {
  withNetns(['a'], (native, a) => {
    const absent = failure(() => a!.deleteLink('nothing'));
    assert.deepEqual([absent.code, absent.object, absent.retryable], ['ENODEV', 'nothing', false]);
    a!.createVeth({ name: 'v0' }, { name: 'v1' });
    const taken = failure(() => a!.createVeth({ name: 'v0' }, { name: 'v2' }));
    assert.deepEqual([taken.code, taken.syscall, taken.errno], ['EEXIST', 'RTM_NEWLINK', 17]);
    assert.match(taken.object ?? '', /^v0 in \/run\/netns\//);
    assert.equal(failure(() => a!.addRoute({ destination: '10.0.0.0/33', link: 'v0' })).code, 'EINVAL');
    assert.match(
      failure(() => a!.addRoute({ destination: '10.0.0.0/8', link: 'v0', gateway: '9.9.9.9' })).message,
      /RTM_NEWROUTE: E/,
    );
    assert.equal(failure(() => a!.setLink('v0', { mac: '02:zz' })).code, 'EINVAL');
    assert.equal(failure(() => a!.createBridge('a-name-that-is-too-long')).code, 'EINVAL');
    assert.equal(failure(() => native.openNetns('/nowhere')).code, 'ENOENT');
    assert.equal(failure(() => native.createNetns('../escape')).code, 'EINVAL');
    assert.equal(failure(() => a!.setSysctl('net/../kernel/hostname', 'x')).code, 'EINVAL');
    a!.close();
    assert.equal(failure(() => a!.links()).code, 'EBADF');
    assert.equal(failure(() => a!.setSysctl('net/ipv4/ip_forward', '1')).code, 'EBADF');
    assert.throws(() => a!.createVeth({} as { name: string }, { name: 'v9' }), TypeError);
  });
});

itWithIp('the kernel answers nothing on a link it is made deaf on', () => {
  withNetns(['a', 'b'], (_native, a, b) => {
    a!.createVeth({ name: 'near' }, { name: 'far', netns: b! });
    for (const [netns, link, address] of [
      [a!, 'near', '10.9.0.1/24'],
      [b!, 'far', '10.9.0.2/24'],
    ] as const) {
      netns.addAddress(link, address);
      netns.setLink(link, { up: true });
    }
    const ping = (): string =>
      inNetns('b', 'sh', '-c', 'ping -c 1 -W 1 10.9.0.1 | grep -c ttl= || true').trim();
    assert.equal(ping(), '1');
    a!.deafen('near');
    assert.equal(ping(), '0');
    // More often than a link has room for programs.
    for (let n = 0; n < 70; n++) a!.deafen('near');
    assert.equal(ping(), '0');
    assert.equal(failure(() => a!.deafen('nowhere')).code, 'ENODEV');
  });
});

itWithTcx('a link made deaf leaves the ingress qdisc to who wants it for himself', () => {
  withNetns(['a', 'b'], (_native, a, b) => {
    a!.createVeth({ name: 'near' }, { name: 'far', netns: b! });
    a!.deafen('near');
    inNetns('a', 'tc', 'qdisc', 'add', 'dev', 'near', 'ingress');
    a!.deafen('near');
  });
});

itWithIp('makes TAPs with several queues for who asks for them', () => {
  withNetns(['a'], (_native, a) => {
    a!.createTap('one');
    a!.createTap('many', { multiQueue: true });
    const IFF_MULTI_QUEUE = 0x100;
    const flags = (link: string): number => Number(inNetns('a', 'cat', `/sys/class/net/${link}/tun_flags`));
    assert.deepEqual(
      ['one', 'many'].map((link) => (flags(link) & IFF_MULTI_QUEUE) !== 0),
      [false, true],
    );
  });
});

it('loads in a Worker beside the main thread', async () => {
  const url = new URL('./index.js', import.meta.url).href;
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     import(${JSON.stringify(url)}).then(({ loadNative }) => {
       const netns = loadNative().currentNetns();
       parentPort.postMessage(netns.links().some((l) => l.name === 'lo'));
       netns.close();
     });`,
    { eval: true },
  );
  const seen = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  await worker.terminate();
  assert.equal(seen, true);
  const here = loadNative().currentNetns();
  assert.ok(here.links().length > 0);
  here.close();
});

test.run();
