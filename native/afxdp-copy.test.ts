/** Ports whose packets a program copies into a ring (tcx), in place of XDP. What all ports have in common is in afxdp.test.ts. */
import * as assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as L from '../dataplane-as/layout/index.js';
import { kernel, program, root, testIf } from '../test/support/requires.js';
import { Bed, FRAMES_OFFSET, name, portOfAnotherProcess, withBed } from './afxdp-bed.js';

const run = promisify(execFile);
const test = suite('afxdp-copy');
const NEEDS = [root(), kernel(6, 6), program('ip')];
const it = testIf(test, ...NEEDS, program('ping'));

/** Sends frames from the pod's own end, which is port 2. */
function sendFromPod(bed: Bed, frames: readonly Uint8Array[]): void {
  for (const [entry, frame] of frames.entries()) {
    assert.ok(bed.xdp.inject(entry, frame, L.PORT_NONE));
    bed.setWord(entry, L.V_TX_PORT, 2);
  }
}

/** Port 0 copies. No packets but those of the test. */
function copyBed(bed: Bed): void {
  for (const netns of bed.pods) netns.setSysctl('net/ipv6/conf/all/disable_ipv6', '1');
  bed.node.setSysctl('net/ipv6/conf/all/disable_ipv6', '1');
  assert.equal(bed.addPort(0, { mode: 'copy' }).mode, 'copy');
  bed.addPort(2, { netns: bed.pods[0]!, link: 'eth0' });
}

it('copies packets of every length as they are, VLAN tags too', () =>
  withBed(new Bed(1), (bed) => {
    copyBed(bed);
    const lengths = [60, 63, 64, 65, 255, 256, 257, 1000, 1514];
    const sent = lengths.flatMap((length, n) =>
      [
        [0x08, 0x00],
        [0x81, 0x00, 0x20 + n, 0x07, 0x08, 0x00],
        [0x88, 0xa8, 0, n, 0x86, 0xdd],
      ].map((type) => {
        const frame = Uint8Array.from(
          { length: length - (type.length > 2 ? 0 : 4) },
          (_, i) => (i * 7 + n) & 0xff,
        );
        frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, ...type]);
        return frame;
      }),
    );
    sendFromPod(bed, sent);
    const received: Uint8Array[] = [];
    const bytes = new Uint8Array(bed.memory.buffer);
    for (let n = bed.xdp.step(sent.length, 0); received.length < sent.length; n = bed.xdp.step(n, 100_000)) {
      assert.ok(n > 0, `${received.length} of ${sent.length} arrived`);
      for (let i = 0; i < n; i++) {
        const at = bed.word(i, L.V_ADDRESS);
        assert.equal(bed.word(i, L.V_TOTAL), bed.word(i, L.V_LENGTH));
        received.push(bytes.slice(at, at + bed.word(i, L.V_LENGTH)));
      }
    }
    assert.deepEqual(received, sent);
    bed.drain();
    assert.deepEqual(bed.xdp.counters(0), { rxDropped: 0, txFull: 0, fillEmpty: 0, invalid: 0 });
    assert.ok(bed.allFree(0, 2));
  }));

it('counts each packet that a full ring had no room for', () =>
  withBed(new Bed(1), (bed) => {
    copyBed(bed);
    const reader = bed.xdp;
    const { buffer } = new WebAssembly.Memory({ initial: 80, maximum: 80, shared: true });
    const words = new Uint32Array(buffer);
    bed.xdp.removePort(2);
    assert.ok(bed.conserved().free > 0);
    const writer = bed.native.openXdp({
      memory: new Uint8Array(buffer),
      vectorOffset: 0,
      vectorCapacity: 256,
      framesOffset: FRAMES_OFFSET,
      frameSize: 2048,
      frameCount: 1024,
      batch: 64,
    });
    try {
      writer.addPort(0, { netns: bed.pods[0]!, link: 'eth0', mode: 'native', mtu: 1500 });
      const [rounds, each] = [100, 200];
      for (let round = 0; round < rounds; round++) {
        // The kernel may still have those of the rounds before.
        while (writer.frames().free < each) writer.step(0, 1000);
        for (let i = 0; i < each; i++) {
          assert.ok(writer.inject(i, new Uint8Array(60), L.PORT_NONE));
          words[(i * L.VECTOR_SIZE + L.V_TX_PORT) >>> 2] = 0;
        }
        writer.step(writer.step(each, 0), 0);
      }
      assert.equal(writer.counters(0).txFull, 0);
      const lost = reader.counters(0).rxDropped;
      assert.ok(lost > 0);
      let arrived = 0;
      for (let n = reader.step(0, 0); n > 0; n = reader.step(n, 0)) arrived += n;
      assert.equal(arrived + lost, rounds * each);
    } finally {
      writer.close();
    }
  }));

testIf(
  test,
  ...NEEDS,
  program('python3'),
)('refuses and counts what comes as segments that nobody cut', () =>
  withBed(new Bed(1), (bed) => {
    for (const netns of [bed.node, bed.pods[0]!]) netns.setSysctl('net/ipv6/conf/all/disable_ipv6', '1');
    assert.equal(bed.addPort(0, { mode: 'copy' }).mode, 'copy');
    bed.pods[0]!.addNeighbor('eth0', '10.9.0.99', '02:00:00:00:00:09');
    bed.drain(0, 20_000);
    /** Ten datagrams of ten segments each; what of them is received. */
    const send = (): readonly number[] => {
      const code = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_UDP, 103, 1000) # UDP_SEGMENT
for _ in range(10): s.sendto(bytes(10000), ('10.9.0.99', 9))`;
      execFileSync('ip', ['netns', 'exec', name('p0'), 'python3', '-c', code]);
      const lengths: number[] = [];
      for (let n = bed.xdp.step(0, 0); n > 0; n = bed.xdp.step(n, 0))
        for (let i = 0; i < n; i++) lengths.push(bed.word(i, L.V_TOTAL));
      return lengths;
    };
    // What a pod with the right to could do to its own link.
    bed.pods[0]!.setOffloads('eth0', { txChecksum: true, tso: true, gso: true });
    assert.deepEqual(send(), []);
    assert.equal(bed.xdp.counters(0).rxDropped, 10);
    bed.pods[0]!.setOffloads('eth0', { txChecksum: false, tso: false });
    assert.deepEqual(send(), Array(100).fill(1042));
    assert.equal(bed.xdp.counters(0).rxDropped, 10);
  }),
);

it('gives rings to as many ports as it has memory for, and to another one when one goes', () =>
  withBed(new Bed(1), (bed) => {
    const RINGS = 24;
    const open = (port: number): string => bed.addPort(port, { mode: 'copy', link: `more${port}` }).mode;
    for (let port = 0; port < RINGS + 2; port++)
      bed.node.createVeth(
        { name: `more${port}`, mtu: 1500 },
        { name: `far${port}`, mtu: 1500, netns: bed.pods[0]! },
      );
    const modes = Array.from({ length: RINGS + 1 }, (_, port) => open(port));
    assert.deepEqual(modes, [...Array(RINGS).fill('copy'), 'native']);
    bed.xdp.removePort(3);
    assert.equal(open(RINGS + 1), 'copy');
    assert.equal(open(3), 'native');
    assert.ok(bed.allFree(...Array(RINGS + 2).keys()));
  }));

/** A process in the pod that sends datagrams of many lengths, each with its number and bytes that follow from it; how many it sent. */
async function flood(datagrams: number, sender: number): Promise<number> {
  const { stdout } = await run('ip', [
    ...['netns', 'exec', name('p0'), process.execPath, '-e'],
    `const socket = require('node:dgram').createSocket('udp4');
     let sent = 0, done = 0;
     for (let n = 0; n < ${datagrams}; n++) {
       const bytes = Buffer.alloc(8 + (n * 37 + ${sender} * 400) % 1400, n & 0xff);
       bytes.writeUInt32LE(${sender}, 0);
       bytes.writeUInt32LE(n, 4);
       socket.send(bytes, 9999, '10.9.0.99', (error) => {
         if (error === null) sent++;
         if (++done === ${datagrams}) { console.log(sent); socket.close(); }
       });
     }`,
  ]);
  return Number(stdout);
}

for (const [what, reading] of [
  ['as they come', true],
  ['when they have come, and many were lost', false],
] as const) {
  it(`copies what several cores send at a time, read ${what}`, () =>
    withBed(new Bed(1), async (bed) => {
      for (const netns of [bed.node, bed.pods[0]!]) netns.setSysctl('net/ipv6/conf/all/disable_ipv6', '1');
      bed.addPort(0, { mode: 'copy' });
      bed.drain(0, 20_000);
      bed.pods[0]!.addNeighbor('eth0', '10.9.0.99', '02:00:00:00:00:09');
      const next = [0, 0];
      let arrived = 0;
      const read = (): void => {
        for (let n = bed.xdp.step(0, 0); n > 0; n = bed.xdp.step(n, 0)) {
          for (let i = 0; i < n; i++, arrived++) {
            const datagram = Buffer.from(bed.bytesOf(i)).subarray(14 + 20 + 8);
            const [sender, number] = [datagram.readUInt32LE(0), datagram.readUInt32LE(4)];
            assert.ok(number >= next[sender]!, 'in order');
            next[sender] = number + 1;
            assert.equal(datagram.length, 8 + ((number * 37 + sender * 400) % 1400));
            assert.ok(datagram.subarray(8).every((byte) => byte === (number & 0xff)));
          }
        }
      };
      let under = true;
      const sent = Promise.all([flood(5000, 0), flood(5000, 1)]).finally(() => {
        under = false;
      });
      while (under) {
        if (reading) read();
        await turn();
      }
      const total = (await sent).reduce((sum, each) => sum + each);
      read();
      const lost = bed.xdp.counters(0).rxDropped;
      assert.equal(arrived + lost, total);
      if (!reading) assert.ok(arrived > 1000 && lost > 1000);
    }));
}

it('is woken by each packet that comes while it sleeps', () =>
  withBed(new Bed(1), async (bed) => {
    bed.node.setSysctl('net/ipv6/conf/all/disable_ipv6', '1');
    bed.pods[0]!.setSysctl('net/ipv6/conf/all/disable_ipv6', '1');
    bed.addPort(0, { mode: 'copy' });
    bed.drain(0, 20_000);
    bed.pods[0]!.addNeighbor('eth0', '10.9.0.99', '02:00:00:00:00:09');
    const ping = bed.ping(0, 98, '-c', '40', '-i', '0.02', '-W', '1');
    void ping.catch(() => undefined); // nobody answers
    let received = 0;
    for (let seen = 0; seen < 40; seen += received) {
      const start = process.hrtime.bigint();
      received = bed.xdp.step(received, 10_000_000);
      assert.ok(received > 0, `nothing came for ${(process.hrtime.bigint() - start) / 1_000_000n} ms`);
    }
    await ping.catch(() => undefined);
    bed.drain(received);
  }));

it('lets the kernel have the packets again when a process that copied them is killed', () =>
  withBed(new Bed(1), async (bed) => {
    bed.node.addAddress('port0', '10.9.0.2/24');
    const answered = (): boolean => {
      try {
        execFileSync('ip', ['netns', 'exec', name('p0'), 'ping', '-c', '1', '-W', '1', '10.9.0.2']);
        return true;
      } catch {
        return false;
      }
    };
    const child = portOfAnotherProcess(bed, 'copy');
    await new Promise((resolve) => child.stdout.once('data', resolve));
    assert.ok(!answered());
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    for (let i = 0; i < 10 && !answered(); i++) await turn();
    assert.ok(answered());
  }));

test.run();
