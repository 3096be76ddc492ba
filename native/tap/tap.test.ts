/** TAPs at the engine: real pods' stacks on both ends, who check every checksum themselves. Needs root. */
import * as assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as L from '../../dataplane-as/layout/index.js';
import { file, program, root, testIf } from '../../test/support/requires.js';
import { type Kind, TapBed, withTapBed } from './tap-bed.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const needs = [root(), file(addon)];
const TCP = ['-t', '1'];

interface Report {
  readonly end: {
    readonly sum_received: { readonly bits_per_second: number };
    readonly sum: { readonly packets: number; readonly lost_packets: number };
  };
}

/** iperf3 from pod 0 to pod 1 over the wire; what it reports. */
async function iperf(bed: TapBed, what: readonly string[], each: (entry: number) => void) {
  const argv = ['netns', 'exec', bed.name('p1'), 'iperf3', '-s', '-1', '--forceflush'];
  const server = spawn('ip', argv, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(server, 'exit');
  // It says so when it listens.
  await once(server.stdout, 'data');
  const client = ['iperf3', '-c', '10.9.0.2', ...what, '-J', '--connect-timeout', '2000'];
  try {
    const { result, longest } = await bed.wireUntil(bed.inside(0, ...client), each);
    return { end: (JSON.parse(result) as Report).end, longest };
  } finally {
    server.kill();
    await ended;
  }
}

async function noChecksumErrors(bed: TapBed): Promise<void> {
  for (const n of [0, 1]) {
    for (const name of ['TcpInCsumErrors', 'UdpInCsumErrors', 'IpInHdrErrors', 'IcmpInCsumErrors']) {
      assert.equal(await bed.counter(n, name), 0, `${name} of pod ${n}`);
    }
  }
}

const PAIRS: readonly (readonly [Kind, Kind])[] = [
  ['tap', 'tap'],
  ['tap', 'veth'],
  ['veth', 'tap'],
];

for (const pair of PAIRS) {
  for (const mtu of [1500, 9000]) {
    testIf(
      test,
      ...needs,
      program('iperf3'),
      program('nstat'),
    )(`${pair.join(' to ')}, MTU ${mtu}: bulk TCP arrives, every checksum right`, async () => {
      await withTapBed(new TapBed(pair, mtu), async (bed) => {
        let cut = 0;
        const { end, longest } = await iperf(bed, TCP, (i) => {
          cut = Math.max(cut, bed.segment(i));
        });
        const gbits = end.sum_received.bits_per_second / 1e9;
        process.stdout.write(
          `${pair.join(' to ')}, MTU ${mtu}: ${gbits.toFixed(2)} Gbit/s, longest ${longest.join(' and ')}\n`,
        );
        assert.ok(gbits > 0.1, `${gbits} Gbit/s`);
        if (pair[0] === 'tap') {
          assert.ok(longest[0]! > 2 * mtu, `segments stay together: ${longest[0]}`);
          assert.equal(cut, mtu, 'the longest segment fills the MTU');
        }
        await noChecksumErrors(bed);
        for (const port of [0, 1]) assert.equal(bed.xdp.counters(port).invalid, 0);
        assert.ok(bed.allFree());
      });
    });
  }

  testIf(
    test,
    ...needs,
    program('ping'),
    program('nstat'),
  )(`${pair.join(' to ')}: ping and fragments of every size`, async () => {
    await withTapBed(new TapBed(pair), async (bed) => {
      for (const size of [0, 1, 56, 1472, 1473, 3000, 20_000]) {
        const { result } = await bed.wireUntil(
          bed.inside(0, 'ping', '-c', '3', '-i', '0.02', '-w', '5', '-s', String(size), '10.9.0.2'),
        );
        // It goes on until three are answered, so one that others' load holds up for two round trips is no loss.
        assert.match(result, /3 received/, `${size} bytes`);
      }
      await noChecksumErrors(bed);
      assert.ok(bed.allFree());
    });
  });
}

for (const pair of PAIRS) {
  testIf(
    test,
    ...needs,
    program('iperf3'),
    program('nstat'),
  )(`${pair.join(' to ')}: large UDP packets in one piece`, async () => {
    await withTapBed(new TapBed(pair, 9000), async (bed) => {
      // Around the end of the first frame and of the next ones.
      for (const size of [1878, 1879, 1880, 3926, 3927, 8900]) {
        const packets = 40;
        const udp = ['-u', '-l', String(size), '-b', '100M', '-k', String(packets)];
        const { end, longest } = await iperf(bed, udp, () => {});
        assert.deepEqual([end.sum.packets, end.sum.lost_packets], [packets, 0], `${size} bytes`);
        assert.equal(longest[0], 42 + size);
      }
      await noChecksumErrors(bed);
      for (const port of [0, 1]) assert.equal(bed.xdp.counters(port).invalid, 0);
      assert.ok(bed.allFree());
    });
  });
}

testIf(
  test,
  ...needs,
  program('iperf3'),
)('a packet that became a short answer leaves its buffers behind', async () => {
  await withTapBed(new TapBed(['tap', 'tap']), async (bed) => {
    let shortened = 0;
    await iperf(bed, TCP, (i) => {
      if (bed.word(i, L.V_TOTAL) < 20_000 || shortened > 20) return;
      shortened++;
      // As the pipeline turns a packet into an ICMP error: the first buffer only, and no packet of the sender's any more.
      bed.setWord(i, L.V_LENGTH, 500);
      bed.setWord(i, L.V_TOTAL, 500);
      bed.setWord(i, L.V_OUTCOME, L.OUT_FRAG_NEEDED_SENT);
    });
    assert.ok(shortened > 0);
    for (const port of [0, 1]) assert.equal(bed.xdp.counters(port).invalid, 0);
    assert.ok(bed.allFree());
  });
});

testIf(
  test,
  ...needs,
  program('ping'),
)('a TAP that vanishes takes nothing along, and another comes in its place', async () => {
  await withTapBed(new TapBed(['tap', 'tap']), async (bed) => {
    const ping = ['ping', '-c', '2', '-i', '0.02', '-W', '1', '10.9.0.2'];
    await bed.wireUntil(bed.inside(0, ...ping));
    bed.pods[1]!.deleteLink('eth0');
    await bed.wireUntil(bed.inside(0, ...ping).catch(() => null));
    assert.ok(bed.xdp.counters(1).txFull > 0, 'what cannot be sent is counted');
    bed.xdp.removePort(1);
    bed.wire(1);
    bed.attach(1);
    const { result } = await bed.wireUntil(bed.inside(0, ...ping));
    assert.match(result, /2 received/);
    assert.ok(bed.allFree());
  });
});

testIf(
  test,
  ...needs,
  program('ping'),
)('large packets come a few at a time, and TAPs take turns', async () => {
  await withTapBed(new TapBed(['tap', 'tap', 'tap'], 9000), async (bed) => {
    // Nobody answers, and all of them wait in the kernel.
    const pings = (n: number, count: number): Promise<string> =>
      bed
        .inside(n, 'ping', '-c', String(count), '-i', '0.002', '-W', '0.01', '-s', '8900', '10.9.0.2')
        .catch(() => '');
    const drop = (received: number): readonly number[] => {
      for (let i = 0; i < received; i++) bed.setWord(i, L.V_TX_PORT, L.PORT_NONE);
      return Array.from({ length: received }, (_, i) => bed.word(i, L.V_RX_PORT));
    };
    // A link that has just come up loses what is sent before the kernel noticed.
    for (const n of [0, 2]) {
      for (let heard = false; !heard; bed.xdp.step(heard ? 1 : 0, 0)) {
        await pings(n, 1);
        heard = drop(bed.xdp.step(0, 0)).includes(n);
      }
    }
    for (const n of [0, 2]) await pings(n, 10);
    const batches: (readonly number[])[] = [];
    for (let received = 0; batches.length === 0 || received > 0; ) {
      received = bed.xdp.step(received, 0);
      batches.push(drop(received));
    }
    const four = (port: number): number[] => [port, port, port, port];
    assert.deepEqual(batches, [four(0), four(2), four(0), four(2), [0, 0, 2, 2], []]);
    assert.ok(bed.allFree());
  });
});

/** Where the pipeline says that the judged header begins, beside where the packet's checksum begins, and whether it may be written then. */
const JUDGED: readonly (readonly [
  what: string,
  beside: number,
  protocol: number,
  sent: boolean,
  flags?: number,
])[] = [
  ['the header itself', 0, 17, true],
  ['a header of another protocol', 0, 132, false],
  ['a header that begins later: the checksum would be one of its ports', 4, 17, false],
  ['a header that ends later', -4, 17, false],
  ['a header in front of it: a tunnel of the pod’s own', -8, 17, true],
  ['TCP, which has none behind it', -20, 6, false],
  ['a fragment', 0, 17, false, L.VF_FIRST_FRAGMENT],
];

for (const kind of ['tap', 'veth'] as const) {
  testIf(test, ...needs)(
    `tap to ${kind}: a pod cannot have a checksum written over what policies judged`,
    async () => {
      await withTapBed(new TapBed(['tap', kind]), async (bed) => {
        for (const [what, beside, protocol, sent, flags = 0] of JUDGED) {
          const before = bed.xdp.counters(1).invalid;
          const datagram = bed.inside(0, 'bash', '-c', 'echo 123 > /dev/udp/10.9.0.2/53');
          let seen = 0;
          const all = datagram.then(async () => {
            while (seen === 0) await new Promise((resolve) => setTimeout(resolve, 1));
          });
          await bed.wireUntil(all, (i) => {
            const from = bed.word(i, L.V_RX_PORT);
            if (from !== 0 || bed.word(i, L.V_PROTOCOL) !== 17) return;
            seen++;
            bed.setWord(i, L.V_L4, bed.word(i, L.V_L4) + beside);
            bed.setWord(i, L.V_PROTOCOL, protocol);
            bed.setWord(i, L.V_FLAGS, flags);
          });
          assert.equal(bed.xdp.counters(1).invalid - before, sent ? 0 : seen, what);
        }
        assert.ok(bed.allFree());
      });
    },
  );
}

testIf(
  test,
  ...needs,
  program('ping'),
)('one who sends large packets is read without asking the others, but not for long', async () => {
  const large = 60_000;
  await withTapBed(new TapBed(['tap', 'tap', 'tap'], 65_000), async (bed) => {
    // Nobody answers, and all of them wait in the kernel.
    const pings = (n: number, count: number, bytes: number): Promise<string> =>
      bed
        .inside(n, 'ping', '-c', String(count), '-i', '0.002', '-W', '0.01', '-s', String(bytes), '10.9.0.2')
        .catch(() => '');
    const drop = (received: number): readonly number[] => {
      for (let i = 0; i < received; i++) bed.setWord(i, L.V_TX_PORT, L.PORT_NONE);
      return Array.from({ length: received }, (_, i) => bed.word(i, L.V_RX_PORT));
    };
    // A link that has just come up loses what is sent before the kernel noticed.
    for (const n of [0, 2]) {
      for (let heard = false; !heard; bed.xdp.step(heard ? 1 : 0, 0)) {
        await pings(n, 1, 10);
        heard = drop(bed.xdp.step(0, 0)).includes(n);
      }
    }
    await pings(0, 30, large);
    const batches: (readonly number[])[] = [drop(bed.xdp.step(0, 0)), drop(bed.xdp.step(1, 0))];
    assert.deepEqual(batches.flat(), [0, 0]);
    await pings(2, 3, 10);
    for (let received = 1; received > 0; ) {
      received = bed.xdp.step(received, 0);
      batches.push(drop(received));
    }
    const others = batches.findIndex((batch) => batch.includes(2));
    assert.ok(others >= 0 && others <= 10, batches.join(' '));
    assert.equal(batches.flat().filter((n) => n === 0).length, 30);
    assert.ok(bed.allFree());
  });
});

testIf(test, ...needs)('a TAP that is not there, or that another has, is not opened', async () => {
  await withTapBed(new TapBed(['tap', 'veth']), async (bed) => {
    const [pod] = bed.pods;
    const open = (port: number, link: string) => () =>
      bed.xdp.addPort(port, { netns: pod!, link, mode: 'tap', mtu: 1500 });
    assert.throws(open(5, 'eth7'), { code: 'ENODEV' });
    assert.throws(open(5, 'eth0'), { code: 'EBUSY', retryable: true });
    assert.throws(open(5, 'lo'), { code: 'EINVAL' });
    assert.throws(() => pod!.createTap('eth0'), { code: 'EEXIST' });
    assert.ok(bed.allFree());
  });
});

test.run();
