/** Messages are cut out of a stream however it is chopped, and nonsense is told. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { VppProtocolError } from './errors.js';
import { Deframer, frame, HEADER_SIZE, MAX_MESSAGE } from './framing.js';
import { randomSource } from './testing/random.js';

function collect(chunks: readonly Buffer[]): string[] {
  const deframer = new Deframer();
  const messages: string[] = [];
  for (const chunk of chunks) {
    deframer.push(chunk, (bytes, start, end) => messages.push(bytes.toString('hex', start, end)));
  }
  return messages;
}

/** Cut at random places. */
function chop(stream: Buffer, random: (below: number) => number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < stream.length; ) {
    const size = random(4) === 0 ? 1 + random(3) : 1 + random(400);
    chunks.push(stream.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

test('however the stream is cut, the messages are the same', () => {
  const random = randomSource(1);
  for (let round = 0; round < 300; round++) {
    const messages = Array.from({ length: 1 + random(20) }, () => {
      const message = Buffer.alloc(2 + random(round % 10 === 0 ? 5000 : 120));
      for (let i = 0; i < message.length; i++) message[i] = random(256);
      return message;
    });
    const got = collect(chop(Buffer.concat(messages.map(frame)), random));
    assert.equal(
      got,
      messages.map((message) => message.toString('hex')),
    );
  }
});

test('a message of some megabytes in small pieces takes time in proportion to its size', () => {
  const large = Buffer.alloc(16 * 1024 * 1024, 7);
  const stream = frame(large);
  const deframer = new Deframer();
  let size = 0;
  const start = performance.now();
  for (let at = 0; at < stream.length; at += 4096) {
    deframer.push(stream.subarray(at, at + 4096), (_, from, to) => {
      size = to - from;
    });
  }
  assert.is(size, large.length);
  // 4,096 pieces: joined anew for each, this were 32 GB to copy.
  assert.ok(performance.now() - start < 3000);
});

test('a length that cannot be is told, wherever it comes', () => {
  for (const length of [0, 1, MAX_MESSAGE + 1, 0xffffffff]) {
    const header = Buffer.alloc(HEADER_SIZE);
    header.writeUInt32BE(length, 8);
    const stream = Buffer.concat([frame(Buffer.alloc(5)), header]);
    assert.throws(
      () => collect([stream]),
      (error: unknown) => error instanceof VppProtocolError && error.value === length,
    );
  }
});

test('100,000 spoiled streams: messages inside the bytes, or a VppProtocolError', () => {
  const random = randomSource(2);
  const stream = Buffer.concat([10, 40, 3, 200].map((size) => frame(Buffer.alloc(size, size))));
  for (let round = 0; round < 100_000; round++) {
    const spoiled = Buffer.from(stream.subarray(0, 1 + random(stream.length)));
    for (let n = random(4); n > 0; n--) spoiled[random(spoiled.length)] = random(256);
    const deframer = new Deframer();
    try {
      for (const chunk of [
        spoiled.subarray(0, round % spoiled.length),
        spoiled.subarray(round % spoiled.length),
      ]) {
        deframer.push(chunk, (bytes, start, end) => {
          if (start < HEADER_SIZE || end < start + 2 || end > bytes.length) throw new Error('outside');
        });
      }
    } catch (error) {
      if (!(error instanceof VppProtocolError)) throw error;
    }
  }
});

test.run();
