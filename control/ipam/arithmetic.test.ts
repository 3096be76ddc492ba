import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cidrContains, parseCidr, toCidr } from '../common/ip.js';
import { type ClusterConfig, DEFAULT_CONFIG, DEFAULT_IPV6 } from '../compiler/input.js';
import { fnv1a32, largestNodeId, NodeIdRangeError, nodeAddresses, planNode, podMacs } from './arithmetic.js';

const with_ = (change: Partial<ClusterConfig>): ClusterConfig => ({ ...DEFAULT_CONFIG, ...change });

test('node 1 of the default configuration', () => {
  assert.equal(planNode(DEFAULT_CONFIG, 1), {
    id: 1,
    podSubnet: '10.1.1.0/24',
    gateway: '10.1.1.1',
    natLoopback: '10.1.1.254',
    hostSubnet: '172.30.1.0/24',
    hostDataplaneAddress: '172.30.1.1',
    hostLinuxAddress: '172.30.1.2',
    bviAddress: '192.168.30.1',
    bviMac: '12:2b:00:00:00:01',
    hostMac: '34:3c:00:00:00:01',
    hostLinuxMac: '36:3c:00:00:00:01',
    nodeAddress: '192.168.16.1',
    ipv6: null,
  });
});

test('dual stack: the same arithmetic in both families, and the narrower one limits the ids', () => {
  const config = with_({ ipv6: DEFAULT_IPV6 });
  const plan = planNode(config, 3);
  assert.is(plan.gateway, '10.1.3.1');
  assert.equal(plan.ipv6, {
    podSubnet: 'fd00:10:1:3::/64',
    gateway: 'fd00:10:1:3::1',
    natLoopback: 'fd00:10:1:3:7fff:ffff:ffff:fffe',
    hostSubnet: 'fd00:172:30:3::/64',
    hostDataplaneAddress: 'fd00:172:30:3::1',
    hostLinuxAddress: 'fd00:172:30:3::2',
    bviAddress: 'fd00:192:168:30::3',
    nodeAddress: 'fd00:192:168:16::3',
  });
  assert.equal(nodeAddresses(plan), ['192.168.16.3', 'fd00:192:168:16::3']);
  const narrow = with_({ ipv6: { ...DEFAULT_IPV6, podSubnetCIDR: 'fd00:10:1::/60' } });
  assert.is(largestNodeId(narrow), 16);
  assert.throws(
    () => planNode(narrow, 17),
    (e: Error) => e instanceof NodeIdRangeError,
  );
});

test('the last node takes the zero subnet, one more is refused (PodSubnetThisNodeSubnets)', () => {
  const config = with_({ podSubnetCIDR: '10.1.0.0/20', podSubnetOneNodePrefixLen: 24 });
  assert.is(planNode(config, 15).podSubnet, '10.1.15.0/24');
  assert.is(planNode(config, 16).podSubnet, '10.1.0.0/24');
  assert.throws(
    () => planNode(config, 17),
    (e: Error) => e instanceof NodeIdRangeError && /16 nodes/.test(e.message),
  );
});

test('gateway exclusion: nodes from its number on move by one', () => {
  const config = with_({ defaultGateway: '192.168.16.1' });
  assert.is(planNode(config, 1).nodeAddress, '192.168.16.2');
  assert.is(planNode(config, 2).nodeAddress, '192.168.16.3');
  assert.is(planNode(with_({ defaultGateway: '192.168.16.2' }), 1).nodeAddress, '192.168.16.1');
  assert.is(planNode(with_({ defaultGateway: '192.168.16.2' }), 2).nodeAddress, '192.168.16.3');
});

test('a gateway outside the range moves nobody', () => {
  for (const defaultGateway of ['10.0.0.1', '192.168.15.9', '200.0.0.1', 'fe80::1', null]) {
    assert.is(planNode(with_({ defaultGateway }), 1).nodeAddress, '192.168.16.1');
  }
});

test('node and BVI addresses are never the network, the broadcast or the gateway, and all differ', () => {
  for (const defaultGateway of [null, '192.168.16.1', '192.168.16.7', '192.168.16.14', '192.168.16.15']) {
    const config = with_({
      nodeInterconnectCIDR: '192.168.16.0/28',
      vxlanCIDR: '192.168.30.0/28',
      defaultGateway,
    });
    const last = largestNodeId(config);
    assert.is(last, defaultGateway === null || defaultGateway.endsWith('.15') ? 14 : 13);
    const seen = new Set<string | null>([defaultGateway, '192.168.16.0', '192.168.16.15']);
    for (let id = 1; id <= last; id++) {
      const { nodeAddress, bviAddress } = planNode(config, id);
      if (nodeAddress !== defaultGateway) assert.not(seen.has(nodeAddress), String(nodeAddress));
      else assert.unreachable('the gateway was given to a node');
      seen.add(nodeAddress);
      assert.is.not(bviAddress, '192.168.30.15');
    }
    assert.throws(
      () => planNode(config, last + 1),
      (e: Error) => e instanceof NodeIdRangeError,
    );
  }
});

test('every node of the configuration owns its pods, and subnets do not overlap', () => {
  const config = with_({ podSubnetCIDR: '10.4.0.0/22', podSubnetOneNodePrefixLen: 26 });
  const subnets = Array.from({ length: largestNodeId(config) }, (_, i) => planNode(config, i + 1));
  assert.is(subnets.length, 16);
  for (const plan of subnets) {
    for (const other of subnets) {
      if (other !== plan) assert.not(cidrContains(parseCidr(plan.podSubnet), toCidr(other.gateway)));
    }
  }
});

test('no interconnect range: no node address', () => {
  assert.is(planNode(with_({ nodeInterconnectCIDR: null }), 1).nodeAddress, null);
});

test('IPv6 ranges; wide pools count as 63 bits', () => {
  const config = with_({
    podSubnetCIDR: 'fe10::/56',
    podSubnetOneNodePrefixLen: 64,
    hostSubnetCIDR: 'fe10:1::/112',
    hostSubnetOneNodePrefixLen: 120,
    vxlanCIDR: 'fe10:2::/119',
    nodeInterconnectCIDR: 'fe10:3::/119',
    defaultGateway: null,
  });
  const plan = planNode(config, 3);
  assert.is(plan.podSubnet, 'fe10:0:0:3::/64');
  assert.is(plan.gateway, 'fe10:0:0:3::1');
  assert.is(plan.natLoopback, 'fe10::3:7fff:ffff:ffff:fffe');
  assert.is(plan.nodeAddress, 'fe10:3::3');
});

test('ids that are no ids', () => {
  for (const id of [0, -1, 1.5, Number.NaN, 2 ** 32]) {
    assert.throws(
      () => planNode(DEFAULT_CONFIG, id),
      (e: Error) => e instanceof NodeIdRangeError,
    );
  }
});

test('FNV-1a test vectors, and MACs of both ends', () => {
  assert.is(fnv1a32(''), 0x811c9dc5);
  assert.is(fnv1a32('a'), 0xe40c292c);
  assert.is(fnv1a32('foobar'), 0xbf9cf968);
  const macs = podMacs('c1', 'eth0');
  assert.match(macs.pod, /^02:fe(:[0-9a-f]{2}){4}$/);
  const tail = (mac: string): number => Number.parseInt(mac.slice(6).replaceAll(':', ''), 16);
  assert.is(tail(macs.pod), ~tail(macs.dataplane) >>> 0);
  assert.equal(podMacs('c1', 'eth0'), macs);
  assert.is.not(podMacs('c2', 'eth0').pod, macs.pod);
});

test.run();
