/**
 * The oracle against the WebAssembly pipeline: random clusters are compiled, brought into force one after the other as
 * changes, and probed with real frames. Each probe must come out on the right link, or nowhere.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MemoryLinks } from '../../control/backends/wasm/memory-feed.js';
import { openWasmBackend } from '../../control/backends/wasm/open.js';
import { compile } from '../../control/compiler/compile.js';
import { compileCluster, localOf, NODES } from '../../control/compiler/fixture.js';
import { type ClusterConfig, DEFAULT_CONFIG, DEFAULT_IPV6 } from '../../control/compiler/input.js';
import { parseApiObject } from '../../control/objects/manifest.js';
import { oracle } from '../../control/oracle/oracle.js';
import { Random } from '../../control/oracle/random.js';
import { PORTS, PROTOCOLS, randomCluster } from '../../control/oracle/random-cluster.js';
import { diffRulesets } from '../../control/ruleset/diff.js';
import { Bench, expectedLink, NODE_ADDRESS, NODE_ADDRESS6, settle } from './bench.js';
import type { WireProbe } from './wire.js';

const CLUSTERS = Number(process.env['PTEROPUS_CLUSTERS'] ?? 130);
const PROBES = 200;
const NODE = 'n1';
const FIRST_SOURCE_PORT = 10000;
/** Its IPv6 ranges are those of the random clusters' pods. */
const CONFIG: ClusterConfig = {
  ...DEFAULT_CONFIG,
  ipv6: { ...DEFAULT_IPV6, podSubnetCIDR: 'fd00:1::/32', podSubnetOneNodePrefixLen: 48 },
};

test('what comes out of the pipeline is what the oracle says', async () => {
  const bench = new Bench(new MemoryLinks());
  const backend = await openWasmBackend({
    feed: bench.links,
    memory: { sessionsLog2: 16, frameCount: 2048, seed: 7 },
  });
  bench.listen('eth0');
  bench.listen('ptero0');
  let marker = 0;
  let out = 0;
  let stopped = 0;
  let six = 0;
  for (let seed = 1; seed <= CLUSTERS; seed++) {
    const random = new Random(seed);
    const cluster = randomCluster(random);
    const { model, holders } = compileCluster(cluster.objects.map(parseApiObject), NODES, CONFIG);
    const local = localOf(NODE, model.all('Pod'));
    const attachments = local.attachments.map((a) => ({ ...a, link: `${a.link}-${seed}` }));
    for (const { link } of attachments) bench.listen(link);
    bench.local = { ...local, attachments };
    const ruleset = compile(model, bench.local, CONFIG);
    const results = await backend.apply(diffRulesets(bench.ruleset, ruleset));
    assert.equal(
      results.filter(({ error }) => error !== null),
      [],
      `seed ${seed}`,
    );
    bench.ruleset = ruleset;
    // Neighbors of the underlay are asked for once, at the cost of a packet.
    for (const destination of seed === 1 ? ['192.168.16.2', '192.168.16.3', '8.8.8.8', 'fd00:9::1'] : []) {
      const probe = {
        source: destination.includes(':') ? NODE_ADDRESS6 : NODE_ADDRESS,
        destination,
        protocol: 'UDP',
        port: 9,
        marker: marker++,
        sourcePort: 9,
      } as const;
      bench.send(probe, NODE);
      await settle();
    }
    const truth = oracle(cluster.objects);
    const here = attachments.flatMap((a) => a.addresses);
    const sent: WireProbe[] = [];
    for (let i = 0; i < PROBES && here.length > 0; i++) {
      // One end at least is a pod of this node.
      const near = random.pick(here);
      const far = random.pick(cluster.addresses.filter((ip) => ip.includes(':') === near.includes(':')));
      const outgoing = random.chance(0.5);
      const [source, destination] = outgoing ? [near, far] : [far, near];
      if (source === destination) continue;
      const protocol = random.chance(0.1) ? 'ICMP' : random.pick(PROTOCOLS);
      const sourcePort = FIRST_SOURCE_PORT + (marker % 50000);
      const probe = {
        source,
        destination,
        protocol,
        port: random.pick(PORTS),
        marker: marker++,
        sourcePort,
      } as const;
      const node =
        holders.get(source)?.node ?? cluster.nodes.find(({ address }) => address === source)?.name ?? null;
      assert.ok(bench.send(probe, node), 'the feed is full');
      sent.push(probe);
      if (i % 50 === 49) await settle();
    }
    await settle();
    for (const probe of sent) {
      const link = expectedLink(bench, truth, probe);
      const got = bench.seen.get(probe.marker) ?? [];
      assert.equal(
        got,
        link === null ? [] : [link],
        JSON.stringify({ seed, probe, cluster: cluster.objects }),
      );
      if (link === null) stopped++;
      else out++;
      if (probe.source.includes(':')) six++;
    }
    bench.seen.clear();
  }
  await backend.close();
  const all = out + stopped;
  assert.ok(
    all > CLUSTERS * 50 && out > all * 0.2 && stopped > all * 0.2,
    `${out} came out, ${stopped} did not`,
  );
  assert.ok(six > all * 0.1, `${six} of ${all} were IPv6`);
});

test.run();
