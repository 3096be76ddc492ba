/** The law of the compiler: what its rulesets say is what the oracle says, for random clusters and packets. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../compiler/compile.js';
import { DEFAULT_CONFIG, type NodeLocal } from '../compiler/input.js';
import { Model } from '../model/model.js';
import { fromJson, toJson } from '../objects/json.js';
import { parseApiObject } from '../objects/manifest.js';
import type { KubeObject, Pod } from '../objects/types.js';
import { canonicalRuleset } from '../ruleset/canonical.js';
import { judge } from '../ruleset/evaluate.js';
import type { PodRef, Protocol, Ruleset } from '../ruleset/types.js';
import { oracle, type Packet } from './oracle.js';
import { Random } from './random.js';
import { PORTS, PROTOCOLS, type RandomCluster, randomCluster } from './random-cluster.js';

const CLUSTERS = Number(process.env['PTEROPUS_CLUSTERS'] ?? 150);
const PACKETS = 200;

function lives(pod: Pod): boolean {
  return !pod.spec.hostNetwork && pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed';
}

function localOf(node: string, pods: readonly Pod[]): NodeLocal {
  const mine = pods.filter((pod) => lives(pod) && pod.spec.nodeName === node);
  return {
    node,
    uplink: { link: 'eth0', mac: '02:00:00:00:00:01' },
    host: { link: 'ptero0', mac: '02:00:00:00:00:02', peerMac: '02:00:00:00:00:03' },
    attachments: mine.map((pod) => ({
      pod: { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name },
      link: `pod-${pod.metadata.name}`,
      mac: '02:00:00:00:01:00',
      peerMac: '02:00:00:00:02:00',
      addresses: pod.status.podIPs,
    })),
  };
}

interface Compiled {
  readonly rulesets: ReadonlyMap<string, Ruleset>;
  readonly holders: ReadonlyMap<string, { readonly pod: PodRef; readonly node: string }>;
}

function compiled(cluster: RandomCluster, objects: readonly KubeObject[]): Compiled {
  const pods = objects.filter((object): object is Pod => object.kind === 'Pod');
  const records = cluster.nodes.map(({ name, id, address }): KubeObject => {
    const metadata = { name, namespace: null, uid: null, labels: {}, annotations: {} };
    return { kind: 'NodeRecord', metadata, id, addresses: [address] };
  });
  const model = Model.of([...objects, ...records]);
  const rulesets = cluster.nodes.map(
    ({ name }) => [name, compile(model, localOf(name, pods), DEFAULT_CONFIG)] as const,
  );
  const holders = pods.filter(lives).flatMap((pod) => {
    const ref = { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name };
    return pod.status.podIPs.map((ip) => [ip, { pod: ref, node: pod.spec.nodeName ?? '' }] as const);
  });
  return { rulesets: new Map(rulesets), holders: new Map(holders) };
}

function interpret(
  { rulesets, holders }: Compiled,
  from: string,
  to: string,
  protocol: Protocol | null,
  port: number,
): boolean {
  const half = (subject: string, peer: string, direction: 'ingress' | 'egress'): boolean => {
    const holder = holders.get(subject);
    if (holder === undefined) return true;
    const ruleset = rulesets.get(holder.node);
    if (ruleset === undefined) throw new Error(`no ruleset of ${holder.node}`);
    return judge(ruleset, { pod: holder.pod, direction, peer, protocol, port }).allowed;
  };
  return half(from, to, 'egress') && half(to, from, 'ingress');
}

function randomPacket(
  random: Random,
  { addresses }: RandomCluster,
): Packet & { readonly from: { ip: string }; readonly to: { ip: string } } {
  const from = random.pick(addresses);
  const family = addresses.filter((ip) => ip.includes(':') === from.includes(':'));
  const protocol = random.chance(0.1) ? 'ICMP' : random.pick(PROTOCOLS);
  return { from: { ip: from }, to: { ip: random.pick(family) }, protocol, port: random.pick(PORTS) };
}

test('compiled rulesets and the oracle agree', () => {
  let allowed = 0;
  let denied = 0;
  for (let seed = 1; seed <= CLUSTERS; seed++) {
    const random = new Random(seed);
    const cluster = randomCluster(random);
    const objects = cluster.objects.map((object) => fromJson(toJson(parseApiObject(object))));
    const rulesets = compiled(cluster, objects);
    const truth = oracle(cluster.objects);
    for (let i = 0; i < PACKETS; i++) {
      const packet = randomPacket(random, cluster);
      const expected = truth.verdict(packet);
      const protocol = packet.protocol === 'ICMP' ? null : packet.protocol;
      const got = interpret(rulesets, packet.from.ip, packet.to.ip, protocol, packet.port);
      if (got !== expected.allowed) {
        const text = JSON.stringify({ seed, packet, expected, got });
        assert.unreachable(`${text}\n${JSON.stringify(cluster.objects)}`);
      }
      if (got) allowed++;
      else denied++;
    }
  }
  // A generator that hardly ever allows, or hardly ever denies, would prove nothing.
  assert.ok(
    allowed > CLUSTERS * PACKETS * 0.2 && denied > CLUSTERS * PACKETS * 0.2,
    `${allowed} allowed, ${denied} denied`,
  );
});

test('the order in which objects are told makes no difference', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const cluster = randomCluster(new Random(seed));
    const objects = cluster.objects.map(parseApiObject);
    const text = (list: readonly KubeObject[]) =>
      [...compiled(cluster, list).rulesets.values()].map(canonicalRuleset).join('\n');
    assert.ok(text(objects) === text([...objects].reverse()), `seed ${seed}`);
  }
});

test.run();
