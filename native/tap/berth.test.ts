/** Where an engine sleeps: on the core of who wakes it, as long as packets are few. Needs root. */
import * as assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as L from '../../dataplane-as/layout/index.js';
import { file, program, root, testIf } from '../../test/support/requires.js';
import { loadNative } from '../index.js';
import { TapBed, withTapBed } from './tap-bed.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const SLEEP_MICROS = 50_000;
const LONGER_MS = 2;
const cores = availableParallelism() > 1 ? null : 'needs two cores';

/** The cores that the calling thread may run on. */
const allowed = (): string =>
  /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))?.[1] ?? '';

const SCHEDULING = '/proc/thread-self/sched';
const [major = 0, minor = 0] = release().split('.').map(Number);
const slices = major > 6 || (major === 6 && minor >= 12) ? null : 'needs Linux 6.12';
const OWN_SLICE_MICROS = 100;

/** How long the calling thread may have its core at a time, nanoseconds. */
const slice = (): string => /^se\.slice\s*:\s*(\d+)$/m.exec(readFileSync(SCHEDULING, 'utf8'))?.[1] ?? '';

/** Takes packets, and drops them, until `done` settles; what is seen after each longer sleep that a packet ended. */
async function sleepUntil(
  bed: TapBed,
  done: Promise<unknown>,
  bound = true,
  look: () => string = allowed,
): Promise<readonly string[]> {
  let over = false;
  void done.finally(() => {
    over = true;
  });
  const seen: string[] = [];
  let received = 0;
  while (!over) {
    const before = performance.now();
    received = bed.xdp.step(received, SLEEP_MICROS, bound);
    const slept = performance.now() - before > LONGER_MS;
    for (let i = 0; i < received; i++) bed.setWord(i, L.V_TX_PORT, L.PORT_NONE);
    if (received > 0 && slept) seen.push(look());
    await turn();
  }
  bed.xdp.step(received, 0);
  await done;
  return seen;
}

const ping = (bed: TapBed, core: number, ...argv: string[]): Promise<string> =>
  bed.inside(0, 'taskset', '-c', String(core), 'ping', ...argv, '10.9.0.2').catch(() => '');

const needs = [root(), file(addon), program('ping'), program('taskset'), cores];

for (const kind of ['tap', 'copy'] as const) {
  testIf(test, ...needs)(
    `${kind}: a worker sleeps where the packet came from that woke it last, and may run anywhere when it is awake`,
    async () => {
      await withTapBed(new TapBed([kind, 'tap']), async (bed) => {
        if (bed.modes[0] !== kind) return; // a kernel before 6.6
        const before = allowed();
        for (const core of [0, 1, 0]) {
          const seen = await sleepUntil(bed, ping(bed, core, '-c', '8', '-i', '0.02', '-W', '0.1'));
          assert.ok(seen.length >= 4, `${seen.length} packets`);
          assert.ok(seen.slice(2).includes(String(core)), `from core ${core}: ${seen.join(' ')}`);
          assert.equal(allowed(), before);
        }
        assert.ok(bed.allFree());
      });
    },
  );
}

testIf(test, ...needs)('it is bound only if it is asked to be', async () => {
  await withTapBed(new TapBed(['tap', 'tap']), async (bed) => {
    const before = allowed();
    const seen = await sleepUntil(bed, ping(bed, 0, '-c', '5', '-i', '0.02', '-W', '0.1'), false);
    assert.ok(seen.length > 0);
    assert.deepEqual([...new Set(seen)], [before]);
  });
});

testIf(
  test,
  ...needs,
  file(SCHEDULING),
  slices,
)('asleep, its slices are as long as those of who wakes it, so that he goes on until he waits', async () => {
  await withTapBed(new TapBed(['tap', 'tap']), async (bed) => {
    const native = loadNative();
    const before = Number(slice());
    assert.ok(native.shortSlice(OWN_SLICE_MICROS));
    const own = slice();
    try {
      const seen = await sleepUntil(bed, ping(bed, 0, '-c', '8', '-i', '0.02', '-W', '0.1'), true, slice);
      assert.ok(
        seen.some((one) => Number(one) > Number(own)),
        seen.join(' '),
      );
      assert.equal(slice(), own);
    } finally {
      native.shortSlice(before / 1000);
    }
  });
});

/** Sends the time now and then, and computes for a while each time instead of waiting. */
const COMPUTE = `const s = require('node:dgram').createSocket('udp4');
let left = 16;
const next = () => s.send(String(process.hrtime.bigint()), 7, process.argv[1], () => {
  const end = performance.now() + 15;
  while (performance.now() < end);
  if (--left > 0) setTimeout(next, 20); else s.close();
});
next();`;
/** Where a UDP packet's payload begins: behind Ethernet, IPv4 and UDP headers. */
const PAYLOAD = 42;
/** A tick of the scheduler is one to ten milliseconds. */
const HELD_UP_MICROS = 1000;

testIf(test, ...needs)('packets of one who computes after sending are not held up', async () => {
  await withTapBed(new TapBed(['tap', 'tap']), async (bed) => {
    const sent = (): string => {
      const begin = bed.word(0, L.V_ADDRESS) + PAYLOAD;
      const end = bed.word(0, L.V_ADDRESS) + bed.word(0, L.V_LENGTH);
      return Buffer.from(new Uint8Array(bed.memory.buffer).slice(begin, end)).toString();
    };
    const look = (): string => {
      const time = /^\d+$/.exec(sent());
      return time === null ? '' : String((process.hrtime.bigint() - BigInt(time[0])) / 1000n);
    };
    const computing = bed.inside(0, 'taskset', '-c', '0', process.execPath, '-e', COMPUTE, '10.9.0.2');
    const native = loadNative();
    const nice = native.niceness();
    native.setNice(-20); // what else the machine does counts less
    const seen = await sleepUntil(bed, computing, true, look).finally(() => native.setNice(nice));
    const micros = seen.filter((one) => one !== '').map(Number);
    assert.ok(micros.length >= 12, micros.join(' '));
    const late = micros.filter((one) => one > HELD_UP_MICROS);
    assert.ok(late.length < micros.length / 2, micros.join(' '));
  });
});

/** Sends back what comes, until that is an `e`. */
const ECHO = `const s = require('node:dgram').createSocket('udp4');
s.on('message', (m, from) => { if (String(m) === 'e') s.close(); else s.send(m, from.port, from.address); });
s.bind(7);`;
/** So many round trips, one after the other; what is lost is sent again. */
const ASK = `const s = require('node:dgram').createSocket('udp4');
let left = Number(process.argv[1]), timer;
const next = () => { clearTimeout(timer); timer = setTimeout(next, 100); s.send('x', 7, process.argv[2]); };
s.on('message', () => { if (--left > 0) next(); else { clearTimeout(timer); s.send('e', 7, process.argv[2], () => s.close()); console.log('all'); } });
s.bind(next);`;

testIf(test, ...needs)('a conversation between two cores keeps nobody else waiting', async () => {
  await withTapBed(new TapBed(['tap', 'tap', 'tap', 'tap']), async (bed) => {
    const on = (core: number, ...argv: string[]): string[] => ['taskset', '-c', String(core), ...argv];
    const echo = bed.inside(1, ...on(1, 'timeout', '20', process.execPath, '-e', ECHO));
    const ask = bed.inside(0, ...on(0, process.execPath, '-e', ASK, '500', '10.9.0.2'));
    const pings = bed.inside(2, ...on(0, 'ping', '-c', '100', '-i', '0.005', '-W', '1', '10.9.0.4'));
    let over = false;
    const all = Promise.all([ask, pings, echo]).finally(() => {
      over = true;
    });
    for (let received = 0; !over || received > 0; ) {
      received = bed.xdp.step(received, SLEEP_MICROS, true);
      for (let i = 0; i < received; i++) {
        bed.setWord(i, L.V_TX_PORT, bed.word(i, L.V_RX_PORT) ^ 1);
        bed.setWord(i, L.V_OUTCOME, L.OUT_FORWARD_POD);
        bed.parse(i);
      }
      bed.conserved();
      await turn();
    }
    bed.xdp.step(0, 0);
    const [asked, pinged] = await all;
    assert.match(asked, /all/);
    assert.match(pinged, /100 received/);
    assert.ok(bed.allFree());
  });
});

test.run();
