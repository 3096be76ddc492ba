import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../../test/backends/random.js';
import type { AddressBlock, AddressSetItem, Key } from '../../ruleset/types.js';
import { Ledger } from '../ledger.js';
import { containsPrefix, parsePrefix } from './bytes6.js';
import { CellStore } from './cells.js';
import { Identities } from './identities.js';
import { planImage } from './image-plan.js';
import { LongestPrefix } from './lpm.js';

const PROBE = 'addressset/probe';
const SETS = ['addressset/a', 'addressset/b', 'addressset/c'];

const within = (address: string, cidr: string): boolean =>
  containsPrefix(parsePrefix(cidr), parsePrefix(address));

/** The sets that hold an address, as their items say. */
function holders(items: ReadonlyMap<Key, AddressSetItem>, address: string): readonly Key[] {
  return [...items.values()]
    .filter(({ addresses, blocks }) => {
      const inBlock = ({ cidr, except }: AddressBlock): boolean =>
        within(address, cidr) && !except.some((inner) => within(address, inner));
      return addresses.includes(address) || blocks.some(inBlock);
    })
    .map(({ key }) => key)
    .sort();
}

test('blocks inside and around each other, few or many changed at a time: an address is of the sets that hold it', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = seededRandom(seed);
    const ledger = new Ledger();
    const lpm = new LongestPrefix(ledger, new CellStore(ledger, planImage()));
    const identities = new Identities(ledger, lpm);
    const items = new Map<Key, AddressSetItem>();
    const put = (item: AddressSetItem): void => {
      identities.update(items.get(item.key), item);
      items.set(item.key, item);
    };
    const address = (): string =>
      random(4) === 0
        ? `fd00::${(1 + random(200)).toString(16)}`
        : `10.0.${random(4)}.${64 * random(4) + random(4)}`;
    const block = (): AddressBlock => {
      if (random(4) === 0) return { cidr: `fd00::${(16 * (1 + random(12))).toString(16)}/124`, except: [] };
      const cidr = [`10.0.${random(4)}.${64 * random(4)}/26`, `10.0.${random(4)}.0/24`, '10.0.0.0/16'][
        random(3)
      ];
      // So many that a block is known by a hash of them.
      const many = random(4) === 0 ? Array.from({ length: 12 }, () => `${address()}`) : [];
      const except = [`10.0.${random(4)}.0/25`, ...many.filter((inner) => !inner.includes(':'))];
      return { cidr: cidr ?? '', except: [...new Set(except)].filter((inner) => within(inner, cidr ?? '')) };
    };
    const probes = [...new Set(Array.from({ length: 40 }, address))];
    put({ kind: 'addressset', key: PROBE, addresses: probes, blocks: [] });
    for (let round = 0; round < 12; round++) {
      const most = round % 2 === 0 ? 2 : 30;
      for (const key of SETS) {
        const all = Array.from({ length: random(most) }, block);
        const blocks = all.filter(({ cidr }, i) => all.findIndex((other) => other.cidr === cidr) === i);
        // Sometimes one block more or less among those there were.
        const before = items.get(key)?.blocks ?? [];
        const at = random(before.length + 1);
        const others = before.filter(({ cidr }, i) => i !== at && cidr !== blocks[0]?.cidr);
        const edited = [...others.slice(0, at), ...blocks.slice(0, 1), ...others.slice(at)];
        put({ kind: 'addressset', key, addresses: [address()], blocks: random(2) === 0 ? blocks : edited });
      }
      identities.settle();
      ledger.commit();
      for (const probe of probes) {
        const wanted = holders(items, probe);
        const found = [...identities.of(PROBE)].filter((identity) => {
          return identities.setsOf(identity).join() === wanted.join();
        });
        assert.is(found.length, 1, `seed ${seed} round ${round}: ${probe} in ${wanted.join(' ')}`);
        const [unit] = identities.unitsOf(setOf(probe));
        const entry = unit === undefined ? undefined : lpm.cells.get(unit)?.entries?.[0];
        assert.is(entry?.value, found[0], `seed ${seed} round ${round}: ${probe}`);
      }
    }
  }
});

function setOf(address: string): AddressSetItem {
  return { kind: 'addressset', key: PROBE, addresses: [address], blocks: [] };
}

test.run();
