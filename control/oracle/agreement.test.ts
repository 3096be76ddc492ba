/** The law of the compiler: what its rulesets say is what the oracle says, for random clusters and packets. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileCluster, judgeBoth } from '../compiler/fixture.js';
import { fromJson, toJson } from '../objects/json.js';
import { parseApiObject } from '../objects/manifest.js';
import type { KubeObject } from '../objects/types.js';
import { canonicalRuleset } from '../ruleset/canonical.js';
import { oracle } from './oracle.js';
import { Random } from './random.js';
import { PORTS, PROTOCOLS, type RandomCluster, randomCluster } from './random-cluster.js';

const CLUSTERS = Number(process.env['PTEROPUS_CLUSTERS'] ?? 200);
const PACKETS = 150;

function randomPacket(random: Random, { addresses }: RandomCluster) {
  const from = random.pick(addresses);
  const family = addresses.filter((ip) => ip.includes(':') === from.includes(':'));
  const protocol = random.chance(0.1) ? ('ICMP' as const) : random.pick(PROTOCOLS);
  return { from, to: random.pick(family), protocol, port: random.pick(PORTS) };
}

test('compiled rulesets and the oracle agree', () => {
  let allowed = 0;
  let denied = 0;
  let byTiers = 0;
  for (let seed = 1; seed <= CLUSTERS; seed++) {
    const random = new Random(seed);
    const cluster = randomCluster(random);
    const compiled = compileCluster(
      cluster.objects.map((object) => fromJson(toJson(parseApiObject(object)))),
    );
    const truth = oracle(cluster.objects);
    for (let i = 0; i < PACKETS; i++) {
      const { from, to, protocol, port } = randomPacket(random, cluster);
      const expected = truth.verdict({ from: { ip: from }, to: { ip: to }, protocol, port });
      const got = judgeBoth(compiled, { from, to, protocol: protocol === 'ICMP' ? null : protocol, port });
      if (got.allowed !== expected.allowed) {
        const text = JSON.stringify({ seed, from, to, protocol, port, expected, got });
        assert.unreachable(`${text}\n${JSON.stringify(cluster.objects)}`);
      }
      if (got.allowed) allowed++;
      else denied++;
      if (`${expected.egressBy} ${expected.ingressBy}`.includes('ClusterNetworkPolicy')) byTiers++;
    }
  }
  // A generator that hardly ever allows, or hardly ever denies, would prove nothing.
  const all = CLUSTERS * PACKETS;
  assert.ok(allowed > all * 0.2 && denied > all * 0.2, `${allowed} allowed, ${denied} denied`);
  assert.ok(byTiers > all * 0.1, `${byTiers} by tiers`);
});

test('the order in which objects are told makes no difference', () => {
  const text = (objects: readonly KubeObject[]) =>
    [...compileCluster(objects).rulesets.values()].map(canonicalRuleset).join('\n');
  for (let seed = 1; seed <= 20; seed++) {
    const objects = randomCluster(new Random(seed)).objects.map(parseApiObject);
    assert.ok(text(objects) === text([...objects].reverse()), `seed ${seed}`);
  }
});

test.run();
