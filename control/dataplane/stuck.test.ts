/** A worker that stands still, as in a loop without end, is found and replaced. Needs root. */
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventually } from '../../test/support/eventually.js';
import { file, root, testIf } from '../../test/support/requires.js';
import { openMemory, planMemory, wordsOf } from '../backends/wasm/memory.js';
import { ThreadRunner } from './thread-runner.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));

const I32 = 0x7f;
const END = 0x0b;
/** `return 0` as a function's body. */
const ZERO = [0, 0x41, 0, END];
const NOTHING = [0, END];

async function askUntilItFails(runner: ThreadRunner): Promise<string> {
  try {
    for (;;) await runner.feedCounters([]);
  } catch (error) {
    return String(error);
  }
}

/** Bytes after their count (WebAssembly 2.0, section 5.1.3); none of ours is longer than 127. */
const sized = (bytes: readonly number[]): readonly number[] => [bytes.length, ...bytes];
const text = (word: string): readonly number[] => sized([...Buffer.from(word)]);
const section = (id: number, bytes: readonly number[]): readonly number[] => {
  const { length } = bytes;
  return [id, (length & 0x7f) | 0x80, length >> 7, ...bytes];
};
/** A signed LEB128 number of five bytes. */
const constant = (value: number): readonly number[] => [
  0x41,
  ...[0, 7, 14, 21].map((shift) => ((value >> shift) & 0x7f) | 0x80),
  (value >> 28) & 0x7f,
];

/**
 * A pipeline that does nothing, and never returns from `sweep`, which the worker calls every round or so, while the word at
 * `address` is 1.
 */
function stuckModule(address: number): Promise<WebAssembly.Module> {
  const functions: readonly (readonly [name: string, type: number, body: readonly number[]])[] = [
    ['init', 0, NOTHING],
    ['process', 1, NOTHING],
    // loop: while (atomic load of `address`) continue
    ['sweep', 2, [0, 0x03, 0x40, ...constant(address), 0xfe, 0x10, 2, 0, 0x0d, 0, END, 0x41, 0, END]],
    ['neighborKnown', 2, ZERO],
    ['buildArp', 3, ZERO],
    ['refreshNeighbor', 3, ZERO],
    ['refreshNeighbor6', 3, ZERO],
  ];
  const signature = (parameters: number, results: number): readonly number[] => [
    0x60,
    ...sized(Array.from({ length: parameters }, () => I32)),
    ...sized(Array.from({ length: results }, () => I32)),
  ];
  const bytes = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [4, ...signature(0, 0), ...signature(2, 0), ...signature(2, 1), ...signature(3, 1)]),
    // env.memory: shared, 1 to 65,536 pages
    ...section(2, [1, ...text('env'), ...text('memory'), 2, 3, 1, 0x80, 0x80, 4]),
    ...section(3, sized(functions.map(([, type]) => type))),
    ...section(7, [functions.length, ...functions.flatMap(([name], i) => [...text(name), 0, i])]),
    ...section(10, [functions.length, ...functions.flatMap(([, , body]) => sized(body))]),
  ];
  return WebAssembly.compile(Uint8Array.from(bytes));
}

testIf(
  test,
  root(),
  file(addon),
)('a worker that stands still is replaced', async () => {
  const plan = planMemory({ sessionsLog2: 10, frameCount: 256 });
  const memory = openMemory(plan);
  const words = wordsOf(memory);
  const address = memory.buffer.byteLength - 64;
  const lines: string[] = [];
  let replaced: () => void = () => undefined;
  const replacing = new Promise<void>((resolve) => {
    replaced = resolve;
  });
  const runner = await ThreadRunner.start({
    module: await stuckModule(address),
    memory,
    plan,
    netns: null,
    log: (line) => {
      lines.push(line);
      if (!line.includes('restart 1')) return;
      Atomics.store(words, address >>> 2, 0);
      replaced();
    },
  });
  try {
    assert.equal(await runner.feedCounters([]), [], 'the worker answers');
    Atomics.store(words, address >>> 2, 1);
    // Whoever waits for it when it stands still is told.
    const told = await askUntilItFails(runner);
    assert.match(told, /the worker ended/);
    await replacing;
    assert.match(lines.join('\n'), /replacing the worker: it stands still for \d+ ms/);
    assert.is(runner.restarts, 1);
    await eventually('the next worker answers', () =>
      runner.feedCounters([]).then(
        () => true,
        () => false,
      ),
    );
  } finally {
    await runner.close();
  }
});

test.run();
