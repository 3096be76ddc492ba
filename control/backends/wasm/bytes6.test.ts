import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../../common/errors.js';
import {
  containsPrefix,
  ip6Words,
  isPrefix6,
  mask6,
  parsePrefix,
  prefixName,
  readIp6,
  widen,
} from './bytes6.js';

test('an address is packet bytes read as little-endian words, and comes back as text', () => {
  const words = ip6Words('fd00:10:1:2::3');
  assert.equal(words, [0x100000fd, 0x02000100, 0, 0x03000000]);
  const view = new DataView(Uint32Array.from(words ?? []).buffer);
  assert.is(readIp6(view, 0), 'fd00:10:1:2::3');
  assert.is(ip6Words('10.1.1.2'), null);
});

test('prefixes of both families: host bits cleared, contained by family, widened', () => {
  const outer = parsePrefix('fd00:10::/32');
  const inner = parsePrefix('fd00:10:1::5/48');
  assert.ok(isPrefix6(inner));
  assert.is(prefixName(inner), prefixName(parsePrefix('fd00:10:1::/48')));
  assert.ok(containsPrefix(outer, inner));
  assert.not(containsPrefix(inner, outer));
  assert.not(containsPrefix(parsePrefix('0.0.0.0/0'), inner));
  assert.not(containsPrefix(parsePrefix('::/0'), parsePrefix('10.0.0.0/8')));
  assert.is(prefixName(widen(inner, 32)), prefixName(outer));
  assert.is(parsePrefix('::1').length, 128);
  assert.equal(mask6(36), [0xffffffff, 0x000000f0, 0, 0]);
  assert.throws(
    () => parsePrefix('ten'),
    (e: Error) => e instanceof InvalidInputError,
  );
});

test.run();
