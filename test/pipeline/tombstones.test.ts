/** The session table under churn: whatever is opened, evicted and aged, a search that ends at a vacant line never misses one. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../control/oracle/random.js';
import * as L from '../../dataplane-as/layout/index.js';
import type { Harness } from './harness.js';
import * as N from './node.js';
import { SYN } from './packets.js';

const MASK64 = (1n << 64n) - 1n;

/** dataplane-as/hash.ts in other words. */
function sessionHash(addresses: bigint, key: bigint, seed: number): number {
  const word = BigInt(seed);
  const salt = ((word ^ (word << 32n)) * 0x9e3779b97f4a7c15n) & MASK64;
  let h = ((addresses ^ salt) * 0x9e3779b97f4a7c15n) & MASK64;
  h ^= h >> 32n;
  h = ((h + key) * 0xd6e8feb86659fd93n) & MASK64;
  h ^= h >> 32n;
  h = (h * 0x9e3779b97f4a7c15n) & MASK64;
  return Number(h >> 32n);
}

/** Checks every line; returns how many hold connections, and how many are tombstones. */
function check(node: Harness): { live: number; tombstones: number } {
  const size = 1 << node.sessionsLog2;
  const at = (i: number) => node.sessionsBase + (i & (size - 1)) * L.SESSION_SIZE;
  const lives = (i: number) => node.view.getUint32(at(i) + L.S_SRC, true) !== 0;
  const vacant = (i: number) => !lives(i) && node.view.getBigUint64(at(i) + L.S_PORTS, true) === 0n;
  const seed = node.control(L.CTL_SEED);
  let [live, tombstones] = [0, 0];
  for (let i = 0; i < size; i++) {
    if (vacant(i)) continue;
    if (!lives(i)) {
      tombstones++;
      assert.is(node.bytes[at(i) + L.S_STATE], L.ST_TOMBSTONE);
      assert.not(vacant(i + 1), 'a tombstone before a vacant line is vacant itself');
      continue;
    }
    live++;
    const addresses = node.view.getBigUint64(at(i) + L.S_SRC, true);
    const key = node.view.getBigUint64(at(i) + L.S_PORTS, true) & 0xffffffffffn;
    const home = sessionHash(addresses, key, seed) & (size - 1);
    const distance = (i - home + size) & (size - 1);
    assert.ok(distance < L.SESSION_WINDOW, 'in its window');
    for (let n = 0; n < distance; n++) assert.not(vacant(home + n), 'searches come by here');
  }
  return { live, tombstones };
}

function packet(port: number): Uint8Array {
  return port % 2 === 0
    ? N.fromPod(N.POD1, N.udpPacket(N.flow(N.POD1_IP, port, N.POD2_IP, 53)))
    : N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, port, N.POD2_IP, 80), SYN));
}

test('every connection is found from its home, through thousands that come and go', () => {
  const node = N.startNode({}, { sessionsLog2: 8 });
  const random = new Random(7);
  let most = 0;
  for (let step = 0; step < 300; step++) {
    // Fewer and more at a time, so that the table is nearly empty, half full and crowded.
    const count = 1 + random.below(step % 3 === 0 ? 60 : 12);
    const frames = Array.from({ length: count }, () => packet(1 + random.below(4000)));
    node.feed(...frames.map((frame) => ({ port: N.POD1, frame })));
    node.now += random.below(9000);
    node.exports.sweep(node.now, 1 + random.below(256));
    const { live, tombstones } = check(node);
    assert.is(live, 2 * node.sessionStat(L.SS_ACTIVE));
    most = Math.max(most, tombstones);
  }
  assert.ok(most > 0, 'there were tombstones');
  assert.ok(node.sessionStat(L.SS_EVICTED) > 0, 'and evictions');
  // Once everybody has gone nothing is left over.
  node.now += 7_200_001;
  node.exports.sweep(node.now, 256);
  assert.equal(check(node), { live: 0, tombstones: 0 });
});

test('so too in a table so crowded that both lines of the evicted lie in the way of the new ones', () => {
  for (let seed = 1; seed <= 8; seed++) {
    const node = N.startNode({}, { sessionsLog2: 5 });
    const random = new Random(seed);
    for (let step = 0; step < 150; step++) {
      node.one(N.POD1, packet(1 + random.below(4000)));
      check(node);
      node.now += random.below(100);
    }
    assert.ok(node.sessionStat(L.SS_EVICTED) > 0);
  }
});

test('a connection that is behind a tombstone needs no second one', () => {
  const node = N.startNode({}, { sessionsLog2: 6 });
  for (let port = 1; port <= 20; port++) node.one(N.POD1, packet(2 * port));
  // Half of them fall silent and go.
  node.now += 20_000;
  const kept = [2, 4, 6, 8, 10].filter(
    (port) => node.one(N.POD1, packet(2 * port)).outcome < L.OUT_FIRST_DROP,
  );
  const created = node.sessionStat(L.SS_CREATED);
  node.now += 20_000;
  node.exports.sweep(node.now, 64);
  check(node);
  for (const port of kept) node.one(N.POD1, packet(2 * port));
  assert.is(node.sessionStat(L.SS_CREATED), created);
});

test.run();
