/** What `diff` says about random changes is what the oracle says about both sides, port by port. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { oracle } from '../oracle/oracle.js';
import { Random } from '../oracle/random.js';
import { PORTS, PROTOCOLS, randomCluster } from '../oracle/random-cluster.js';
import type { Raw } from '../oracle/raw.js';
import { clusterOnPaper } from '../sim/load.js';
import { ManifestReader } from '../sim/manifest-set.js';
import { configOf, nodeNames } from '../sim/world.js';
import { sideOf } from './main.js';
import { changesBetween } from './pairs.js';
import { partiesOf, type Side } from './parties.js';

const isPolicy = ({ kind }: Raw) => kind === 'NetworkPolicy' || kind === 'ClusterNetworkPolicy';

function sideWith(rest: readonly Raw[], policies: readonly Raw[], dualStack: boolean): Side {
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [...rest, ...policies] });
  const set = new ManifestReader().parse([{ file: 'in.json', text }]);
  return sideOf({ loaded: clusterOnPaper(set, nodeNames(3), configOf({ dualStack })) });
}

function oracleOf({ loaded }: Side, policies: readonly Raw[]) {
  return oracle([
    ...loaded.objects.filter(({ kind }) => kind === 'Node'),
    ...loaded.namespaces,
    ...loaded.pods.map(({ pod }) => pod),
    ...policies,
  ]);
}

test('changes and the oracle agree', () => {
  let changed = 0;
  let same = 0;
  const asked = { 4: 0, 6: 0 };
  for (let seed = 1; seed <= 40; seed++) {
    const dual = seed % 4 === 0;
    const random = new Random(seed);
    const objects = randomCluster(random).objects;
    const rest = objects.filter((object) => !isPolicy(object) && object['kind'] !== 'Node');
    const all = objects.filter(isPolicy);
    const [older, newer] = [all.filter(() => random.chance(0.7)), all.filter(() => random.chance(0.7))];
    const [before, after] = [sideWith(rest, older, dual), sideWith(rest, newer, dual)];
    const { parties } = partiesOf(before, after);
    const changes = [...changesBetween(parties, before, after)];
    const [old, now] = [oracleOf(before, older), oracleOf(after, newer)];
    for (const from of parties) {
      for (const to of parties) {
        if (from === to || (from.type !== 'pod' && to.type !== 'pod')) continue;
        // Nothing passes between the families.
        if (from.family !== to.family) continue;
        asked[from.family]++;
        const protocol = random.pick([...PROTOCOLS, 'ICMP'] as const);
        const port = protocol === 'ICMP' ? 0 : random.pick([...PORTS, 1, 65535, 82]);
        const ask = (truth: typeof old, a: typeof from.after, b: typeof from.after) =>
          truth.verdict({ from: { ip: a.address }, to: { ip: b.address }, protocol, port }).allowed;
        const [was, is] = [ask(old, from.before, to.before), ask(now, from.after, to.after)];
        const said = changes.find(
          (change) =>
            change.from === from &&
            change.to === to &&
            change.ports.some((p) => p.protocol === protocol && p.from <= port && port <= p.to),
        );
        const told = said === undefined ? 'same' : said.opens ? 'opens' : 'closes';
        const wanted = was === is ? 'same' : is ? 'opens' : 'closes';
        assert.is(
          told,
          wanted,
          JSON.stringify({ seed, from: from.name, to: to.name, protocol, port, older, newer }),
        );
        if (was === is) same++;
        else changed++;
      }
    }
  }
  assert.ok(asked[6] > 1000, `${asked[6]} of IPv6`);
  assert.ok(changed > 500 && same > 500, `${changed} changed, ${same} did not`);
});

test.run();
