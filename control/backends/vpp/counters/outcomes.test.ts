import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../../oracle/random.js';
import { OutcomeCounter, type Roles } from './outcomes.js';
import type { PortSample, Sample } from './sample.js';

const test = suite('vpp outcomes');

const ROLES: Roles = {
  ports: new Set([1, 2, 3, 4]),
  uplink: new Set([1]),
  host: new Set([2]),
  tunnels: new Set([5]),
  own: new Set([0]),
  loops: new Set([6]),
};

/** What a VPP counts: local0, uplink, host, two pods, a tunnel, a loopback. */
class Counts {
  readonly ports = Array.from({ length: 7 }, () => ({ rx: 0, tx: 0, dropped: 0, punted: 0, spoken: 0 }));
  readonly errors = new Map<string, number>();
  names = ['local0', 'uplink', 'host', 'a', 'b', 'tunnel', 'loop'];

  at(index: number): { rx: number; tx: number; dropped: number; punted: number; spoken: number } {
    return this.ports[index] as (typeof this.ports)[number];
  }

  error(name: string, count = 1): void {
    this.errors.set(name, (this.errors.get(name) ?? 0) + count);
  }

  sample(): Sample {
    const ports = this.ports.map(
      (port, index): PortSample => ({
        name: this.names[index] ?? '',
        rx: { packets: port.rx, bytes: 0 },
        tx: { packets: port.tx, bytes: 0 },
        dropped: port.dropped,
        punted: port.punted,
        missed: 0,
        spoken: port.spoken,
      }),
    );
    const rest = { acls: new Map(), translations: [], natSessions: 0, values: new Map() };
    return { ports, errors: new Map(this.errors), ...rest };
  }
}

function total(outcomes: Readonly<Record<string, number>>): number {
  return Object.values(outcomes).reduce((sum, count) => sum + count, 0);
}

test('what was sent on is told apart by where it went', () => {
  const counts = new Counts();
  counts.at(3).rx = 20;
  counts.at(5).tx = 4;
  // The tunnel's packets, three of pods, and an ARP request of VPP's own.
  counts.at(1).tx = 8;
  counts.at(1).spoken = 1;
  counts.at(2).tx = 2;
  counts.at(4).tx = 11;
  assert.equal(new OutcomeCounter().add(counts.sample(), ROLES), {
    'forward-host': 2,
    'forward-pod': 11,
    'forward-tunnel': 4,
    'forward-uplink': 3,
  });
});

test('drops have the names of their reasons, answers those of answers', () => {
  const counts = new Counts();
  counts.at(3).rx = 10;
  counts.at(3).dropped = 5;
  counts.at(5).dropped = 1;
  counts.error('acl-plugin-out-ip4-fa/ACL deny packets', 3);
  counts.error('acl-plugin-out-ip4-fa/checked packets', 9);
  counts.error('arp-reply/replies_received');
  counts.error('arp-reply/replies_sent', 2);
  counts.error('ip4-rx-urpf-strict/uRPF Drop', 2);
  assert.equal(new OutcomeCounter().add(counts.sample(), ROLES), {
    'arp-learned': 1,
    'arp-reply': 2,
    'drop-policy-ingress': 3,
    'drop-spoofed': 2,
    'forward-pod': 2,
  });
});

test('a packet that an ICMP error was sent for has that outcome, and one for which none was sent its drop', () => {
  const counts = new Counts();
  counts.at(3).rx = 10;
  counts.at(3).dropped = 10;
  counts.error('ip4-input/time_expired', 3);
  counts.error('ip4-icmp-error/ttl_expire_sent', 2);
  counts.error('ip4-rewrite/mtu_exceeded', 1);
  counts.error('ip4-udp-lookup/no_listener', 1);
  counts.error('ethernet-input/no error', 5);
  counts.error('ip4-icmp-error/dest_unreach_sent', 4);
  const outcomes = new OutcomeCounter().add(counts.sample(), ROLES);
  assert.equal(
    Object.entries(outcomes).filter(([, count]) => count > 0),
    [
      ['drop-no-route', 3],
      ['drop-ttl', 1],
      ['fragmentation-needed-sent', 1],
      ['reject-sent', 3],
      ['ttl-exceeded-sent', 2],
    ],
  );
});

test('an unknown counter is a reason only where drops are left to explain', () => {
  const counts = new Counts();
  const counter = new OutcomeCounter();
  counts.at(3).rx = 5;
  counts.error('some-node/Figures', 7);
  assert.equal(counter.add(counts.sample(), ROLES), { 'forward-pod': 5 });
  counts.at(3).rx = 10;
  counts.at(3).dropped = 3;
  counts.at(3).punted = 1;
  counts.error('some-node/Figures', 2);
  assert.equal(counter.add(counts.sample(), ROLES), {
    'drop-no-route': 2,
    'drop-vpp-some-node-figures': 2,
    'forward-pod': 6,
  });
});

test('every packet has one outcome, and no count ever falls, whatever is made anew', () => {
  const random = new Random(5);
  const counts = new Counts();
  const counter = new OutcomeCounter();
  let received = 0;
  let before: Readonly<Record<string, number>> = {};
  const errors = [
    'ip4-input/time_expired',
    'ip6-rx-urpf-strict/uRPF Drop',
    'odd-node/Odd',
    'arp-reply/replies_sent',
  ];
  for (let round = 0; round < 500; round++) {
    for (let packets = random.below(20); packets > 0; packets--) {
      const port = counts.at(1 + random.below(4));
      port.rx++;
      received++;
      const error = random.chance(0.4) ? random.pick(errors) : null;
      if (error === null) counts.at(1 + random.below(5)).tx++;
      else if (!error.startsWith('arp-')) port.dropped++;
      if (error !== null) counts.error(error);
      if (error?.startsWith('ip4') && random.chance(0.5)) counts.error('ip4-icmp-error/ttl_expire_sent');
    }
    const outcomes = counter.add(counts.sample(), ROLES);
    assert.is(total(outcomes), received);
    for (const [name, count] of Object.entries(before)) assert.ok((outcomes[name] ?? 0) >= count, name);
    before = outcomes;
    if (random.chance(0.1)) {
      // A pod goes and another one comes in its place.
      Object.assign(counts.at(4), { rx: 0, tx: 0, dropped: 0, punted: 0, spoken: 0 });
      counts.names = counts.names.map((name, index) => (index === 4 ? `pod-${round}` : name));
    }
  }
  assert.ok((before['drop-ttl'] ?? 0) > 0 && (before['ttl-exceeded-sent'] ?? 0) > 0);
});

test('what VPP made itself and dropped is nobody else', () => {
  const counts = new Counts();
  const counter = new OutcomeCounter();
  counts.at(3).rx = 5;
  counts.at(4).tx = 5;
  counts.at(0).dropped = 2;
  counts.error('ip6-local-hop-by-hop/Unknown protocol ip6 local h-b-h packets dropped', 2);
  const outcomes = counter.add(counts.sample(), ROLES);
  assert.is(outcomes['forward-pod'], 5);
  assert.is(total(outcomes), 5);
});

test('what a loopback says and hears itself is not a packet that a policy refused', () => {
  const counts = new Counts();
  const counter = new OutcomeCounter();
  counts.at(3).rx = 5;
  counts.at(4).tx = 5;
  counts.at(6).dropped = 1;
  counts.at(0).dropped = 1;
  counts.error('ip6-local-hop-by-hop/Unknown protocol ip6 local h-b-h packets dropped');
  counts.error('acl-plugin-out-ip6-fa/ACL deny packets');
  assert.equal(counter.add(counts.sample(), ROLES), { 'forward-pod': 5 });
});

test('a packet of somebody that is dropped on a loopback stays one', () => {
  const counts = new Counts();
  counts.at(3).rx = 5;
  counts.at(6).dropped = 1;
  counts.error('ip6-input/ip6 ttl <= 1');
  assert.equal(total(new OutcomeCounter().add(counts.sample(), ROLES)), 5);
});

test('interfaces with slashes in their names lose packets like others', () => {
  const counts = new Counts();
  counts.at(3).rx = 5;
  counts.error('memif0/1-tx/no_free_slots', 2);
  counts.error('TenGigabitEthernet3/0/0-output/interface is down', 1);
  counts.at(3).dropped = 1;
  assert.equal(new OutcomeCounter().add(counts.sample(), ROLES), {
    'drop-port': 1,
    'drop-queue-full': 2,
    'forward-pod': 2,
  });
});

test('what VPP counts twice does not take the place of what comes later', () => {
  const counts = new Counts();
  const counter = new OutcomeCounter();
  counts.at(3).rx = 5;
  counts.error('ip4-rewrite/mtu_exceeded', 5);
  counts.error('acl-plugin-out-ip4-fa/ACL deny packets', 3);
  counter.add(counts.sample(), ROLES);
  for (let round = 1; round < 4; round++) {
    counts.at(3).rx += 2;
    counts.error('ip4-rx-urpf-strict/uRPF Drop', 2);
    assert.is(counter.add(counts.sample(), ROLES)['drop-spoofed'], 2 * round);
  }
});

test('the end of a packet that is read before its arrival waits for it', () => {
  const counts = new Counts();
  const counter = new OutcomeCounter();
  counts.at(3).rx = 5;
  counts.error('acl-plugin-out-ip4-fa/ACL deny packets', 7);
  assert.equal(counter.add(counts.sample(), ROLES), { 'drop-policy-ingress': 5 });
  counts.at(3).rx = 9;
  assert.equal(counter.add(counts.sample(), ROLES), { 'drop-policy-ingress': 7, 'forward-pod': 2 });
});

test.run();
