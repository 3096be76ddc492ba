import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../common/errors.js';
import { DEFAULT_CONFIG, DEFAULT_IPV6 } from '../compiler/input.js';
import { parseClusterConfig, splitContivCidr } from './config.js';

test('nothing given: the defaults, which are valid', () => {
  assert.equal(parseClusterConfig({}), DEFAULT_CONFIG);
});

test('contivCIDR is split as in Contiv/VPP', () => {
  assert.equal(splitContivCidr('10.128.0.0/14'), {
    podSubnetCIDR: '10.128.0.0/16',
    podSubnetOneNodePrefixLen: 25,
    hostSubnetCIDR: '10.129.0.0/16',
    hostSubnetOneNodePrefixLen: 25,
    nodeInterconnectCIDR: '10.130.0.0/23',
    vxlanCIDR: '10.130.2.0/23',
  });
  assert.is(splitContivCidr('10.128.0.0/12').vxlanCIDR, '10.130.2.0/23');
  const six = splitContivCidr('fe10::/64');
  assert.is(six.podSubnetCIDR, 'fe10::/112');
  assert.is(six.hostSubnetCIDR, 'fe10::1:0/112');
  assert.is(six.nodeInterconnectCIDR, 'fe10::2:0/119');
  assert.is(six.vxlanCIDR, 'fe10::2:200/119');
  for (const small of ['10.128.0.0/18', 'fe10::/120']) {
    assert.throws(
      () => splitContivCidr(small),
      (e: Error) => e instanceof InvalidInputError,
    );
  }
});

test('explicit nodeInterconnectCIDR overrides the split; null leaves it out', () => {
  const config = parseClusterConfig({ contivCIDR: '10.128.0.0/14', nodeInterconnectCIDR: '192.168.3.0/24' });
  assert.is(config.nodeInterconnectCIDR, '192.168.3.0/24');
  assert.is(config.podSubnetCIDR, '10.128.0.0/16');
  assert.is(config.defaultGateway, null);
  assert.is(
    parseClusterConfig({ contivCIDR: '10.128.0.0/14', nodeInterconnectCIDR: null }).nodeInterconnectCIDR,
    null,
  );
});

test('the default gateway goes with the default underlay only', () => {
  assert.is(parseClusterConfig({ nodeInterconnectCIDR: '192.168.3.0/24' }).defaultGateway, null);
});

test('ipv6 makes a cluster dual stack: defaults, a split range, null', () => {
  assert.equal(parseClusterConfig({ ipv6: {} }), { ...DEFAULT_CONFIG, ipv6: DEFAULT_IPV6 });
  assert.is(parseClusterConfig({ ipv6: null }).ipv6, null);
  const { ipv6 } = parseClusterConfig({ ipv6: { contivCIDR: 'fe10::/64', serviceCIDR: 'fd00:96::/112' } });
  assert.is(ipv6?.podSubnetCIDR, 'fe10::/112');
  assert.is(ipv6?.defaultGateway, null);
  assert.is(ipv6?.serviceCIDR, 'fd00:96::/112');
});

test('what is wrong in the second family is refused with its path', () => {
  const cases: [unknown, RegExp][] = [
    [{ ipv6: [] }, /ipv6: must be a mapping/],
    [{ ipv6: { vni: 1 } }, /ipv6\.vni: unknown field/],
    [{ ipv6: { podSubnetCIDR: '10.7.0.0/16' } }, /ipv6\.podSubnetOneNodePrefixLen: must lie/],
    [{ ipv6: { serviceCIDR: '10.200.0.0/16' } }, /ipv6\.serviceCIDR: must be IPv6/],
    [{ ipv6: { vxlanCIDR: 'fd00:10:1:7::/64' } }, /ipv6\.vxlanCIDR: overlaps ipv6\.podSubnetCIDR/],
    [{ ipv6: { contivCIDR: 'fe10::/64', vxlanCIDR: 'fe11::/64' } }, /ipv6\.vxlanCIDR: cannot be given/],
    [{ serviceCIDR: 'fd01::/112', ipv6: {} }, /serviceCIDR: must be IPv4/],
    [{ underlayMtu: 1300, ipv6: {} }, /underlayMtu: .*1330/],
  ];
  for (const [value, expected] of cases) {
    assert.throws(
      () => parseClusterConfig(value),
      (e: Error) => e instanceof InvalidInputError && expected.test(e.message),
      JSON.stringify(value),
    );
  }
});

test('what is wrong is refused, and the error names the field', () => {
  const cases: [unknown, RegExp][] = [
    [[], /mapping/],
    [{ podSubnet: 1 }, /podSubnet: unknown field/],
    [{ podSubnetCIDR: '10.1.0.0' }, /podSubnetCIDR: not a CIDR \(got "10.1.0.0"\)/],
    [{ podSubnetCIDR: '10.1.0.1/16' }, /podSubnetCIDR: .*10\.1\.0\.0\/16 was probably meant/],
    [{ podSubnetCIDR: 7 }, /podSubnetCIDR: must be text/],
    [{ podSubnetCIDR: '10.1.0.0/24' }, /podSubnetOneNodePrefixLen: must lie between \/25 and \/29/],
    [{ podSubnetOneNodePrefixLen: 30 }, /podSubnetOneNodePrefixLen/],
    [{ hostSubnetOneNodePrefixLen: 31 }, /hostSubnetOneNodePrefixLen/],
    [{ podSubnetOneNodePrefixLen: '24' }, /whole number/],
    [{ serviceCIDR: '10.1.128.0/17' }, /serviceCIDR: overlaps podSubnetCIDR 10\.1\.0\.0\/16/],
    [{ vxlanCIDR: '192.168.0.0/16' }, /nodeInterconnectCIDR: overlaps vxlanCIDR/],
    [{ contivCIDR: '10.128.0.0/14', vxlanCIDR: '10.0.0.0/24' }, /vxlanCIDR: cannot be given together/],
    [{ contivCIDR: '10.128.0.0/18' }, /contivCIDR: needs at least 18 host bits/],
    [{ defaultGateway: 'gw' }, /defaultGateway: not an IP address/],
    [{ vni: 2 ** 24 }, /vni/],
    [{ underlayMtu: 100 }, /underlayMtu/],
    [{ natExternalTraffic: 'yes' }, /true or false/],
    [{ nodePortAddresses: ['10.0.0.0/8', 'x'] }, /nodePortAddresses\[1\]/],
    [{ externalIPCIDRs: '203.0.113.0/24' }, /externalIPCIDRs: must be a list/],
    [{ serviceCIDR: 'fd00:10:96::/112' }, /serviceCIDR: must be IPv4; IPv6 beside it goes under ipv6/],
    [{ contivCIDR: 'fd00::/64' }, /podSubnetCIDR: must be IPv4/],
    [{ hostAddresses: ['169.254.20.10/32'] }, /hostAddresses\[0\]: not an IP address/],
    [
      { hostAddresses: ['169.254.20.10', '10.96.0.10'] },
      /hostAddresses\[1\]: lies inside serviceCIDR 10\.96/,
    ],
    [{ hostAddresses: ['fd00::a'] }, /hostAddresses\[0\]: is of a family the cluster does not have/],
  ];
  for (const [value, pattern] of cases) {
    assert.throws(
      () => parseClusterConfig(value, 'c.yaml'),
      (e: Error) =>
        e instanceof InvalidInputError && pattern.test(e.message) && e.message.startsWith('c.yaml: '),
      JSON.stringify(value),
    );
  }
});

test.run();
