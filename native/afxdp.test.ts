import * as assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as L from '../dataplane-as/layout/index.js';
import { kernel, program, root, testIf } from '../test/support/requires.js';
import { Bed, FRAME_COUNT, FRAMES_OFFSET, name, portOfAnotherProcess, withBed } from './afxdp-bed.js';
import { NativeError, type Netns, type Xdp } from './index.js';

const test = suite('afxdp');
const NEEDS = [root(), program('ip'), program('ping')];
const it = testIf(test, ...NEEDS);
// Packets of several buffers, and tcx.
const its66 = testIf(test, ...NEEDS, kernel(6, 6));
/** A test of both ways of sending. */
const bothWays = (what: string, body: () => Promise<void> | void, on = it): void => {
  for (const [sending, way] of [
    ['best', 'in batches'],
    ['xdp', 'each by AF_XDP'],
  ] as const)
    on(`${what}, sending ${way}`, () => {
      Bed.sending = sending;
      return body();
    });
};

function code(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof NativeError, String(error));
    return error.code;
  }
  return '';
}

for (const mode of ['native', 'generic', 'copy'] as const) {
  bothWays(
    `carries pings between two namespaces (${mode})`,
    () =>
      withBed(new Bed(2), async (bed) => {
        assert.equal(bed.addPort(0, { mode }).mode, mode);
        assert.equal(bed.addPort(1, { mode }).mode, mode);
        const { result, packets } = await bed.wireUntil(bed.ping(0, 1, '-c', '50', '-i', '0.005', '-W', '1'));
        assert.match(result.stdout, / 0% packet loss/);
        assert.ok(packets >= 100);
        for (const port of [0, 1])
          assert.deepEqual(bed.xdp.counters(port), { rxDropped: 0, txFull: 0, fillEmpty: 0, invalid: 0 });
        assert.ok(bed.allFree(0, 1));
      }),
    mode === 'copy' ? its66 : it,
  );
}

for (const mode of ['auto', 'copy'] as const) {
  bothWays(
    `carries jumbo packets in chains of buffers (${mode})`,
    () =>
      withBed(new Bed(2, 9000, 2048), async (bed) => {
        const added = bed.addPort(0, { mode, mtu: 9000 });
        bed.addPort(1, { mode, mtu: 9000 });
        assert.ok(added.multiBuffer);
        const ping = bed.ping(0, 1, '-c', '30', '-i', '0.005', '-s', '8972', '-M', 'do', '-W', '1');
        const { result, longest } = await bed.wireUntil(ping);
        assert.match(result.stdout, / 0% packet loss/);
        assert.equal(longest, 9014);
        assert.ok(bed.allFree(0, 1));
      }),
    its66,
  );

  bothWays(`loses no frame while ports come and go under a flood (${mode})`, () =>
    withBed(new Bed(4), async (bed) => {
      bed.addPort(0, { mode });
      bed.addPort(1, { mode });
      let changes = 0;
      const open = (): void => bed.openPort(2 + (changes % 2), { mode });
      const flood = bed.ping(0, 1, '-f', '-w', '20', '-s', '1400');
      const { result } = await bed.wireUntil(flood, (round) => {
        if (round === 0) open();
        for (const opened of bed.xdp.opened()) {
          assert.equal(opened.error, null);
          bed.xdp.removePort(opened.port);
          if (++changes < 6) open();
          else flood.child.kill('SIGINT');
        }
      });
      const [sent, answered] = result.stdout
        .match(/\d+(?= packets transmitted|(?: packets)? received)/g)!
        .map(Number);
      // The last one may be under way.
      assert.ok(sent! - answered! <= 1, result.stdout);
      assert.ok(sent! > 100);
      assert.ok(bed.allFree(0, 1, 2, 3));
    }),
  );
}

bothWays('sends more than the kernel takes at once, and all of it arrives', () =>
  withBed(new Bed(1), (bed) => {
    bed.addPort(0);
    // Frames to a foreign address are counted by the pod's device all the same.
    const frame = new Uint8Array(60).fill(0xff, 0, 6);
    frame.set([2, 0, 0, 0, 0, 1, 0x88, 0xb5], 6);
    const before = bed.arrived(0);
    for (let i = 0; i < 200; i++) {
      assert.ok(bed.xdp.inject(i, frame, 7));
      assert.equal(bed.word(i, L.V_RX_PORT), 7);
      assert.equal(bed.word(i, L.V_LENGTH), 60);
      bed.setWord(i, L.V_TX_PORT, 0);
    }
    assert.equal(bed.conserved().caller, 200);
    const arrived = bed.xdp.step(200, 0);
    assert.equal(bed.conserved().caller, arrived);
    // The other end may take them in a thread of the kernel.
    for (let n = bed.xdp.step(arrived, 0), tries = 0; bed.arrived(0) - before < 200 && tries < 100; tries++)
      n = bed.xdp.step(n, 1000);
    assert.ok(bed.arrived(0) - before >= 200);
  }),
);

bothWays('frees what has no way out, and counts what cannot be sent', () =>
  withBed(new Bed(1), (bed) => {
    // Without IPv6 the pod's end says nothing by itself, and counts stand still.
    bed.pods[0]!.setSysctl('net/ipv6/conf/all/disable_ipv6', '1');
    bed.addPort(0);
    bed.drain();
    const idle = bed.conserved().free;
    const packet = new Uint8Array(100);
    for (let i = 0; i < 5; i++) bed.xdp.inject(i, packet, 0);
    bed.setWord(0, L.V_TX_PORT, 999);
    bed.setWord(2, L.V_TX_PORT, 0);
    bed.setWord(2, L.V_LENGTH, 0);
    bed.setWord(3, L.V_TX_PORT, 0);
    bed.setWord(3, L.V_LENGTH, 5000);
    bed.setWord(4, L.V_TX_PORT, 0);
    bed.setWord(4, L.V_ADDRESS, 0);
    bed.xdp.step(5, 0);
    assert.equal(bed.conserved().free, idle);
    assert.equal(bed.xdp.counters(0).invalid, 3);
    // A handle that was given back already, and one that never was.
    bed.setWord(5, L.V_HANDLE, 0xffffffff);
    bed.xdp.step(6, 0);
    assert.equal(bed.conserved().free, idle);
  }),
);

bothWays('keeps count of its frames whatever the vector says', () =>
  withBed(new Bed(2), (bed) => {
    bed.addPort(0);
    bed.addPort(1);
    let seed = 20_261_121;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const odd = [0, 1, 2, 60, 4096, 0xffff, FRAMES_OFFSET, 0x7fffffff, L.PORT_NONE];
    const word = (): number => (random(2) === 0 ? odd[random(odd.length)]! : random(2 ** 32));
    for (let round = 0; round < 3000; round++) {
      let entries = bed.xdp.step(0, 0);
      for (; entries < 40 && bed.xdp.inject(entries, new Uint8Array(1 + random(9000)), 0); entries++);
      for (let i = 0; i < entries; i++) {
        bed.setWord(i, L.V_TX_PORT, random(3) === 0 ? word() : random(3));
        if (random(4) === 0) bed.setWord(i, L.V_LENGTH, word());
        if (random(4) === 0) bed.setWord(i, L.V_ADDRESS, word());
        if (random(400) === 0) bed.setWord(i, L.V_HANDLE, random(2) === 0 ? word() : random(FRAME_COUNT));
      }
      // What is not named is still in hand: named twice or never, a frame has one owner.
      bed.xdp.step(entries + random(3), 0);
      bed.conserved();
    }
  }),
);

bothWays('keeps frames for others however much one port receives', () =>
  withBed(new Bed(2), (bed) => {
    // The pod's own end is a port too: what is sent there arrives at port 0, and more than a step takes.
    bed.addPort(0);
    bed.addPort(2, { netns: bed.pods[0]!, link: 'eth0' });
    let entries = 0;
    let received = 0;
    for (let round = 0; round < 1000; round++) {
      for (let i = 0; i < 96; i++, entries++) {
        assert.ok(bed.xdp.inject(entries, new Uint8Array(60), 0), `round ${round}: no free frame`);
        bed.setWord(entries, L.V_TX_PORT, 2);
      }
      entries = bed.xdp.step(entries, 0);
      received += entries;
      bed.conserved();
    }
    assert.ok(received > 10_000, `${received}`);
    bed.drain(entries);
    bed.addPort(1);
    assert.ok(bed.allFree(0, 1, 2));
  }),
);

bothWays('serves every queue of a device', () =>
  withBed(new Bed(2), async (bed) => {
    const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
    bed.node.deleteLink('port0');
    const [node, pod] = [name('node'), name('p0')];
    ip(
      ...['-n', node, 'link', 'add', 'port0', 'numrxqueues', '2', 'numtxqueues', '2', 'type', 'veth'],
      ...['peer', 'name', 'eth0', 'netns', pod, 'numrxqueues', '2', 'numtxqueues', '2'],
    );
    ip('-n', node, 'link', 'set', 'port0', 'up');
    ip('-n', pod, 'link', 'set', 'eth0', 'up');
    bed.pods[0]!.addAddress('eth0', '10.9.0.1/24');
    bed.pods[0]!.setOffloads('eth0', { txChecksum: false });
    bed.addPort(0);
    bed.addPort(1);
    for (let i = 0; i < 4; i++) {
      const { result } = await bed.wireUntil(
        bed.ping(i % 2, 1 - (i % 2), '-c', '5', '-i', '0.01', '-W', '1'),
      );
      assert.match(result.stdout, / 0% packet loss/);
    }
    assert.ok(bed.allFree(0, 1));
  }),
);

bothWays('does not spin for a link that is down, and sends when it is up again', () =>
  withBed(new Bed(1), (bed) => {
    for (const netns of [bed.node, bed.pods[0]!]) netns.setSysctl('net/ipv6/conf/all/disable_ipv6', '1');
    bed.addPort(0);
    const injects = bed.xdp.injects(0);
    bed.drain(0, 1000);
    bed.node.setLink('port0', { up: false });
    bed.xdp.inject(0, new Uint8Array(60), 0);
    bed.setWord(0, L.V_TX_PORT, 0);
    const start = process.hrtime.bigint();
    bed.xdp.step(1, 20_000);
    assert.ok(process.hrtime.bigint() - start >= 19_000_000n);
    bed.node.setLink('port0', { up: true });
    const before = { arrived: bed.arrived(0), ...bed.conserved() };
    bed.xdp.inject(0, new Uint8Array(60), 0);
    bed.setWord(0, L.V_TX_PORT, 0);
    bed.xdp.step(1, 0);
    bed.xdp.step(0, 0);
    // AF_XDP keeps the first one until then.
    const kept = injects ? 0 : 1;
    assert.equal(bed.conserved().kernel, before.kernel - kept);
    assert.equal(bed.xdp.counters(0).txFull, 1 - kept);
    assert.equal(bed.arrived(0), before.arrived + 1 + kept);
  }),
);

bothWays('outlives the link of a port, and serves new ports after it', () =>
  withBed(new Bed(2), async (bed) => {
    bed.addPort(0);
    bed.node.deleteLink('port0');
    bed.xdp.inject(0, new Uint8Array(60), 0);
    bed.setWord(0, L.V_TX_PORT, 0);
    bed.drain(1);
    // The first port, whose socket registered the frames, is gone: the next ones need no trace of it.
    bed.addPort(1);
    bed.xdp.removePort(0);
    bed.wire(0, 1500);
    bed.addPort(0);
    const { result } = await bed.wireUntil(bed.ping(1, 0, '-c', '5', '-i', '0.01', '-W', '1'));
    assert.match(result.stdout, / 0% packet loss/);
    assert.ok(bed.allFree(0, 1));
  }),
);

it('opens ports in the background, and wakes for each', () =>
  withBed(new Bed(2), (bed) => {
    bed.openPort(0);
    bed.openPort(1, { link: 'nothing' });
    assert.equal(
      code(() => bed.openPort(0)),
      'EEXIST',
    );
    const ended: [number, string | undefined][] = [];
    while (ended.length < 2) {
      bed.drain(0, 10_000);
      for (const { port, error } of bed.xdp.opened()) ended.push([port, error?.code]);
    }
    assert.deepEqual(ended, [
      [0, undefined],
      [1, 'ENODEV'],
    ]);
    // Free again, and removable while it is being opened.
    bed.openPort(1);
    assert.ok(bed.allFree(0, 1));
  }));

it('refuses what cannot work, by name', () =>
  withBed(new Bed(1), (bed) => {
    assert.equal(
      code(() => bed.addPort(0, { link: 'nothing' })),
      'ENODEV',
    );
    bed.addPort(0);
    assert.equal(
      code(() => bed.addPort(0)),
      'EEXIST',
    );
    assert.equal(
      code(() => bed.addPort(5, { link: 'port0' })),
      'EBUSY',
    );
    assert.equal(
      code(() => bed.addPort(5000)),
      'EINVAL',
    );
    assert.equal(
      code(() => bed.xdp.counters(77)),
      'ENOENT',
    );
    assert.equal(bed.conserved().caller, 0);
    assert.ok(bed.allFree(0, 0));
    const memory = new Uint8Array(bed.memory.buffer);
    const good = {
      memory,
      vectorOffset: 0,
      vectorCapacity: 4,
      framesOffset: 4096,
      frameSize: 2048,
      frameCount: 4,
      batch: 4,
    };
    for (const bad of [
      { frameSize: 1500 },
      { frameCount: 3 },
      { frameCount: 1 << 20 },
      { framesOffset: 100 },
      { batch: 5 },
      { batch: 0 },
      { vectorOffset: memory.length },
    ]) {
      assert.equal(
        code(() => bed.native.openXdp({ ...good, ...bad })),
        'EINVAL',
        JSON.stringify(bad),
      );
    }
    bed.xdp.close();
    assert.equal(
      code(() => bed.xdp.step(0, 0)),
      'EBADF',
    );
  }));

it('waits for its time, and not longer than until it is woken', () =>
  withBed(new Bed(1), (bed) => {
    bed.addPort(0);
    bed.drain(0, 20_000);
    const waited = (micros: number): number => {
      const start = process.hrtime.bigint();
      bed.xdp.step(0, micros);
      return Number(process.hrtime.bigint() - start) / 1e6;
    };
    bed.pods[0]!.setLink('eth0', { up: false });
    bed.drain();
    const slept = waited(30_000);
    assert.ok(slept >= 29, `${slept} ms`);
    bed.native.wake(bed.xdp.wakeFd);
    assert.ok(waited(5_000_000) < 1000);
    assert.ok(waited(2_000) >= 1.9);
  }));

it('lets a busy worker be ended at any moment, and the next one take its ports', () =>
  withBed(new Bed(1), async (bed) => {
    const source = `
      const { parentPort } = require('node:worker_threads');
      import(${JSON.stringify(new URL('./index.js', import.meta.url).href)}).then(({ loadNative }) => {
        const native = loadNative();
        const { buffer } = new WebAssembly.Memory({ initial: 80, maximum: 80, shared: true });
        const xdp = native.openXdp({ memory: new Uint8Array(buffer), vectorOffset: 0, vectorCapacity: 64,
          framesOffset: 65536, frameSize: 4096, frameCount: 1024, batch: 64 });
        xdp.addPort(0, { netns: native.openNetns(${JSON.stringify(bed.node.path)}), link: 'port0', mode: 'auto', mtu: 1500 });
        parentPort.postMessage('open');
        for (let n = 0; ; n = xdp.step(n, 100)) try { xdp.counters(9); } catch {}
      });`;
    for (let i = 0; i < 8; i++) {
      const worker = new Worker(source, { eval: true });
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      await worker.terminate();
    }
  }));

it('leaves no program on the device when its process is killed', () =>
  withBed(new Bed(1), async (bed) => {
    const child = portOfAnotherProcess(bed, 'native');
    const attached = (): boolean =>
      /prog\/xdp/.test(
        execFileSync('ip', ['-n', name('node'), 'link', 'show', 'port0'], { encoding: 'utf8' }),
      );
    await new Promise((resolve) => child.stdout.once('data', resolve));
    assert.ok(attached());
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    // The last descriptor closes in the background of the exit.
    for (let i = 0; i < 1000 && attached(); i++) await turn();
    assert.ok(!attached());
    bed.addPort(0, { mode: 'native' });
  }));

it('gives a port more frames while it is kept from receiving, and takes them back when it no longer is', () =>
  withBed(new Bed(1), (bed) => {
    const open = (netns: Netns, link: string): Xdp => {
      const { buffer } = new WebAssembly.Memory({ initial: 600, maximum: 600, shared: true });
      const memory = new Uint8Array(buffer);
      const frames = { framesOffset: FRAMES_OFFSET, frameSize: 2048, frameCount: 16384 };
      const xdp = bed.native.openXdp({ memory, vectorOffset: 0, vectorCapacity: 256, ...frames, batch: 256 });
      xdp.addPort(0, { netns, link, mode: 'native', mtu: 1500 });
      words.set(xdp, new Uint32Array(buffer));
      return xdp;
    };
    const words = new Map<Xdp, Uint32Array>();
    const [sender, receiver] = [open(bed.pods[0]!, 'eth0'), open(bed.node, 'port0')];
    const frame = new Uint8Array(60).fill(0xff, 0, 6);
    const send = (count: number): void => {
      for (let i = 0; i < count; i++) {
        assert.ok(sender.inject(i, frame, L.PORT_NONE));
        words.get(sender)![(i * L.VECTOR_SIZE + L.V_TX_PORT) >>> 2] = 0;
      }
      // What the namespace's own stack says meanwhile is given back.
      sender.step(sender.step(count, 0), 0);
    };
    let received = 0;
    const receive = (): void => {
      received = receiver.step(received, 0);
    };
    const most = (): number => receiver.frames().kernel;
    try {
      for (let i = 0; i < 200 && most() < 4096; i++) {
        for (let burst = 0; burst < 16; burst++) send(255);
        for (let rest = 0; rest < 16; rest++) receive();
      }
      assert.ok(most() >= 4096, `${most()} frames`);
      for (let i = 0; i < 100_000 && most() > 1024; i++) {
        send(1);
        receive();
      }
      assert.ok(most() <= 1024, `${most()} frames`);
    } finally {
      sender.close();
      receiver.close();
    }
  }));

test.run();
