import * as assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { suite } from 'uvu';
import { collectGarbage } from '../control/common/collect-garbage.js';
import { root, testIf } from '../test/support/requires.js';
import { loadNative } from './index.js';

const test = suite('native threads');
const SCHEDULING = '/proc/thread-self/sched';
const [major = 0, minor = 0] = release().split('.').map(Number);
const slices =
  process.platform === 'linux' && (major > 6 || (major === 6 && minor >= 12)) && existsSync(SCHEDULING);

/** Nanoseconds. */
const slice = (): number => Number(/se\.slice\s*:\s*(\d+)/.exec(readFileSync(SCHEDULING, 'utf8'))?.[1]);
/** Bytes of memory this process has. */
const resident = (): number => Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * 4096;
const nice = (): string | undefined => /prio\s*:\s*(\d+)/.exec(readFileSync(SCHEDULING, 'utf8'))?.[1];

testIf(test, slices ? null : 'needs Linux 6.12 with scheduler statistics')(
  'a thread gets short slices, and its priority stays',
  () => {
    const [before, priority] = [slice(), nice()];
    const native = loadNative();
    assert.ok(native.shortSlice(100));
    assert.equal(slice(), 100_000);
    assert.equal(nice(), priority);
    assert.ok(native.shortSlice(before / 1000));
    assert.equal(slice(), before);
  },
);

testIf(test, root() ?? (process.platform === 'linux' ? null : 'needs Linux'))(
  'a thread comes before others and back, without the other threads of its process',
  () => {
    const native = loadNative();
    const before = native.niceness();
    assert.ok(native.setNice(-20));
    assert.equal(native.niceness(), -20);
    const main = readFileSync('/proc/thread-self/stat', 'utf8').split(' ')[18];
    assert.equal(main, '-20');
    const others = readdirSync('/proc/self/task').filter((tid) => tid !== String(process.pid));
    for (const tid of others) {
      assert.notEqual(readFileSync(`/proc/self/task/${tid}/stat`, 'utf8').split(' ')[18], '-20');
    }
    assert.ok(native.setNice(before));
    assert.equal(native.niceness(), before);
  },
);

testIf(test, process.platform === 'linux' ? null : 'needs Linux')('yielding to nobody returns', () => {
  loadNative().yieldThread();
});

testIf(test, process.platform === 'linux' ? null : 'needs Linux')(
  'memory that was freed is given back',
  () => {
    // Buffers too small to be mappings of their own, below one that stays: the allocator keeps what they leave.
    const count = 2048;
    const buffer = (): Buffer => Buffer.allocUnsafeSlow(32_768).fill(1);
    let buffers = Array.from({ length: count }, buffer);
    const last = buffer();
    buffers = [];
    collectGarbage();
    const before = resident();
    loadNative().trimMemory();
    assert.ok(before - resident() > (count * last.length) / 2, `${before} bytes before, ${resident()} after`);
    assert.equal(buffers.length, 0);
  },
);

test.run();
