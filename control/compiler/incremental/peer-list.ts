/** Long lists of peers: a rule that lists 10,000 blocks, of which one changes, costs what one costs, and a walk over the others. */
import type { NetworkPolicyPeer } from '../../objects/types.js';
import type { Key } from '../../ruleset/types.js';
import { SortedTexts } from './sorted-texts.js';

interface Keyed {
  readonly key: Key;
}

/** The peers of one rule as it is written, and what they stand for. */
export interface PeerList<S extends Keyed> {
  readonly peers: readonly NetworkPolicyPeer[];
  /** The set of each peer, in the same place. */
  readonly sets: readonly S[];
  /** Keys of these sets. */
  readonly keys: SortedTexts;
}

const MOST_GONE = 64;

/** Reads a list of peers. `old` is what the rule was read to before, if it was: for peers it has in common, `setOf` is not asked. */
export function readPeers<S extends Keyed>(
  peers: readonly NetworkPolicyPeer[],
  old: PeerList<S> | undefined,
  setOf: (peer: NetworkPolicyPeer) => S,
): PeerList<S> {
  if (old === undefined) return sorted(peers, peers.map(setOf));
  const shorter = Math.min(peers.length, old.peers.length);
  const longer = peers.length - old.peers.length;
  let front = 0;
  while (front < shorter && sameBlock(peers[front], old.peers[front])) front++;
  // Behind a peer that was put in or taken out, the others have moved.
  let back = peers.length;
  while (back > front && back - longer > front && sameBlock(peers[back - 1], old.peers[back - longer - 1])) {
    back--;
  }
  const middle = peers.slice(front, back).map((peer, i) => {
    const set = sameBlock(peer, old.peers[front + i]) ? old.sets[front + i] : undefined;
    return set ?? setOf(peer);
  });
  const before = old.sets.slice(front, back - longer);
  const sets = old.sets.slice(0, front).concat(middle, old.sets.slice(back - longer));
  const added = new Set<Key>();
  for (const { key } of middle) if (!old.keys.has(key)) added.add(key);
  const gone = new Set(before.filter((set, i) => set !== middle[i]));
  // Each that is gone is looked for in the whole list: others may have written it too.
  if (gone.size > MOST_GONE) return sorted(peers, sets);
  const removed = new Set<Key>();
  for (const set of gone) if (!sets.includes(set)) removed.add(set.key);
  return { peers, sets, keys: old.keys.change(added, removed) };
}

function sorted<S extends Keyed>(peers: readonly NetworkPolicyPeer[], sets: readonly S[]): PeerList<S> {
  // By code unit, as compareText does, but much faster for thousands.
  const keys = [...new Set(sets.map(({ key }) => key))].sort();
  return { peers, sets, keys: SortedTexts.of(keys) };
}

/** Whether both are blocks, and written alike. */
function sameBlock(a: NetworkPolicyPeer | undefined, b: NetworkPolicyPeer | undefined): boolean {
  const one = a?.ipBlock;
  const other = b?.ipBlock;
  if (one === other) return one !== undefined;
  if (one === undefined || other === undefined || one.cidr !== other.cidr) return false;
  if (one.except.length !== other.except.length) return false;
  for (let i = 0; i < one.except.length; i++) if (one.except[i] !== other.except[i]) return false;
  return true;
}
