import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { NetworkPolicyPeer } from '../../objects/types.js';
import { Random } from '../../oracle/random.js';
import { type PeerList, readPeers } from './peer-list.js';

interface Named {
  readonly key: string;
}

const block = (n: number): NetworkPolicyPeer => ({
  podSelector: undefined,
  namespaceSelector: undefined,
  ipBlock: { cidr: `10.${n}.0.0/16`, except: n % 3 === 0 ? [`10.${n}.1.0/24`] : [] },
});

test('a list read with the help of the one before is the list read alone', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed);
    const known = new Map<string, Named>();
    let asked = 0;
    const setOf = (peer: NetworkPolicyPeer): Named => {
      asked++;
      // Ways to write one block differ: many peers may stand for one set.
      const key = `${Number(peer.ipBlock?.cidr.split('.')[1]) % 40}`;
      const set = known.get(key) ?? { key };
      known.set(key, set);
      return set;
    };
    let peers = Array.from({ length: random.below(200) }, () => block(random.below(60)));
    let list: PeerList<Named> | undefined;
    for (let round = 0; round < 20; round++) {
      const at = random.below(peers.length + 1);
      const put = Array.from({ length: random.below(random.below(4) === 0 ? 100 : 3) }, () =>
        block(random.below(60)),
      );
      peers = [...peers.slice(0, at), ...put, ...peers.slice(at + random.below(3))];
      const alone = readPeers(peers, undefined, setOf);
      asked = 0;
      list = readPeers(peers, list, setOf);
      if (round > 0) assert.ok(asked <= put.length + 2, `asked for ${asked} of ${put.length}`);
      assert.equal(list.sets, alone.sets);
      assert.equal(list.keys.toArray(), alone.keys.toArray());
      assert.equal(list.keys.size, alone.keys.size);
    }
  }
});

test.run();
