/**
 * The oracle against the WebAssembly pipeline: random clusters are compiled, brought into force one after the other as
 * changes, and probed with real frames. Each probe must come out on the right link, or nowhere.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MemoryLinks } from '../../control/backends/wasm/memory-feed.js';
import { openWasmBackend } from '../../control/backends/wasm/open.js';
import { compile } from '../../control/compiler/compile.js';
import { compileCluster, localOf } from '../../control/compiler/fixture.js';
import { DEFAULT_CONFIG, type NodeLocal } from '../../control/compiler/input.js';
import { parseApiObject } from '../../control/objects/manifest.js';
import { type Oracle, oracle } from '../../control/oracle/oracle.js';
import { Random } from '../../control/oracle/random.js';
import { PORTS, PROTOCOLS, randomCluster } from '../../control/oracle/random-cluster.js';
import { diffRulesets } from '../../control/ruleset/diff.js';
import { findRoute, itemOf } from '../../control/ruleset/evaluate.js';
import type { Ruleset } from '../../control/ruleset/types.js';
import { arp, ETHERTYPE_ARP, ethernet, parseArp, parseEthernet } from '../../control/sim/memory/packet.js';
import { frame, markerOf, probePacket, throughTunnel, type WireProbe } from './wire.js';

const CLUSTERS = Number(process.env['PTEROPUS_CLUSTERS'] ?? 130);
const PROBES = 200;
const NODE = 'n1';
const NODE_ADDRESS = '192.168.16.1';
const UNDERLAY_MAC = '02:00:00:00:aa:01';
const FIRST_SOURCE_PORT = 10000;

/** The data plane of one node with everything its links bring out. */
class Bench {
  readonly links = new MemoryLinks();
  /** Marker -> the links it came out on. */
  readonly seen = new Map<number, string[]>();
  ruleset: Ruleset = new Map();
  local: NodeLocal | null = null;

  listen(link: string): void {
    this.links.attach(link, (bytes) => {
      const marker = markerOf(bytes);
      if (marker !== null) this.seen.set(marker, [...(this.seen.get(marker) ?? []), link]);
      else if (link === 'eth0') this.answerArp(bytes);
    });
  }

  /** The whole underlay is one station that has every address. */
  private answerArp(bytes: Uint8Array): void {
    const parsed = parseEthernet(bytes);
    const request = parsed?.type === ETHERTYPE_ARP ? parseArp(parsed.payload) : null;
    if (request?.operation !== 'request') return;
    const { senderMac: targetMac, senderIp: targetIp, targetIp: senderIp } = request;
    const reply = arp({ operation: 'reply', senderMac: UNDERLAY_MAC, senderIp, targetMac, targetIp });
    this.links.send(
      'eth0',
      ethernet({ destination: targetMac, source: UNDERLAY_MAC, type: ETHERTYPE_ARP, payload: reply }),
    );
  }

  /** Sends a probe where its source would; false if that is not on this node's wires. */
  send(probe: WireProbe, sourceNode: string | null): boolean {
    const { local } = this;
    if (local === null) return false;
    const packet = probePacket(probe);
    const attachment = local.attachments.find(({ addresses }) => addresses.includes(probe.source));
    if (attachment !== undefined) {
      return this.links.send(attachment.link, frame(attachment.peerMac, attachment.mac, packet));
    }
    if (probe.source === NODE_ADDRESS && local.host !== null) {
      return this.links.send(local.host.link, frame(local.host.peerMac, local.host.mac, packet));
    }
    const tunnel = [...this.ruleset.values()].find(
      (item) => item.kind === 'tunnel' && item.peer === sourceNode,
    );
    const arriving = tunnel?.kind === 'tunnel' ? throughTunnel(tunnel, packet) : packet;
    return this.links.send('eth0', frame(UNDERLAY_MAC, local.uplink.mac, arriving));
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** The link a probe must come out on, or null for nowhere. */
function expectedLink(bench: Bench, truth: Oracle, probe: WireProbe): string | null {
  const { source, destination, protocol, port } = probe;
  const verdict = truth.verdict({ from: { ip: source }, to: { ip: destination }, protocol, port });
  const isHere = (ip: string) =>
    bench.local?.attachments.some(({ addresses }) => addresses.includes(ip)) ?? false;
  // What a pod elsewhere lets out or in is its own node's business.
  const passes =
    !(isHere(source) && !verdict.egressAllowed) && !(isHere(destination) && !verdict.ingressAllowed);
  if (!passes) return null;
  const target = findRoute(bench.ruleset, 'pod', destination)?.target;
  if (target?.type === 'tunnel') return 'eth0';
  return target?.type === 'interface' ? itemOf(bench.ruleset, 'interface', target.interface).link : null;
}

test('what comes out of the pipeline is what the oracle says', async () => {
  const bench = new Bench();
  const backend = await openWasmBackend({
    feed: bench.links,
    memory: { sessionsLog2: 16, frameCount: 2048, seed: 7 },
  });
  bench.listen('eth0');
  bench.listen('ptero0');
  let marker = 0;
  let out = 0;
  let stopped = 0;
  for (let seed = 1; seed <= CLUSTERS; seed++) {
    const random = new Random(seed);
    const cluster = randomCluster(random);
    const { model, holders } = compileCluster(cluster.objects.map(parseApiObject));
    const local = localOf(NODE, model.all('Pod'));
    const attachments = local.attachments.map((a) => ({ ...a, link: `${a.link}-${seed}` }));
    for (const { link } of attachments) bench.listen(link);
    bench.local = { ...local, attachments };
    const ruleset = compile(model, bench.local, DEFAULT_CONFIG);
    const results = await backend.apply(diffRulesets(bench.ruleset, ruleset));
    assert.equal(
      results.filter(({ error }) => error !== null),
      [],
      `seed ${seed}`,
    );
    bench.ruleset = ruleset;
    // Neighbors of the underlay are asked for once, at the cost of a packet.
    for (const destination of seed === 1 ? ['192.168.16.2', '192.168.16.3', '8.8.8.8'] : []) {
      const probe = {
        source: NODE_ADDRESS,
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
    const addresses = cluster.addresses.filter((ip) => !ip.includes(':'));
    const here = attachments.flatMap((a) => a.addresses).filter((ip) => !ip.includes(':'));
    const sent: WireProbe[] = [];
    for (let i = 0; i < PROBES && here.length > 0; i++) {
      // One end at least is a pod of this node.
      const [near, far] = [random.pick(here), random.pick(addresses)];
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
    }
    bench.seen.clear();
  }
  await backend.close();
  const all = out + stopped;
  assert.ok(
    all > CLUSTERS * 50 && out > all * 0.2 && stopped > all * 0.2,
    `${out} came out, ${stopped} did not`,
  );
});

test.run();
