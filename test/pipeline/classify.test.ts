/** Verdicts for many packets at once, over tables that the control plane lowered, against the items themselves. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildAssembly } from '../../bench/peers/build.js';
import { swap16, swap32 } from '../../control/backends/wasm/bytes.js';
import { Image } from '../../control/backends/wasm/image.js';
import { Lowering } from '../../control/backends/wasm/lowering.js';
import { openMemory, planMemory, wordsOf } from '../../control/backends/wasm/memory.js';
import type {
  AddressSetItem,
  EndpointItem,
  InterfaceItem,
  Item,
  PolicyItem,
  PolicyRule,
} from '../../control/ruleset/types.js';
import * as L from '../../dataplane-as/layout/index.js';
import { seededRandom } from '../backends/random.js';

const module = await WebAssembly.compile(readFileSync(buildAssembly('classify')));
type Random = (below: number) => number;
const ORIGIN = { kind: 'P', namespace: 'n', name: 'p', field: null };
const PROTOCOLS = { TCP: 6, UDP: 17, SCTP: 132 };
const hostOrder = (text: string): number => Buffer.from(text.split('.').map(Number)).readUInt32BE();
const text = (host: number): string => [24, 16, 8, 0].map((shift) => (host >>> shift) & 255).join('.');
const peerAddress = (random: Random): string => `10.${random(3)}.${random(4)}.${random(20)}`;

function addressSet(random: Random, n: number): AddressSetItem {
  const addresses = new Set(Array.from({ length: random(6) }, () => peerAddress(random)));
  const blocks = Array.from({ length: random(3) }, () => {
    const length = [0, 8, 12, 14, 20, 23, 24, 28, 31][random(9)] ?? 24;
    const host = length === 0 ? 0 : (hostOrder(peerAddress(random)) & (0xffffffff << (32 - length))) >>> 0;
    return { cidr: `${text(host)}/${length}`, except: length < 28 ? [`${text((host | 5) >>> 0)}/32`] : [] };
  });
  return { kind: 'addressset', key: `addressset/${n}`, addresses: [...addresses].sort(), blocks };
}

function policy(random: Random, sets: readonly AddressSetItem[], n: number): PolicyItem {
  const origin = { kind: 'P', namespace: 'n', name: `p${n}`, field: null };
  const rules = Array.from({ length: random(4) }, (): PolicyRule => {
    const peers = random(5) === 0 ? null : sets.filter(() => random(3) === 0).map(({ key }) => key);
    const ports = Array.from({ length: random(12) }, () => {
      const from = random(40);
      return { protocol: (['TCP', 'UDP', 'SCTP'] as const)[random(3)] ?? null, from, to: from + random(3) };
    });
    return { tier: 'network', action: 'allow', peers, ports: random(5) === 0 ? null : ports, origin };
  });
  return { kind: 'policy', key: `policy/${n}`, direction: 'ingress', rules, isolatedBy: [origin] };
}

function pod(i: number, ingress: string | null): Item[] {
  const key = `interface/pod/n/p${i}`;
  const link: InterfaceItem = {
    ...{ kind: 'interface', key, role: 'pod', pod: { namespace: 'n', name: `p${i}` }, link: `p${i}` },
    ...{ mac: '02:00:00:00:01:01', peerMac: '02:00:00:00:01:02', mtu: 1500 },
    ...{ peerAddresses: [`10.9.0.${i + 1}`], ownAddresses: ['10.9.0.254'] },
  };
  const endpoint: EndpointItem = {
    ...{ kind: 'endpoint', key: `endpoint/n/p${i}`, pod: { namespace: 'n', name: `p${i}` } },
    ...{ interface: key, ingress, egress: null },
  };
  return [link, endpoint];
}

function holds(set: AddressSetItem, address: string): boolean {
  const inside = (cidr: string): boolean => {
    const [network = '', length = '32'] = cidr.split('/');
    const mask = length === '0' ? 0 : 0xffffffff << (32 - Number(length));
    return ((hostOrder(network) ^ hostOrder(address)) & mask) === 0;
  };
  return (
    set.addresses.includes(address) ||
    set.blocks.some(({ cidr, except }) => inside(cidr) && !except.some(inside))
  );
}

test('random sets with blocks, policies of many port ranges, open pods and strangers', () => {
  for (let seed = 1; seed <= 15; seed++) {
    const random = seededRandom(seed);
    const sets = Array.from({ length: 6 }, (_, n) => addressSet(random, n));
    const policies = Array.from({ length: 5 }, (_, n) => policy(random, sets, n));
    const pods = Array.from({ length: 12 }, () => policies[random(6)]?.key ?? null);
    const items = [...sets, ...policies, ...pods.flatMap((key, i) => pod(i, key))];
    const plan = planMemory({ sessionsLog2: 8, frameCount: 64 });
    const memory = openMemory(plan);
    const words = wordsOf(memory);
    const lowering = new Lowering(plan.image);
    const { operations } = lowering.plan(items.map((item) => ({ type: 'add', key: item.key, item })));
    lowering.commit();
    new Image(words, plan.images[0], plan.image).play(operations);
    const { init, classify } = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as {
      init(): void;
      classify(from: number, count: number, answers: number, now: number): void;
    };
    init();
    const packets = Array.from({ length: 500 }, () => ({
      source: random(10) === 0 ? '172.16.0.9' : peerAddress(random),
      target: random(14),
      port: random(45),
      protocol: [6, 6, 17, 132, 1][random(5)] ?? 6,
    }));
    const at = plan.framesBase;
    for (const [i, { source, target, port, protocol }] of packets.entries()) {
      const addresses = [hostOrder(source), hostOrder(`10.9.0.${target + 1}`)].map(swap32);
      words.set([...addresses, (swap16(port) << 16) >>> 0, protocol], at / 4 + i * 4);
    }
    classify(at, packets.length, at + 16_384, 1);
    for (const [i, { source, target, port, protocol }] of packets.entries()) {
      const answer = words[at / 4 + 4096 + i] ?? 0;
      const key = pods[target];
      const about = `seed ${seed}: ${source} to ${target}:${port}/${protocol}`;
      if (key === undefined) assert.is(answer, L.VERDICT_ALLOW + L.RULE_NOT_A_POD, about);
      else if (key === null) assert.is(answer, L.VERDICT_ALLOW + L.RULE_OPEN, about);
      else {
        const allowed = policies
          .find((item) => item.key === key)
          ?.rules.some(
            ({ peers, ports }) =>
              (peers === null || peers.some((set) => sets.some((s) => s.key === set && holds(s, source)))) &&
              (ports === null ||
                ports.some(
                  (r) =>
                    r.protocol !== null &&
                    PROTOCOLS[r.protocol] === protocol &&
                    r.from <= port &&
                    port <= r.to,
                )),
          );
        assert.is(answer >= L.VERDICT_ALLOW, allowed, about);
        assert.ok((answer & 0x7fffffff) >= L.RULE_FIRST, about);
      }
    }
  }
});

test('a number that no policy has opens nothing', () => {
  const open: PolicyRule = { tier: 'network', action: 'allow', peers: null, ports: null, origin: ORIGIN };
  const item: PolicyItem = {
    ...{ kind: 'policy', key: 'policy/0', direction: 'ingress' },
    ...{ rules: [open], isolatedBy: [ORIGIN] },
  };
  const plan = planMemory({ sessionsLog2: 8, frameCount: 64 });
  const memory = openMemory(plan);
  const words = wordsOf(memory);
  const lowering = new Lowering(plan.image);
  const items = [item, ...pod(0, item.key)];
  const { operations } = lowering.plan(items.map((each) => ({ type: 'add', key: each.key, item: each })));
  lowering.commit();
  const image = new Image(words, plan.images[0], plan.image);
  image.play(operations);
  const { init, classify } = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as {
    init(): void;
    classify(from: number, count: number, answers: number, now: number): void;
  };
  init();
  const at = plan.framesBase;
  const target = swap32(hostOrder('10.9.0.1'));
  words.set([swap32(hostOrder('10.1.1.1')), target, 0, 6], at / 4);
  const answer = (): number => {
    classify(at, 1, at + 1024, 1);
    return words[at / 4 + 256] ?? 0;
  };
  assert.ok(answer() >= L.VERDICT_ALLOW);
  const b = (L.LPM_USED | (L.SPACE_TARGET << 8) | 32) >>> 0;
  for (const value of [plan.image.size.policies, plan.image.size.policies + 1, 0x7fffffff, 0x80000000]) {
    image.play([{ type: 'insert', entry: { table: 'addresses', a: target, b, value } }]);
    assert.is(answer(), L.RULE_NONE, `policy ${value}`);
  }
});

test.run();
