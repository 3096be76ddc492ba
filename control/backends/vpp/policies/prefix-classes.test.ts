/** Which sets an address is in, by prefixes, against asking each set; and prefixes that hold exactly some addresses. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cidrContains, formatIp, parseCidr, parseIp } from '../../../common/ip.js';
import { Random } from '../../../oracle/random.js';
import { setContains } from '../../../ruleset/evaluate.js';
import type { AddressSetItem } from '../../../ruleset/types.js';
import { aggregateIp4 } from './aggregate.js';
import { type PrefixClass, prefixClasses } from './prefix-classes.js';
import { ADDRESSES, randomSet } from './random-policies.js';

/** The class of the longest prefix that covers an address. */
function longest(classes: readonly PrefixClass[], address: string): PrefixClass {
  const around = classes.filter(({ cidr }) => cidrContains(parseCidr(cidr), parseIp(address)));
  // Addresses that stand for a whole block are asked before it.
  return around.reduce((best, next) => (next.length > best.length ? next : best));
}

test('an address is in the sets of the longest prefix around it', () => {
  const random = new Random(5);
  let inside = 0;
  for (let i = 0; i < 400; i++) {
    const sets = random.times(1 + random.below(4), (k) => randomSet(random, k));
    for (const family of [4, 6] as const) {
      const { blocks, hosts } = prefixClasses(family, sets);
      for (const address of ADDRESSES.filter((each) => each.includes(':') === (family === 6))) {
        const found = longest([...hosts, ...blocks], address);
        const truth = sets.flatMap((set, k) => (setContains(set, address) ? [k] : []));
        assert.equal([...found.sets], truth, JSON.stringify({ i, address, sets }));
        assert.is(found.id, truth.join());
        inside += truth.length;
      }
      for (const { length, parent } of [...hosts, ...blocks])
        assert.ok(parent === null || parent.length <= length);
    }
  }
  assert.ok(inside > 1000);
});

test('exceptions: of the block, of nothing, of more than the block, at its very edges', () => {
  const set = (cidr: string, ...except: string[]): AddressSetItem => ({
    ...{ kind: 'addressset', key: 'addressset/x', addresses: [], blocks: [{ cidr, except }] },
  });
  const holds = (item: AddressSetItem, address: string): boolean => {
    const { blocks, hosts } = prefixClasses(4, [item]);
    return longest([...hosts, ...blocks], address).sets.has(0);
  };
  assert.ok(holds(set('10.0.0.0/8'), '10.255.255.255'));
  assert.not(holds(set('10.0.0.0/8', '10.0.0.0/8'), '10.1.1.1'));
  assert.not(holds(set('10.1.0.0/16', '10.0.0.0/8'), '10.1.1.1'));
  assert.ok(holds(set('10.1.0.0/16', '10.2.0.0/16'), '10.1.1.1'));
  const edged = set('10.1.0.0/16', '10.1.0.0/32', '10.1.255.255/32');
  assert.not(holds(edged, '10.1.0.0'));
  assert.not(holds(edged, '10.1.255.255'));
  assert.ok(holds(edged, '10.1.0.1'));
});

test('neighbours become one prefix, and nobody else with them', () => {
  assert.equal(
    aggregateIp4(['10.0.0.5', '10.0.0.4', '10.0.0.7', '10.0.0.6', '10.0.0.9']).map(({ cidr }) => cidr),
    ['10.0.0.4/30', '10.0.0.9/32'],
  );
  assert.equal(
    aggregateIp4(['0.0.0.1', '255.255.255.255', '0.0.0.0', '128.0.0.0', '255.255.255.254']).map(
      ({ cidr }) => cidr,
    ),
    ['0.0.0.0/31', '128.0.0.0/32', '255.255.255.254/31'],
  );
  const random = new Random(9);
  for (let i = 0; i < 200; i++) {
    const members = new Set(random.times(1 + random.below(80), () => BigInt(random.below(128))));
    const addresses = [...members].map((value) => formatIp({ family: 4, value: 0x0a000000n + value }));
    const prefixes = aggregateIp4(addresses).map(({ cidr }) => parseCidr(cidr));
    for (let value = 0n; value < 130n; value++) {
      const around = prefixes.filter((prefix) =>
        cidrContains(prefix, { family: 4, value: 0x0a000000n + value }),
      );
      assert.is(around.length, members.has(value) ? 1 : 0);
    }
  }
});

test.run();
