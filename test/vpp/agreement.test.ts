/**
 * Two data planes, one meaning: random clusters are compiled, brought into force on VPP and on the WebAssembly pipeline, and the same
 * packets go through both. What comes out, and where, is the same; and it is what the oracle says.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Backend } from '../../control/backends/backend.js';
import { MemoryLinks } from '../../control/backends/wasm/memory-feed.js';
import { openWasmBackend } from '../../control/backends/wasm/open.js';
import { compile } from '../../control/compiler/compile.js';
import { compileCluster, localOf, NODES } from '../../control/compiler/fixture.js';
import { type ClusterConfig, DEFAULT_CONFIG, DEFAULT_IPV6 } from '../../control/compiler/input.js';
import { parseApiObject } from '../../control/objects/manifest.js';
import { oracle } from '../../control/oracle/oracle.js';
import { Random } from '../../control/oracle/random.js';
import { PORTS, randomCluster } from '../../control/oracle/random-cluster.js';
import { diffRulesets } from '../../control/ruleset/diff.js';
import type { Ruleset } from '../../control/ruleset/types.js';
import { loadNative } from '../../native/index.js';
import { openVppRig } from '../backends/vpp-rig.js';
import {
  Bench,
  type BenchLinks,
  expectedLink,
  NODE_ADDRESS,
  NODE_ADDRESS6,
  settle,
} from '../oracle/bench.js';
import type { WireProbe } from '../oracle/wire.js';
import { RigLinks } from './links.js';
import { onEveryVpp } from './needs.js';

const CLUSTERS = Number(process.env['PTEROPUS_CLUSTERS'] ?? 16);
const PROBES = 200;
const VERDICTS = 2000;
const NODE = 'n1';
const FIRST_SOURCE_PORT = 10000;
/** As many pods of one node as a random cluster has at most. */
const LINKS = Array.from({ length: 24 }, (_, i) => `pod-${i}`);
/** Frames on their way at a time: what any queue holds. */
const BATCH = 25;
/** Of the underlay: asked for once, at the cost of a packet. */
const NEIGHBORS = ['192.168.16.2', '192.168.16.3', '8.8.8.8', 'fd00:9::1'];
/** Its IPv6 ranges are those of the random clusters' pods. */
const CONFIG: ClusterConfig = {
  ...DEFAULT_CONFIG,
  ipv6: { ...DEFAULT_IPV6, podSubnetCIDR: 'fd00:1::/32', podSubnetOneNodePrefixLen: 48 },
};

/** One of the two that are compared. */
interface Side {
  readonly bench: Bench<BenchLinks>;
  readonly backend: Backend;
  settle(): Promise<void>;
}

async function bring({ bench, backend }: Side, ruleset: Ruleset, told: string): Promise<void> {
  const results = await backend.apply(diffRulesets(bench.ruleset, ruleset));
  assert.equal(
    results.filter(({ error }) => error !== null),
    [],
    told,
  );
  bench.ruleset = ruleset;
}

/** Of SCTP, VPP reads no ports: what is judged otherwise there is said in docs/vpp-policies.md. */
const PROTOCOLS_JUDGED = ['TCP', 'UDP'] as const;

const test = suite('vpp agreement');

onEveryVpp(test, 'what comes out of VPP is what comes out of the pipeline', async (install) => {
  const rig = await openVppRig(loadNative(), { install });
  const links = new RigLinks(rig);
  const memory = new MemoryLinks();
  const pipeline = await openWasmBackend({
    feed: memory,
    memory: { sessionsLog2: 16, frameCount: 2048, seed: 7 },
  });
  const vpp: Side = { bench: new Bench<BenchLinks>(links), backend: rig.backend, settle: rig.settle };
  const sides: readonly Side[] = [vpp, { bench: new Bench<BenchLinks>(memory), backend: pipeline, settle }];
  try {
    await links.make('eth0', 'ptero0', ...LINKS);
    for (const { bench } of sides) for (const link of ['eth0', 'ptero0', ...LINKS]) bench.listen(link);
    const counts = { out: 0, stopped: 0, six: 0 };
    const differences: string[] = [];
    let marker = 0;
    for (let seed = 1; seed <= CLUSTERS; seed++) {
      const random = new Random(seed);
      const cluster = randomCluster(random);
      const { model, holders } = compileCluster(cluster.objects.map(parseApiObject), NODES, CONFIG);
      const local = localOf(NODE, model.all('Pod'));
      const attachments = local.attachments.map((pod, i) => ({ ...pod, link: LINKS[i] ?? '' }));
      const ruleset = compile(model, { ...local, attachments }, CONFIG);
      for (const side of sides) {
        side.bench.local = { ...local, attachments };
        await bring(side, ruleset, `seed ${seed}`);
      }
      const send = (probe: WireProbe, node: string | null): void => {
        for (const { bench } of sides) assert.ok(bench.send(probe, node), 'the feed is full');
      };
      const settled = (): Promise<unknown> => Promise.all(sides.map((side) => side.settle()));
      for (const destination of seed === 1 ? NEIGHBORS : []) {
        const source = destination.includes(':') ? NODE_ADDRESS6 : NODE_ADDRESS;
        send({ source, destination, protocol: 'UDP', port: 9, marker: marker++, sourcePort: 9 }, NODE);
        await settled();
      }
      const truth = oracle(cluster.objects);
      const here = attachments.flatMap(({ addresses }) => addresses);
      const sent: WireProbe[] = [];
      for (let i = 0; i < PROBES && here.length > 0; i++) {
        const near = random.pick(here);
        const far = random.pick(cluster.addresses.filter((ip) => ip.includes(':') === near.includes(':')));
        const [source, destination] = random.chance(0.5) ? [near, far] : [far, near];
        if (source === destination) continue;
        const protocol = random.chance(0.1) ? 'ICMP' : random.pick(PROTOCOLS_JUDGED);
        const sourcePort = FIRST_SOURCE_PORT + (marker % 50000);
        const probe: WireProbe = {
          source,
          destination,
          protocol,
          port: random.pick(PORTS),
          marker: marker++,
          sourcePort,
        };
        const node =
          holders.get(source)?.node ?? cluster.nodes.find(({ address }) => address === source)?.name ?? null;
        send(probe, node);
        sent.push(probe);
        if (sent.length % BATCH === 0) await settled();
      }
      await settled();
      for (const probe of sent) {
        const link = expectedLink(vpp.bench, truth, probe);
        const got = sides.map(({ bench }) => (bench.seen.get(probe.marker) ?? []).join());
        const wanted = link ?? '';
        if (got.some((each) => each !== wanted)) {
          differences.push(JSON.stringify({ seed, probe, oracle: wanted, vpp: got[0], pipeline: got[1] }));
        }
        counts[link === null ? 'stopped' : 'out']++;
        if (probe.source.includes(':')) counts.six++;
      }
      for (const { bench } of sides) bench.seen.clear();
    }
    assert.is(differences.length, 0, `${differences.length}:\n${differences.slice(0, 10).join('\n')}`);
    const all = counts.out + counts.stopped;
    process.stdout.write(
      `agreement on ${install.prefix}: ${all} verdicts, ${counts.out} let through, ${counts.stopped} not, ${counts.six} of IPv6\n`,
    );
    assert.ok(all >= VERDICTS && counts.out > all * 0.2 && counts.stopped > all * 0.2);
    assert.ok(counts.six > all * 0.1);
  } finally {
    await pipeline.close();
    await rig.close();
  }
});

test.run();
