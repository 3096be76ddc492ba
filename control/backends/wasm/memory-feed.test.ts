import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../../dataplane-as/layout/index.js';
import { PortError } from './errors.js';
import { openMemory, planMemory, wordsOf } from './memory.js';
import { MemoryFeed, MemoryLinks } from './memory-feed.js';

function open(frameCount = 16) {
  const image = {
    ...{ adjacencies: 2, lpm4Log2: 2, pairsLog2: 2, policies: 2, trieLines: 2, portLines: 2 },
    ...{ frontendsLog2: 2, services: 2, backends: 2, slots: 2, ranges: 2 },
  };
  const plan = planMemory({ image, sessionsLog2: 4, frameCount });
  const memory = openMemory(plan);
  const links = new MemoryLinks();
  const feed = new MemoryFeed(memory, plan, links, () => {});
  const words = wordsOf(memory);
  const line = (at: number) => (L.VECTOR_BASE + at * L.VECTOR_SIZE) >>> 2;
  return { feed, links, words, line, plan };
}

test('frames go through in order, with headroom before them, as copies', () => {
  const { feed, links, words, line, plan } = open();
  const got: number[][] = [];
  links.attach('a', () => {});
  links.attach('b', (frame) => got.push([...frame]));
  feed.openPort(3, { name: 'a', mtu: 1500 });
  feed.openPort(5, { name: 'b', mtu: 1500 });
  const frame = Uint8Array.of(1, 2, 3);
  assert.ok(links.send('a', frame));
  frame[0] = 9;
  assert.ok(links.send('a', frame));
  assert.is(feed.step(0, 0), 2);
  for (const at of [0, 1]) {
    assert.is(words[line(at) + L.V_RX_PORT / 4], 3);
    assert.is(words[line(at) + L.V_TX_PORT / 4], L.PORT_NONE);
    assert.is(
      ((words[line(at) + L.V_ADDRESS / 4] ?? 0) - plan.framesBase) % (2048 + L.FRAME_GAP),
      L.HEADROOM,
    );
    words[line(at) + L.V_TX_PORT / 4] = 5;
  }
  assert.is(feed.step(2, 0), 0);
  assert.equal(got, [
    [1, 2, 3],
    [9, 2, 3],
  ]);
});

test('when frames run out what comes is dropped and counted; no frame is ever lost', () => {
  const { feed, links } = open(4);
  feed.openPort(0, { name: 'a', mtu: 1500 });
  for (let round = 0; round < 5; round++) {
    const taken = Array.from({ length: 6 }, () => links.send('a', new Uint8Array(60)));
    assert.is(taken.filter(Boolean).length, 4);
    assert.is(feed.step(0, 0), 4);
    assert.is(feed.step(4, 0), 0);
  }
  assert.is(feed.counters(0).rxDropped, 10);
  for (let i = 0; i < 4; i++) links.send('a', new Uint8Array(60));
  feed.closePort(0);
  feed.openPort(1, { name: 'a', mtu: 1500 });
  for (let i = 0; i < 4; i++) assert.ok(links.send('a', new Uint8Array(60)));
  assert.is(feed.step(0, 0), 4);
});

test('a link belongs to one port; links without a port take nothing; too long frames are refused', () => {
  const { feed, links } = open();
  assert.is(links.send('a', new Uint8Array(60)), false);
  feed.openPort(0, { name: 'a', mtu: 1500 });
  assert.throws(
    () => feed.openPort(1, { name: 'a', mtu: 1500 }),
    (error: unknown) => error instanceof PortError,
  );
  assert.is(links.send('a', new Uint8Array(2000)), false);
  assert.is(links.refused, 2);
});

test.run();
