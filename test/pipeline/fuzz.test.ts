/**
 * Fuzz: millions of mutated packets. Nothing may trap, nothing may be written outside a packet, its headroom and the tables,
 * and every packet is accounted for by exactly one outcome. Seeded: a failure comes again.
 * FUZZ_PACKETS and FUZZ_SEED change how many and which.
 */
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import { file, testIf } from '../support/requires.js';
import { BATCH, checkSessions, Fuzz, FuzzRandom } from './fuzz.js';
import type { Harness } from './harness.js';
import * as S from './node6.js';
import { startWorkers } from './workers.js';

const PACKETS = Number(process.env['FUZZ_PACKETS'] ?? 5_000_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_240_607);
/** So many more for several workers. */
const PACKETS_OF_WORKERS = Math.ceil(PACKETS / 5);

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));

/** Packets that got an outcome. */
function total(node: Harness): number {
  let sum = 0;
  for (let code = 0; code < L.OUTCOME_COUNT; code++) sum += node.outcomeCount(code);
  return sum;
}

test(`${PACKETS} mutated packets: each has one outcome, and nothing is written where it must not be`, () => {
  const node = S.startNode6({}, { sessionsLog2: 10 });
  const fuzz = new Fuzz(node, new FuzzRandom(SEED));
  const before = total(node);
  let fed = 0;
  for (let batch = 0; fed < PACKETS; batch++) {
    if (batch % 256 === 0) fuzz.turn();
    if (batch % 1024 === 0) fuzz.checkRegions();
    if (batch % 64 === 0) node.setControl(L.CTL_TRACE_LEFT, 100);
    const n = Math.min(1 + fuzz.random.below(BATCH), PACKETS - fed);
    for (let i = 0; i < n; i++) fuzz.place(i);
    node.exports.process(n, node.now);
    for (let i = 0; i < n; i++) fuzz.check(i);
    fed += n;
    node.now += fuzz.random.below(20);
    if (batch % 16 === 0) node.exports.sweep(node.now, 64);
  }
  fuzz.checkRegions();
  fuzz.checkImage();
  assert.is(total(node) - before, fed, 'every packet has one outcome');
  const seen = Array.from({ length: L.OUTCOME_COUNT }, (_, code) => code).filter(
    (code) => node.outcomeCount(code) > 0,
  );
  assert.ok(seen.length >= 39, `only ${seen.length} outcomes were reached: ${seen.join(' ')}`);
  checkSessions(node);
});

testIf(test, file(addon))(`${PACKETS_OF_WORKERS} mutated packets to two workers`, () => {
  const random = new FuzzRandom(SEED);
  const workers = startWorkers({}, { sessionsLog2: 10 });
  const all = workers.all.map((node) => new Fuzz(node, random));
  const before = workers.all.map(total);
  const lock = workers.at(0).sharedBase + L.SH_LOCK;
  let fed = 0;
  for (let batch = 0; fed < PACKETS_OF_WORKERS; batch++) {
    if (batch % 256 === 0) {
      for (const fuzz of all) fuzz.checkImage();
      all[0]?.turn();
    }
    if (batch % 1024 === 0) for (const fuzz of all) fuzz.checkRegions();
    const fuzz = all[random.below(all.length)] as Fuzz;
    const { node } = fuzz;
    if (batch % 64 === 0) node.setControl(L.CTL_TRACE_LEFT, 100);
    const n = Math.min(1 + random.below(BATCH), PACKETS_OF_WORKERS - fed);
    for (let i = 0; i < n; i++) fuzz.place(i);
    // Now and then the other worker stands still with the lock in its hands.
    const held = batch % 4096 === 4095;
    if (held)
      node.view.setUint32(lock, (batch << L.LOCK_HOLDER_BITS) | (workers.at(0) === node ? 2 : 1), true);
    node.exports.process(n, node.now);
    if (held) node.view.setUint32(lock, batch << L.LOCK_HOLDER_BITS, true);
    for (let i = 0; i < n; i++) fuzz.check(i);
    fed += n;
    workers.now += random.below(20);
    if (batch % 16 === 0) node.exports.sweep(node.now, 64);
  }
  for (const fuzz of all) {
    fuzz.checkRegions();
    fuzz.checkImage();
    checkSessions(fuzz.node, workers.active());
  }
  const counted = workers.all.map((node, i) => total(node) - (before[i] ?? 0));
  assert.is(
    counted.reduce((a, b) => a + b),
    fed,
    'every packet has one outcome',
  );
  assert.ok(
    workers.all.some((node) => node.outcomeCount(L.DROP_WORKERS) > 0),
    'the lock was held at times',
  );
});

test.run();
