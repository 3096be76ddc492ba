/** Versions of address sets against plain arrays. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AddressVersion, changedSet } from './address-versions.js';
import { canonical, sameItem } from './canonical.js';
import type { AddressSetItem } from './types.js';

test('AddressVersion: one that is kept holds on to little more than its own addresses, whatever comes after it', () => {
  const plain = new Set(Array.from({ length: 1000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`));
  let version = AddressVersion.of([...plain].sort()).next({ added: ['10.9.9.9'], removed: [] });
  plain.add('10.9.9.9');
  let tidied = 0;
  const kept: { readonly version: AddressVersion; readonly wanted: readonly string[] }[] = [];
  for (let i = 0; i < 10_000; i++) {
    if (i % 999 === 0) kept.push({ version, wanted: [...plain].sort() });
    const address = `10.1.${(i % 600) >> 8}.${i & 255}`;
    const goes = plain.delete(address);
    if (!goes) plain.add(address);
    // There is not always time.
    if (i > 5000 && version.isLong) {
      assert.ok(version.toArray().length > 0);
      assert.not(version.isLong);
      tidied++;
    }
    version = version.next(goes ? { added: [], removed: [address] } : { added: [address], removed: [] });
  }
  assert.ok(tidied > 10);
  kept.push({ version, wanted: [...plain].sort() });
  for (const { version: one, wanted } of kept) {
    assert.ok(one.holds < wanted.length * 2.5, `${one.holds} held for ${wanted.length}`);
    assert.equal(one.toArray(), wanted);
    assert.is(one.holds, wanted.length);
  }
});

test('a set can be changed from any of its versions, and from a plain item, and none of them notices', () => {
  const plain: AddressSetItem = {
    kind: 'addressset',
    key: 'addressset/x',
    addresses: ['10.0.0.1', '10.0.0.3'],
    blocks: [{ cidr: '192.0.2.0/24', except: [] }],
  };
  const one = changedSet(plain, { added: ['10.0.0.2'], removed: [] });
  const two = changedSet(one, { added: ['10.0.0.0'], removed: ['10.0.0.3'] });
  const other = changedSet(one, { added: [], removed: ['10.0.0.1'] });
  const more = changedSet(two, { added: ['10.0.0.9'], removed: ['10.0.0.2'] });
  const read = [plain, one, two, other, more].map(({ addresses }) =>
    addresses.map((ip) => ip.slice(-1)).join(''),
  );
  assert.equal(read, ['13', '123', '012', '23', '019']);
  const wanted = { ...plain, addresses: ['10.0.0.0', '10.0.0.1', '10.0.0.9'] };
  assert.ok(sameItem(more, wanted));
  assert.is(canonical(more), canonical(wanted));
  assert.equal(JSON.parse(JSON.stringify(more)), wanted);
});

test.run();
