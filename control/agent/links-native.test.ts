import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative, type Native, type Netns } from '../../native/index.js';
import { file, program, root, testIf } from '../../test/support/requires.js';
import { DEFAULT_CONFIG, DEFAULT_IPV6 } from '../compiler/input.js';
import { nodeAddresses, planNode, podMacs } from '../ipam/arithmetic.js';
import { LinkExistsError, SandboxError } from './errors.js';
import { HOST_LINK, HOST_PORT, type VppLinks } from './host-links.js';
import { type LinkDriver, type PodLinkSpec, podLinkName } from './links.js';
import { openNativeLinks } from './links-native.js';

const NODE = `pteropusA${process.pid}n`;
const POD = `pteropusA${process.pid}p`;
const path = (name: string): string => `/run/netns/${name}`;
const plan = planNode(DEFAULT_CONFIG, 3);
const ADDON = 'build/native/pteropus.node';

const rooted = testIf(test, root(), file(ADDON));
const withEthtool = testIf(test, root(), file(ADDON), program('ethtool'));

/** Asks before a link is made deaf; false: it is not. */
function asking(may: (link: string) => boolean): Native {
  const native = loadNative();
  return {
    ...native,
    openNetns: (of) => {
      const netns = native.openNetns(of);
      const deafen = netns.deafen.bind(netns);
      return Object.defineProperty(netns, 'deafen', {
        value: (link: string): void => {
          if (may(link)) deafen(link);
        },
      });
    },
  };
}

async function inNamespaces(
  body: (links: LinkDriver, node: Netns, pod: Netns, native: Native) => Promise<void>,
  vpp?: VppLinks,
  native: Native = loadNative(),
): Promise<void> {
  const node = native.createNetns(NODE);
  const pod = native.createNetns(POD);
  node.createVeth({ name: 'uplink' }, { name: 'far' });
  const options = { netns: path(NODE), uplink: 'uplink' };
  const links = openNativeLinks(native, vpp === undefined ? options : { ...options, vpp });
  try {
    await body(links, node, pod, native);
  } finally {
    await links.close();
    node.close();
    pod.close();
    native.deleteNetns(NODE);
    native.deleteNetns(POD);
  }
}

const ip = (netns: string, ...args: string[]): string =>
  spawnSync('ip', ['-n', netns, ...args], { encoding: 'utf8' }).stdout;

function spec(containerId: string, address: string): PodLinkSpec {
  const macs = podMacs(containerId, 'eth0');
  return {
    netns: path(POD),
    ifname: 'eth0',
    link: podLinkName(containerId, 'eth0'),
    mac: macs.dataplane,
    podMac: macs.pod,
    addresses: [address],
    gateways: [plan.gateway],
    mtu: 1450,
  };
}

test('link names fit and differ however alike the container ids are', () => {
  const names = new Set(Array.from({ length: 2000 }, (_, i) => podLinkName(`${'a'.repeat(60)}${i}`, 'eth0')));
  assert.is(names.size, 2000);
  for (const name of names) assert.is(name.length, 15);
});

withEthtool(
  'of the host’s settings only those of its own links are touched; the uplink shows VLAN tags',
  async () => {
    await inNamespaces(async (links, node) => {
      node.setSysctl('net/ipv4/conf/all/rp_filter', '1');
      await links.setupNode({
        node: 'n3',
        plan,
        config: DEFAULT_CONFIG,
        addresses: [plan.nodeAddress ?? ''],
      });
      const read = (...argv: string[]): string =>
        spawnSync('ip', ['netns', 'exec', NODE, ...argv], { encoding: 'utf8' }).stdout;
      const filters = ['all', 'uplink', HOST_LINK].map((link) =>
        read('cat', `/proc/sys/net/ipv4/conf/${link}/rp_filter`).trim(),
      );
      assert.equal(filters, ['1', '2', '2'], 'what is in force is the larger one');
      assert.match(read('ethtool', '-k', 'uplink'), /^rx-vlan-offload: off/m);
    });
  },
);

rooted(
  'a node that gets more workers than its links have queues for makes the pair to the host anew',
  async () => {
    await inNamespaces(async (links, node, _pod, native) => {
      const nodeSpec = { node: 'n3', plan, config: DEFAULT_CONFIG, addresses: [plan.nodeAddress ?? ''] };
      const pair = (): readonly (number | undefined)[] => {
        const [host, port] = [HOST_LINK, HOST_PORT].map((link) =>
          node.links().find(({ name }) => name === link),
        );
        return [host?.rxQueues, port?.rxQueues, port?.index];
      };
      const made = await links.setupNode(nodeSpec);
      assert.equal(pair().slice(0, 2), [1, 1]);
      const several = openNativeLinks(native, { netns: path(NODE), uplink: 'uplink', workers: 2 });
      try {
        assert.equal(await several.setupNode(nodeSpec), made);
        const now = pair();
        assert.equal(now.slice(0, 2), [2, 2]);
        assert.equal(node.addresses(HOST_LINK).sort(), ['172.30.3.2/24', '192.168.16.3/32']);
        await links.setupNode(nodeSpec);
        assert.equal(pair(), now, 'fewer workers can do with it');
      } finally {
        await several.close();
      }
    });
  },
);

rooted(
  'a node that gets another id, or another address, keeps nothing of what is another node’s now',
  async () => {
    await inNamespaces(async (links, node) => {
      const now = planNode(DEFAULT_CONFIG, 5);
      const setUp = (of: typeof plan, addresses: readonly string[]) =>
        links.setupNode({ node: 'n3', plan: of, config: DEFAULT_CONFIG, addresses });
      await setUp(plan, nodeAddresses(plan));
      await setUp(now, nodeAddresses(now));
      assert.equal(node.addresses(HOST_LINK).sort(), ['172.30.5.2/24', '192.168.16.5/32']);
      await setUp(now, ['192.168.16.77']);
      assert.equal(node.addresses(HOST_LINK).sort(), ['172.30.5.2/24', '192.168.16.77/32']);
      const routes = ip(NODE, '-4', 'route');
      assert.not.match(routes, /172\.30\.3\.|192\.168\.16\.5/);
      assert.match(routes, /10\.1\.0\.0\/16 via 172\.30\.5\.1 .*src 192\.168\.16\.77/);
    });
  },
);

rooted('what is at the other end of a pod’s link is found in the namespaces there are', async () => {
  await inNamespaces(async (links) => {
    await links.setupNode({ node: 'n3', plan, config: DEFAULT_CONFIG, addresses: nodeAddresses(plan) });
    const made = spec('found', '10.1.3.9');
    await links.attachPod(made);
    const { link, netns, ifname, mac, podMac, addresses } = made;
    const found = await links.findPods([link, HOST_PORT, 'pt0123456789abc']);
    assert.equal(
      found
        .filter((one) => one.netns === netns)
        .map((one) => ({ ...one, addresses: one.addresses.filter((a) => !a.startsWith('fe80')) })),
      [{ link, netns, ifname, mac, podMac, addresses }],
    );
    assert.equal(await links.findPods([]), []);
  });
});

rooted('the node: uplink up, the host’s stack joined to the data plane; twice is as once', async () => {
  await inNamespaces(async (links, node) => {
    const nodeSpec = { node: 'n3', plan, config: DEFAULT_CONFIG, addresses: [plan.nodeAddress ?? ''] };
    const made = await links.setupNode(nodeSpec);
    const index = node.links().find(({ name }) => name === HOST_PORT)?.index;
    assert.equal(await links.setupNode(nodeSpec), made);
    assert.is(node.links().find(({ name }) => name === HOST_PORT)?.index, index, 'the pair was kept');
    assert.equal(made.host, { link: HOST_PORT, mac: '34:3c:00:00:00:03', peerMac: '36:3c:00:00:00:03' });
    assert.equal(node.addresses(HOST_LINK).sort(), ['172.30.3.2/24', '192.168.16.3/32']);
    assert.equal(node.addresses(HOST_PORT), []);
    assert.match(ip(NODE, 'route', 'get', '10.1.7.7'), /via 172\.30\.3\.1 dev ptero0 src 192\.168\.16\.3 /);
    assert.match(ip(NODE, 'route', 'get', '10.1.7.7'), /mtu 1450/);
    assert.match(ip(NODE, 'route', 'get', '10.96.0.1'), /via 172\.30\.3\.1 dev ptero0 src 192\.168\.16\.3 /);
    assert.match(ip(NODE, 'route', 'get', '8.8.8.8'), /via 172\.30\.3\.1 dev ptero0 src 192\.168\.16\.3 /);
    assert.match(ip(NODE, 'neigh'), /172\.30\.3\.1 dev ptero0 lladdr 34:3c:00:00:00:03 PERMANENT/);
  });
});

rooted('a default route that the host has by another link stays the one it takes', async () => {
  await inNamespaces(async (links, node) => {
    node.createVeth({ name: 'mgmt' }, { name: 'mgmt-peer' });
    for (const link of ['mgmt', 'mgmt-peer']) node.setLink(link, { up: true });
    node.addAddress('mgmt', '203.0.113.5/24');
    node.addRoute({ destination: 'default', link: 'mgmt', gateway: '203.0.113.1' });
    const nodeSpec = { node: 'n3', plan, config: DEFAULT_CONFIG, addresses: [plan.nodeAddress ?? ''] };
    await links.setupNode(nodeSpec);
    assert.match(ip(NODE, 'route', 'get', '8.8.8.8'), /via 203\.0\.113\.1 dev mgmt /);
    assert.match(ip(NODE, 'route', 'get', '10.1.7.7'), /dev ptero0 /);
    assert.match(
      ip(NODE, 'route', 'get', '192.168.16.4'),
      /via 172\.30\.3\.1 dev ptero0 src 192\.168\.16\.3 /,
    );
    node.removeRoute({ destination: 'default', link: 'mgmt', gateway: '203.0.113.1' });
    assert.match(ip(NODE, 'route', 'get', '8.8.8.8'), /via 172\.30\.3\.1 dev ptero0 /);
    // A second link in the underlay's network, on which the node may be known to Kubernetes.
    node.addAddress('mgmt', '192.168.16.103/24');
    await links.setupNode(nodeSpec);
    assert.match(ip(NODE, 'route', 'get', '192.168.16.4'), /dev mgmt /);
  });
});

rooted(
  'a dual-stack node and pod: the same in both families, no advertisements believed, no waiting',
  async () => {
    const config = { ...DEFAULT_CONFIG, ipv6: DEFAULT_IPV6 };
    const dual = planNode(config, 3);
    await inNamespaces(async (links, node, pod) => {
      for (const netns of [node, pod]) netns.setSysctl('net/ipv6/conf/all/disable_ipv6', '1');
      const nodeSpec = { node: 'n3', plan: dual, config, addresses: nodeAddresses(dual) };
      await links.setupNode(nodeSpec);
      await links.setupNode(nodeSpec);
      const global = node.addresses(HOST_LINK).filter((address) => !address.startsWith('fe80'));
      assert.equal(global.sort(), [
        '172.30.3.2/24',
        '192.168.16.3/32',
        'fd00:172:30:3::2/64',
        'fd00:192:168:16::3/128',
      ]);
      const way = /via fd00:172:30:3::1 dev ptero0 .*src fd00:192:168:16::3 /;
      for (const target of ['fd00:10:1:7::7', 'fd00:10:96::1', '2001:db8::1']) {
        assert.match(ip(NODE, '-6', 'route', 'get', target), way);
      }
      assert.match(ip(NODE, '-6', 'route', 'get', 'fd00:10:1:7::7'), /mtu 1450/);
      assert.match(ip(NODE, '-6', 'neigh'), /fd00:172:30:3::1 dev ptero0 lladdr 34:3c:00:00:00:03 PERMANENT/);
      assert.equal(node.addresses(HOST_PORT), []);
      const wanted = {
        ...spec('c6', '10.1.3.2'),
        addresses: ['10.1.3.2', 'fd00:10:1:3::2'],
        gateways: [dual.gateway, dual.ipv6?.gateway ?? ''],
      };
      await links.attachPod(wanted);
      assert.equal(await links.checkPod(wanted), []);
      assert.ok(pod.addresses('eth0').includes('fd00:10:1:3::2/128'));
      assert.not.match(ip(POD, '-6', 'address'), /tentative.*\n.*fd00/);
      assert.match(ip(POD, '-6', 'route'), /default via fd00:10:1:3::1 dev eth0/);
      assert.match(ip(POD, '-6', 'neigh'), /fd00:10:1:3::1 dev eth0 lladdr 02:fe:/);
      const accept = spawnSync('ip', ['netns', 'exec', POD, 'cat', '/proc/sys/net/ipv6/conf/eth0/accept_ra']);
      assert.is(accept.stdout.toString().trim(), '0');
      await links.detachPod(wanted.link);
    });
  },
);

rooted('a pod: address alone, gateway behind the link, checked, detached twice', async () => {
  await inNamespaces(async (links, node, pod) => {
    const wanted = spec('c1', '10.1.3.2');
    await links.attachPod(wanted);
    assert.equal(await links.podLinks(), [wanted.link]);
    assert.equal(await links.checkPod(wanted), []);
    assert.equal(
      pod.addresses('eth0').filter((a) => !a.includes(':')),
      ['10.1.3.2/32'],
    );
    const routes = ip(POD, 'route');
    assert.match(routes, /default via 10\.1\.3\.1 dev eth0/);
    assert.match(routes, /10\.1\.3\.1 dev eth0 .*scope link/);
    assert.match(ip(POD, 'neigh'), new RegExp(`10\\.1\\.3\\.1 dev eth0 lladdr ${wanted.mac} PERMANENT`));
    assert.is(node.links().find(({ name }) => name === wanted.link)?.mac, wanted.mac);
    const offloads = spawnSync('ip', ['netns', 'exec', POD, 'ethtool', '-k', 'eth0'], {
      encoding: 'utf8',
    }).stdout;
    if (offloads !== '') assert.match(offloads, /tx-checksumming: off/);
    assert.not(await links.renewPod(wanted));
    assert.ok(await links.renewPod({ ...wanted, mtu: 1350 }));
    assert.is(pod.links().find(({ name }) => name === 'eth0')?.mtu, 1350);
    assert.is(node.links().find(({ name }) => name === wanted.link)?.mtu, 1350);
    assert.equal(await links.checkPod({ ...wanted, mtu: 1350 }), []);
    pod.removeAddress('eth0', '10.1.3.2/32');
    assert.match((await links.checkPod(wanted)).join(), /lost its address 10\.1\.3\.2/);
    await links.detachPod(wanted.link);
    await links.detachPod(wanted.link);
    assert.equal(await links.podLinks(), []);
    assert.match((await links.checkPod(wanted)).join(), /is gone/);
  });
});

rooted('an interface of that name is refused, and nothing stays', async () => {
  await inNamespaces(async (links) => {
    await links.attachPod(spec('c1', '10.1.3.2'));
    await links.attachPod(spec('c2', '10.1.3.3')).then(
      () => assert.unreachable(),
      (error: Error) => assert.instance(error, LinkExistsError),
    );
    assert.equal(await links.podLinks(), [spec('c1', '').link]);
  });
});

rooted('a configuration that fails leaves no link', async () => {
  await inNamespaces(async (links, _node, pod) => {
    await links
      .attachPod({ ...spec('c1', '10.1.3.2'), gateways: ['fe80::1'], addresses: ['10.1.3.2'], mac: 'no mac' })
      .then(
        () => assert.unreachable(),
        () => undefined,
      );
    assert.equal(await links.podLinks(), []);
    assert.not(pod.links().some(({ name }) => name === 'eth0'));
  });
});

rooted('the node’s own namespace and one that is not there are refused', async () => {
  await inNamespaces(async (links) => {
    for (const netns of [path(NODE), '/run/netns/pteropusA-none']) {
      await links.attachPod({ ...spec('c1', '10.1.3.2'), netns }).then(
        () => assert.unreachable(),
        (error: Error) => assert.instance(error, SandboxError),
      );
    }
  });
});

testIf(
  test,
  root(),
  file(ADDON),
  program('ping'),
)('while no data plane takes what a pod sends, the node’s own stack does not either', async () => {
  let earlier = true;
  await inNamespaces(
    async (links, node) => {
      const wanted = spec('c1', '10.1.3.2');
      const host = '10.1.3.254';
      const ping = ['netns', 'exec', POD, 'ping', '-c', '1', '-W', '1', host];
      // As a release made it that left links as they are.
      await links.attachPod(wanted);
      node.addAddress(wanted.link, `${host}/32`);
      node.addRoute({ destination: '10.1.3.2/32', link: wanted.link, scope: 'link' });
      assert.is(spawnSync('ip', ping).status, 0, 'the way is there');
      earlier = false;
      assert.not(await links.renewPod(wanted));
      assert.is(spawnSync('ip', ping).status, 1);
      await links.detachPod(wanted.link);
      await links.attachPod(wanted);
      node.addRoute({ destination: '10.1.3.2/32', link: wanted.link, scope: 'link' });
      assert.is(spawnSync('ip', ping).status, 1);
    },
    undefined,
    asking(() => !earlier),
  );
});

rooted('a TAP in the sandbox: made, checked, found again, removed', async () => {
  await inNamespaces(async (links, node, pod) => {
    const wanted = { ...spec('tapped', '10.1.3.9'), feed: 'tap' } as const;
    const tap = { netns: wanted.netns, ifname: wanted.ifname };
    await links.attachPod(wanted);
    assert.equal(await links.checkPod(wanted), []);
    assert.not(
      node.links().some(({ name }) => name === wanted.link),
      'nothing on the node',
    );
    assert.equal(await links.podLinks([wanted]), [wanted.link]);
    assert.equal(await links.podLinks(), []);
    await links.attachPod(wanted).then(
      () => assert.unreachable(),
      (error: unknown) => assert.instance(error, LinkExistsError),
    );
    assert.match(ip(POD, 'route'), new RegExp(`default via ${wanted.gateways[0]}`));
    pod.setLink('eth0', { mtu: 1400 });
    assert.equal(await links.checkPod(wanted), ['eth0 has MTU 1400, not 1450']);
    assert.ok(await links.renewPod(wanted));
    assert.equal(await links.checkPod(wanted), []);
    await links.detachPod(wanted.link, tap);
    assert.equal(await links.podLinks([wanted]), []);
    assert.equal(await links.checkPod(wanted), ['eth0 is gone from the sandbox']);
    // Twice, and in a sandbox that is gone.
    await links.detachPod(wanted.link, tap);
    await links.detachPod(wanted.link, { ...tap, netns: '/run/netns/no-such-one' });
  });
});

const nodeSpecOf = () => ({ node: 'n3', plan, config: DEFAULT_CONFIG, addresses: [plan.nodeAddress ?? ''] });

rooted('on VPP the kernel is deaf on all links but the host’s own', async () => {
  const deaf = new Set<string>();
  await inNamespaces(
    async (links) => {
      const made = await links.setupNode(nodeSpecOf());
      assert.is(made.host?.link, HOST_PORT);
      const pod = spec('c1', '10.1.3.7');
      await links.attachPod(pod);
      assert.equal([...deaf].sort(), [HOST_PORT, pod.link, 'uplink'].sort());
    },
    { uplinkMac: null, hostTap: false },
    asking((link) => deaf.add(link).has(link)),
  );
});

rooted('on VPP a NIC without a Linux link has the MAC VPP tells; the host may have a TAP', async () => {
  const mac = '02:00:00:00:00:09';
  await inNamespaces(
    async (links, node) => {
      const made = await links.setupNode(nodeSpecOf());
      assert.equal(made.uplink, { link: 'uplink', mac });
      assert.equal(made.host?.link, HOST_LINK);
      const index = node.links().find(({ name }) => name === HOST_LINK)?.index;
      assert.equal(await links.setupNode(nodeSpecOf()), made);
      const there = node.links().find(({ name }) => name === HOST_LINK);
      assert.equal([there?.index, there?.type, there?.mac], [index, 'tun', made.host?.peerMac]);
      assert.is(
        node.links().find(({ name }) => name === HOST_PORT),
        undefined,
      );
      assert.is(node.links().find(({ name }) => name === 'uplink')?.up, false, 'not ours to touch');
      const pod = { ...spec('c2', '10.1.3.8'), feed: 'tap' as const };
      await links.attachPod(pod);
      assert.equal(await links.checkPod(pod), []);
    },
    { uplinkMac: async () => mac, hostTap: true },
  );
});

test.run();
