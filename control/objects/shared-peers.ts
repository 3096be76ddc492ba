/** Peers that are blocks, each once however often it is read: lists of 10,000 come again whole whenever one of them changes. */
import type { NetworkPolicyPeer } from './types.js';

/** So many are remembered for sure; twice as many at most. */
const MOST = 32_768;

let young = new Map<string, NetworkPolicyPeer>();
let old = new Map<string, NetworkPolicyPeer>();

/** The first peer read that says the same, among those remembered; any other peer as it is. Peers are never changed in place. */
export function sharedPeer(peer: NetworkPolicyPeer): NetworkPolicyPeer {
  if (peer.ipBlock === undefined) return peer;
  const { cidr, except } = peer.ipBlock;
  // The separators are in no block that is well written; others are not confused either, as their text is quoted.
  const text =
    isPlain(cidr) && except.every(isPlain) ? `${cidr} ${except.join()}` : JSON.stringify([cidr, except]);
  let shared = young.get(text);
  if (shared !== undefined) return shared;
  shared = old.get(text) ?? peer;
  if (young.size >= MOST) {
    old = young;
    young = new Map();
  }
  young.set(text, shared);
  return shared;
}

function isPlain(text: string): boolean {
  return !text.includes(' ') && !text.includes(',') && !text.includes('[');
}
