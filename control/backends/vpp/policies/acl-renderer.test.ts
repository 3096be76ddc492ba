/** The access lists of random policies against the plain judge of the ruleset; and what sessions make of them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../../oracle/random.js';
import { judge } from '../../../ruleset/evaluate.js';
import { formatOrigin } from '../../../ruleset/format.js';
import type { EndpointItem, Item, Protocol, Ruleset } from '../../../ruleset/types.js';
import type { ObjectKey, View, VppObject } from '../objects/types.js';
import { DEFAULT_OPTIONS } from '../options.js';
import { AclInterface, type AclPacket, firstMatch } from './acl-interpreter.js';
import { type AclBindingSpec, aclRenderer } from './acl-renderer.js';
import {
  type AclNotes,
  type AclSpec,
  ICMP,
  ICMP6,
  type NotedRule,
  SCTP,
  TCP,
  TCP_ACK,
  TCP_SYN,
  UDP,
} from './acl-rules.js';
import { PoliciesNotEnforcedError, policyRenderers } from './index.js';
import { LONGEST_REPLACED } from './policy-acl.js';
import { ADDRESSES, OWN, POD, PORTS, randomRuleset } from './random-policies.js';

const RULESETS = Number(process.env['PTEROPUS_RULESETS'] ?? 400);
const QUESTIONS = 60;
const CLIENT_PORT = 40000;
const NUMBERS = { TCP, UDP, SCTP } as const;

function viewOf(ruleset: Ruleset): View {
  return {
    options: DEFAULT_OPTIONS,
    get: (key) => ruleset.get(key),
    all: (kind) => [...ruleset.values()].filter((item) => item.kind === kind) as never,
  };
}

function render(ruleset: Ruleset): Map<ObjectKey, VppObject> {
  const objects = new Map<ObjectKey, VppObject>();
  for (const item of ruleset.values()) {
    if (!aclRenderer.kinds.includes(item.kind)) continue;
    for (const object of aclRenderer.render(item, viewOf(ruleset))) objects.set(object.key, object);
  }
  return objects;
}

/** The rules of both directions as VPP asks them, lists joined. */
function listsOf(ruleset: Ruleset): { readonly ingress: NotedRule[]; readonly egress: NotedRule[] } {
  const objects = render(ruleset);
  const binding = objects.get('acl-binding/pod/shop/web')?.spec as AclBindingSpec;
  const join = (keys: readonly ObjectKey[]): NotedRule[] =>
    keys.flatMap((key) => {
      const object = objects.get(key) as VppObject;
      const { rules } = object.spec as AclSpec;
      const { rules: notes } = object.notes as AclNotes;
      assert.is(notes.length, rules.length);
      return rules.map((rule, i) => ({ rule, note: notes[i] as NotedRule['note'] }));
    });
  return { ingress: join(binding.output), egress: join(binding.input) };
}

/** The first packet of a connection of the pod with a peer. */
function opening(
  direction: 'ingress' | 'egress',
  peer: string,
  protocol: Protocol | null,
  port: number,
): AclPacket {
  const own = OWN.find((address) => address.includes(':') === peer.includes(':')) as string;
  const [source, destination] = direction === 'ingress' ? [peer, own] : [own, peer];
  const icmp = peer.includes(':') ? { protocol: ICMP6, type: 128 } : { protocol: ICMP, type: 8 };
  return {
    source,
    destination,
    protocol: protocol === null ? icmp.protocol : NUMBERS[protocol],
    sourcePort: protocol === null ? icmp.type : CLIENT_PORT,
    destinationPort: protocol === null ? 0 : port,
    flags: protocol === 'TCP' ? TCP_SYN : 0,
  };
}

test('access lists say what the ruleset says, and whose rule it is', () => {
  const random = new Random(6);
  let [asked, allowed, named] = [0, 0, 0];
  for (let i = 0; i < RULESETS; i++) {
    const ruleset = randomRuleset(random);
    const lists = listsOf(ruleset);
    for (const { rule } of [...lists.ingress, ...lists.egress]) {
      for (const prefix of [rule.source, rule.destination]) {
        assert.ok(!prefix.includes(':') || Number(prefix.slice(prefix.indexOf('/') + 1)) % 8 === 0, prefix);
      }
    }
    for (let n = 0; n < QUESTIONS; n++) {
      const direction = random.pick(['ingress', 'egress'] as const);
      const peer = random.pick(ADDRESSES);
      const protocol = random.pick(['TCP', 'TCP', 'UDP', 'UDP', null] as const);
      const port = random.pick(PORTS);
      const truth = judge(ruleset, { pod: POD, direction, peer, protocol, port });
      const list = lists[direction];
      const index = firstMatch(
        list.map(({ rule }) => rule),
        opening(direction, peer, protocol, port),
      );
      const found = index === null ? undefined : list[index];
      const context = JSON.stringify({ i, direction, peer, protocol, port, truth, found });
      assert.ok(found !== undefined, `undecided: ${context}`);
      assert.is(found.rule.action !== 'deny', truth.allowed, context);
      assert.is(found.note.allowed, truth.allowed, context);
      if (truth.origin !== null) {
        assert.is(found.note.text, formatOrigin(truth.origin), context);
        named++;
      }
      if (truth.by === 'isolated') assert.match(found.note.text, /^default deny \(.*gress isolated by /);
      asked++;
      if (truth.allowed) allowed++;
    }
  }
  assert.ok(asked >= 20000 && allowed > asked * 0.2 && allowed < asked * 0.9, `${allowed} of ${asked}`);
  assert.ok(named > asked * 0.15, `${named} of ${asked} name a rule`);
});

test('SCTP, whose ports VPP does not read, is let in where every port is open, and never wider', () => {
  const random = new Random(7);
  let [open, closed] = [0, 0];
  for (let i = 0; i < RULESETS; i++) {
    const ruleset = randomRuleset(random);
    const lists = listsOf(ruleset);
    for (const peer of ADDRESSES) {
      for (const direction of ['ingress', 'egress'] as const) {
        const rules = lists[direction].map(({ rule }) => rule);
        const index = firstMatch(rules, opening(direction, peer, 'SCTP', 80));
        const truth = [0, ...PORTS].map(
          (port) => judge(ruleset, { pod: POD, direction, peer, protocol: 'SCTP', port }).allowed,
        );
        const expected = truth.every((allowed) => allowed);
        assert.is(index !== null && rules[index]?.action !== 'deny', expected, `${i} ${direction} ${peer}`);
        if (expected) open++;
        else closed++;
      }
    }
  }
  assert.ok(open > 1000 && closed > 1000);
});

test('each kind of item renders the same whatever was rendered before', () => {
  const random = new Random(8);
  for (let i = 0; i < 50; i++) {
    const ruleset = randomRuleset(random);
    const once = render(ruleset);
    const twice = render(new Map([...ruleset].reverse()));
    assert.equal([...once.keys()].sort(), [...twice.keys()].sort());
    for (const [key, object] of once) assert.equal(object, twice.get(key));
  }
});

test('a short list is replaced in place; a long one is made anew, and the interface goes over to it', () => {
  const origin = { kind: 'NetworkPolicy', namespace: 'shop', name: 'p', field: null };
  const lists = (members: number): { readonly list: string; readonly bound: readonly string[] } => {
    const ruleset = new Map(randomRuleset(new Random(1)));
    const add = (item: Item): void => void ruleset.set(item.key, item);
    const addresses = Array.from({ length: members }, (_, i) => `10.2.${i >> 7}.${(i & 127) * 2}`);
    add({ kind: 'addressset', key: 'addressset/peers', addresses, blocks: [] });
    add({
      ...{ kind: 'policy', key: 'policy/p', direction: 'ingress', isolatedBy: [origin] },
      rules: [{ tier: 'network', action: 'allow', peers: ['addressset/peers'], ports: null, origin }],
    });
    add({
      ...{ kind: 'endpoint', key: 'endpoint/shop/web', pod: POD, interface: 'interface/pod/shop/web' },
      ...{ ingress: 'policy/p', egress: null },
    });
    const objects = render(ruleset);
    const binding = objects.get('acl-binding/pod/shop/web') as VppObject;
    const list = [...objects.keys()].find((key) => key.startsWith('acl/policy/p')) ?? '';
    assert.ok(binding.needs.includes(list));
    return { list, bound: (binding.spec as AclBindingSpec).output };
  };
  assert.is(lists(10).list, lists(11).list);
  assert.equal(lists(10).bound, lists(11).bound);
  const [long, longer] = [lists(LONGEST_REPLACED + 1), lists(LONGEST_REPLACED + 2)];
  assert.is.not(long.list, longer.list);
  assert.ok(longer.bound.includes(longer.list));
  assert.is(long.list, lists(LONGEST_REPLACED + 1).list, 'the same contents have the same name');
});

const PEER = '10.1.1.3';
const [SELF] = OWN as [string];

/** A pod's interface under policies; `with` brings others into force. */
class Pod {
  readonly #interface = new AclInterface();

  constructor(
    policies: Partial<Pick<EndpointItem, 'ingress' | 'egress'>>,
    peers: readonly string[] = [PEER],
  ) {
    this.with(policies, peers);
  }

  with(policies: Partial<Pick<EndpointItem, 'ingress' | 'egress'>>, peers: readonly string[] = [PEER]): void {
    const items = new Map(randomRuleset(new Random(1)));
    const origin = { kind: 'NetworkPolicy', namespace: 'shop', name: 'p', field: null };
    const add = (item: Item): void => void items.set(item.key, item);
    add({ kind: 'addressset', key: 'addressset/peers', addresses: peers, blocks: [] });
    for (const direction of ['ingress', 'egress'] as const) {
      add({
        ...{ kind: 'policy', key: `policy/${direction}`, direction, isolatedBy: [origin] },
        rules: [
          {
            ...{ tier: 'network', action: 'allow', peers: ['addressset/peers'], origin },
            ports: [
              { protocol: 'TCP', from: 80, to: 80 },
              { protocol: 'UDP', from: 80, to: 80 },
            ],
          },
        ],
      });
    }
    add({
      ...{ kind: 'endpoint', key: 'endpoint/shop/web', pod: POD, interface: 'interface/pod/shop/web' },
      ...{ ingress: policies.ingress ?? null, egress: policies.egress ?? null },
    });
    const { ingress, egress } = listsOf(items);
    this.#interface.set(
      egress.map(({ rule }) => rule),
      ingress.map(({ rule }) => rule),
    );
  }

  /** A packet from the pod. */
  sends(protocol: 'TCP' | 'UDP', from: number, to: number, flags = 0, destination = PEER): boolean {
    return this.#interface.pass(true, {
      ...{ source: SELF, destination, protocol: NUMBERS[protocol] },
      ...{ sourcePort: from, destinationPort: to, flags },
    });
  }

  /** A packet to the pod. */
  gets(protocol: 'TCP' | 'UDP', from: number, to: number, flags = 0, source = PEER): boolean {
    return this.#interface.pass(false, {
      ...{ source, destination: SELF, protocol: NUMBERS[protocol] },
      ...{ sourcePort: from, destinationPort: to, flags },
    });
  }
}

const BOTH = { ingress: 'policy/ingress', egress: 'policy/egress' } as const;

test('answers pass whatever the other direction says', () => {
  const server = new Pod(BOTH);
  assert.ok(server.gets('TCP', 40000, 80, TCP_SYN));
  assert.ok(server.sends('TCP', 80, 40000, TCP_SYN | TCP_ACK));
  assert.ok(server.gets('TCP', 40000, 80, TCP_ACK));
  const client = new Pod({ ingress: 'policy/ingress' }, []);
  assert.ok(client.sends('TCP', 40000, 5432, TCP_SYN), 'egress is open');
  assert.ok(client.gets('TCP', 5432, 40000, TCP_SYN | TCP_ACK));
  assert.not(client.gets('TCP', 40000, 5432, TCP_SYN), 'and nobody else gets in');
});

test('a connection that was there before the first policy goes on, whoever speaks first', () => {
  const pod = new Pod({});
  assert.ok(pod.gets('TCP', 40000, 80, TCP_SYN));
  assert.ok(pod.sends('TCP', 50000, 5432, TCP_SYN));
  pod.with(BOTH);
  assert.ok(pod.sends('TCP', 80, 40000, TCP_ACK), 'an answer comes first');
  assert.ok(pod.gets('TCP', 40000, 80, TCP_ACK));
  assert.ok(pod.sends('TCP', 80, 40000, TCP_ACK));
  assert.not(pod.sends('TCP', 50000, 5432, TCP_ACK), 'what the policy does not allow ends');
});

test('a connection that a policy ends is not brought back by what the server goes on sending', () => {
  for (const policies of [{ ingress: 'policy/ingress' }, BOTH]) {
    const pod = new Pod(policies);
    assert.ok(pod.gets('TCP', 40000, 80, TCP_SYN));
    assert.ok(pod.sends('TCP', 80, 40000, TCP_SYN | TCP_ACK));
    pod.with(policies, []);
    assert.not(pod.gets('TCP', 40000, 80, TCP_ACK));
    pod.sends('TCP', 80, 40000, TCP_ACK);
    assert.not(pod.gets('TCP', 40000, 80, TCP_ACK));
    assert.not(pod.gets('TCP', 40000, 80, TCP_SYN));
  }
});

test('a connection of which VPP lost the session is taken up again by its client', () => {
  const server = new Pod(BOTH);
  assert.ok(server.gets('TCP', 40000, 80, TCP_ACK));
  assert.ok(server.sends('TCP', 80, 40000, TCP_ACK));
  const client = new Pod({ ingress: 'policy/ingress' }, []);
  assert.ok(client.sends('TCP', 40000, 5432, TCP_ACK));
  assert.ok(client.gets('TCP', 5432, 40000, TCP_ACK));
  const open = new Pod({});
  assert.ok(open.sends('TCP', 80, 40000, TCP_ACK), 'where nothing is judged, by either end');
  assert.ok(open.gets('TCP', 40000, 80, TCP_ACK));
});

test('a policy that no longer holds closes nothing', () => {
  const pod = new Pod({ ingress: 'policy/ingress' }, []);
  assert.not(pod.gets('UDP', 40000, 80));
  pod.with({});
  assert.ok(pod.gets('UDP', 40000, 80));
  assert.ok(pod.sends('UDP', 80, 40000));
});

test('what enforces nothing is refused', () => {
  assert.equal(policyRenderers(DEFAULT_OPTIONS), [aclRenderer]);
  assert.throws(
    () => policyRenderers({ ...DEFAULT_OPTIONS, policies: 'npol' }),
    (error: unknown) => error instanceof PoliciesNotEnforcedError,
  );
});

test.run();
