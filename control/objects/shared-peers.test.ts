import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sharedPeer } from './shared-peers.js';
import type { NetworkPolicyPeer } from './types.js';

const block = (cidr: string, ...except: string[]): NetworkPolicyPeer => ({
  podSelector: undefined,
  namespaceSelector: undefined,
  ipBlock: { cidr, except },
});

test('blocks that say the same are one object, others are not', () => {
  const first = sharedPeer(block('192.0.2.0/24', '192.0.2.0/28'));
  assert.is(sharedPeer(block('192.0.2.0/24', '192.0.2.0/28')), first);
  assert.is.not(sharedPeer(block('192.0.2.0/24')), first);
  assert.is.not(sharedPeer(block('192.0.2.0/24', '192.0.2.16/28')), first);
});

test('damaged texts are not taken for others', () => {
  const two = sharedPeer(block('192.0.2.0/24', 'a', 'b'));
  const one = sharedPeer(block('192.0.2.0/24', 'a,b'));
  const odd = sharedPeer(block('192.0.2.0/24 a', 'b'));
  assert.equal(two, block('192.0.2.0/24', 'a', 'b'));
  assert.equal(one, block('192.0.2.0/24', 'a,b'));
  assert.equal(odd, block('192.0.2.0/24 a', 'b'));
});

test('selectors stay as they are', () => {
  const selector = { podSelector: { matchLabels: {}, matchExpressions: [] } } as unknown as NetworkPolicyPeer;
  assert.is(sharedPeer(selector), selector);
});

test.run();
