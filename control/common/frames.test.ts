import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeFrame, FrameError, FrameReader } from './frames.js';

test('messages come out whole, however the bytes are cut', () => {
  const messages = [{ a: 1 }, 'ü', [], { text: 'x'.repeat(5000) }, null];
  const bytes = Buffer.concat(messages.map((m) => encodeFrame(m)));
  for (const step of [1, 3, 7, 1000, bytes.length]) {
    const reader = new FrameReader();
    const seen: unknown[] = [];
    for (let at = 0; at < bytes.length; at += step) seen.push(...reader.push(bytes.subarray(at, at + step)));
    assert.equal(seen, messages, `step ${step}`);
  }
});

test('bytes of another protocol are refused', () => {
  const refused = (bytes: Buffer): void =>
    assert.throws(
      () => new FrameReader().push(bytes),
      (e: Error) => e instanceof FrameError,
    );
  refused(Buffer.from('GET / HTTP/1.1\r\n'));
  refused(Buffer.concat([Buffer.from([0, 0, 0, 2]), Buffer.from('}{')]));
});

test.run();
