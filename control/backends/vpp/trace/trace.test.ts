import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../../../common/errors.js';
import { Random } from '../../../oracle/random.js';
import type { TraceFilter } from '../../backend.js';
import { checkFilter, matches } from './filter.js';
import { joinHandoffs } from './handoff.js';
import { namesOf, parseHardware } from './names.js';
import { countPackets, flowOf, flowsOf, parseTrace } from './parse.js';
import { recordedTraces } from './recorded.js';
import { stepsOf } from './steps.js';

const test = suite('vpp trace');
const RECORDED = recordedTraces();

/** The lines of the packets that match, by their numbers. */
function told({ text, state, interfaces }: (typeof RECORDED)[number], filter: TraceFilter = {}): string[] {
  const names = namesOf(state, interfaces);
  const packets = parseTrace(text).filter((packet) => matches(packet, filter));
  return packets.flatMap((packet, i) =>
    stepsOf(packet, i + 1, names).map((step) => `${step.packet} ${step.text}`),
  );
}

for (const recorded of RECORDED) {
  test(`${recorded.version}: what was allowed, denied, translated and sent away is told`, () => {
    const all = told(recorded).join('\n');
    for (const line of [
      /receive: UDP 10\.1\.1\.2:7000 -> 10\.1\.1\.3:9, 29 bytes, on pod shop\/a/,
      /policy egress: allowed by default allow \(no policy decides\)/,
      /route: 10\.1\.1\.3 in pod table -> pod shop\/b/,
      /policy ingress: allowed by NetworkPolicy shop\/web spec\.ingress\[0\]/,
      /outcome: forward-pod on pod shop\/b/,
      /policy ingress: denied by default deny \(ingress isolated by NetworkPolicy shop\/closed\)/,
      /outcome: drop-policy-ingress \(acl-plugin-out-ip4-fa: ACL deny packets\)/,
      /outcome: drop-policy-ingress \(acl-plugin-out-ip6-fa: ACL deny packets\)/,
      /service: Service shop\/web -> 10\.1\.1\.3:81 \(pod shop\/b\)/,
      /service: answer becomes 10\.96\.0\.10(:80)? -> 10\.1\.1\.2(:7001)?/,
      /session: known connection, allowed/,
      /encap: VXLAN 10 to tunnel\/2/,
      /snat: source becomes 192\.168\.16\.1:\d+/,
      /outcome: forward-uplink on uplink/,
      /outcome: forward-host on host/,
      /outcome: nd-reply on pod shop\/a/,
    ]) {
      assert.match(all, line);
    }
  });

  test(`${recorded.version}: a packet's steps are in order, and say where they were`, () => {
    const names = namesOf(recorded.state, recorded.interfaces);
    const [packet] = parseTrace(recorded.text);
    assert.ok(packet);
    const steps = stepsOf(packet, 1, names);
    assert.equal(
      steps.map(({ stage, interface: key }) => [stage, key]),
      [
        ['receive', 'interface/pod/shop/a'],
        ['policy egress', 'interface/pod/shop/a'],
        ['route', 'interface/pod/shop/b'],
        ['policy ingress', 'interface/pod/shop/b'],
        ['outcome', 'interface/pod/shop/b'],
      ],
    );
    assert.equal(steps[0]?.pod, { namespace: 'shop', name: 'a' });
    assert.ok(steps.every(({ time }, i) => i === 0 || time >= (steps[i - 1]?.time ?? 0)));
  });

  test(`${recorded.version}: filters take both directions, before and after translation, and nothing else`, () => {
    const packets = parseTrace(recorded.text);
    assert.is(packets.length, countPackets(recorded.text));
    const count = (filter: TraceFilter): number =>
      packets.filter((packet) => matches(packet, checkFilter(filter))).length;
    const pair = count({ source: '10.1.1.2', destination: '10.1.1.3' });
    assert.is(count({ source: '10.1.1.3', destination: '10.1.1.2' }), pair);
    assert.ok(pair > 4 && pair < packets.length);
    const service = count({ destination: '10.96.0.10' });
    assert.ok(service >= 2 && service < pair);
    assert.is(count({ source: 'fd00:1:0:1:0::2', port: 80 }), count({ protocol: 6 }));
    assert.ok(count({ protocol: 6 }) > 0);
    assert.is(count({ port: 4 }), 0);
    assert.is(count({ source: '10.1.1.2', port: 9 }), 1);
    assert.is(count({}), packets.length);
  });

  test(`${recorded.version}: interfaces are found by the drivers' indexes`, () => {
    const hardware = parseHardware(recorded.hardware);
    assert.is([...hardware.values()].filter((name) => name === 'host-p1-a').length, 1);
    assert.ok(hardware.size >= 4);
  });

  test(`${recorded.version}: a spoiled text is read as far as it goes`, () => {
    const random = new Random(3);
    const names = namesOf(recorded.state, recorded.interfaces);
    for (let i = 0; i < 300; i++) {
      const text = spoiled(recorded.text, random);
      for (const [number, packet] of parseTrace(text).entries()) {
        const steps = stepsOf(packet, number + 1, names);
        assert.is(steps.at(-1)?.stage, 'outcome');
        matches(packet, { source: '10.1.1.2', port: 9 });
      }
    }
  });
}

/** Cut, doubled, and with other characters in it. */
function spoiled(text: string, random: Random): string {
  let result = text.slice(random.below(text.length / 2), text.length / 2 + random.below(text.length / 2));
  for (let hits = random.below(30); hits > 0; hits--) {
    const at = random.below(result.length);
    const what = random.pick([
      '',
      '\n',
      '\0',
      ' -> ',
      ': ',
      '99999999999999999999',
      '[',
      'acl -7',
      'é',
      '10.1.1.2',
    ]);
    result = result.slice(0, at) + what + result.slice(at + random.below(40));
  }
  return result;
}

test('flows are read with their ports and lengths', () => {
  assert.equal(flowOf(['SCTP: 10.0.0.1 -> 10.0.0.2', '  tos 0x00, ttl 64, length 48, checksum 0x1']), {
    ...{ protocol: 132, source: '10.0.0.1', destination: '10.0.0.2', ports: null, length: 48 },
  });
  assert.is(flowOf(['unknown 99: 10.0.0.1 -> 10.0.0.2'])?.protocol, 99);
  assert.is(flowOf(['IP4: 02:00:00:00:11:01 -> 02:00:00:00:03:01']), null);
  assert.is(flowOf(['UDP: 7000 -> 9']), null);
  assert.is(flowOf([]), null);
});

test('what is no trace holds no packets', () => {
  for (const text of [
    '',
    'No packets in trace buffer',
    '--- Start of thread 0 vpp_main ---\n\n',
    'Packet 1\n\n',
  ]) {
    assert.equal(parseTrace(text), []);
  }
});

test('packets of all threads are in the order of their times', () => {
  const packet = (time: string): string => `Packet 1\n\n00:00:0${time}:000000: af-packet-input\n  x\n`;
  const text = `---- Start of thread 0 a ----\n${packet('2')}\n---- Start of thread 1 b ----\n${packet('1')}`;
  assert.equal(
    parseTrace(text).map(({ thread, records }) => [thread, records[0]?.time]),
    [
      [1, 1000],
      [0, 2000],
    ],
  );
  assert.equal(flowsOf(parseTrace(text)[0] ?? { thread: 0, records: [] }), []);
});

test('every driver says in its own way where a packet came in', () => {
  const [recorded] = RECORDED;
  assert.ok(recorded);
  const { interfaces, state } = recorded;
  const [hardware] = [...interfaces.byHardware].find(([, name]) => name === 'host-p1-a') ?? [];
  const names = namesOf(state, interfaces);
  for (const line of [
    `af_packet: hw_if_index ${hardware} rx-queue 0 next-index 4`,
    `virtio: hw_if_index ${hardware} next-index 4 vring 0 len 98`,
    `memif: hw_if_index ${hardware} next-index 4`,
    'af_xdp: host-p1-a (3) next-node ethernet-input',
    'host-p1-a rx queue 0',
  ]) {
    const packet = { thread: 0, records: [{ time: 0, node: 'x-input', lines: [line] }] };
    assert.is(stepsOf(packet, 1, names)[0]?.interface, 'interface/pod/shop/a', line);
  }
});

test('what one worker hands to another is one packet again', () => {
  const record = (node: string, ...lines: string[]): string =>
    `00:00:01:000000: ${node}\n  ${lines.join('\n  ')}\n`;
  const input = (source: string): string => record('ip4-input', `UDP: ${source} -> 10.1.1.3`, 'UDP: 7 -> 9');
  const handed = (index: number): string =>
    record('handoff_trace', `HANDED-OFF: from thread 1 trace index ${index}`);
  const text = [
    '---- Start of thread 1 vpp_wk_0 ----',
    `Packet 1\n\n${input('10.1.1.1')}`,
    `Packet 2\n\n${input('10.1.1.2')}`,
    `Packet 3\n\n${input('10.1.1.2')}${record('error-drop', 'rx:a')}${record('drop', 'ip4-input: ip4 ttl <= 1')}`,
    '---- Start of thread 2 vpp_wk_1 ----',
    // One whose index is that of another packet of the same moment, and one whose beginning is gone.
    `Packet 1\n\n${handed(0)}${input('10.1.1.2')}${record('host-b-tx', 'x')}`,
    `Packet 2\n\n${handed(9)}${input('10.1.1.8')}${record('host-b-tx', 'x')}`,
  ].join('\n');
  const joined = joinHandoffs(parseTrace(text));
  assert.equal(
    joined.map(({ records }) => records.map(({ node }) => node)),
    [
      ['ip4-input'],
      ['ip4-input', 'ip4-input', 'host-b-tx'],
      ['ip4-input', 'error-drop', 'drop'],
      ['handoff_trace', 'ip4-input', 'host-b-tx'],
    ],
  );
  for (const { text: whole } of RECORDED) assert.equal(joinHandoffs(parseTrace(whole)), parseTrace(whole));
});

test('a filter that cannot be is refused', () => {
  for (const filter of [{ source: 'nonsense' }, { source: '10.0.0.1', destination: 'fd00::1' }]) {
    assert.throws(
      () => checkFilter(filter),
      (error: unknown) => error instanceof InvalidInputError,
    );
  }
  assert.equal(checkFilter({ source: 'FD00:0::1', port: 3 }), { source: 'fd00::1', port: 3 });
});

test.run();
