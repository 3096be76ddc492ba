import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeFrame, FrameError, FrameReader, onFrames, sendFrame } from './frames.js';

async function pair(body: (near: Socket, far: Socket) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-wire-'));
  const path = join(dir, 's');
  const server = createServer();
  server.listen(path);
  await once(server, 'listening');
  const near = createConnection(path);
  const [far] = (await once(server, 'connection')) as [Socket];
  far.on('error', () => {});
  try {
    await body(near, far);
  } finally {
    near.destroy();
    far.destroy();
    server.close();
    rmSync(dir, { recursive: true });
  }
}

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

test('messages come out of a socket whole', () =>
  pair(async (near, far) => {
    const got: unknown[] = [];
    let done = (): void => {};
    const all = new Promise<void>((resolve) => {
      done = resolve;
    });
    const big = { id: 2, result: 'ü'.repeat(300_000) };
    onFrames(far, (message) => {
      got.push(message);
      if (got.length === 4) done();
    });
    sendFrame(near, { id: 1, method: 'dump', params: null });
    sendFrame(near, big);
    for (const byte of encodeFrame({ id: 3 })) {
      near.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    sendFrame(near, { id: 4 });
    await all;
    assert.equal(got, [{ id: 1, method: 'dump', params: null }, big, { id: 3 }, { id: 4 }]);
  }));

for (const [what, bytes] of [
  ['an impossible length', Buffer.of(255, 255, 255, 255)],
  ['bytes that are no JSON', Buffer.of(0, 0, 0, 1, 123)],
] as const) {
  test(`${what} ends the connection`, () =>
    pair(async (near, far) => {
      onFrames(far, () => assert.unreachable());
      const failed = once(far, 'error');
      near.write(bytes);
      const [error] = (await failed) as [unknown];
      assert.instance(error, FrameError);
    }));
}

for (const [what, message] of [
  ['that is not an object', null],
  ['that its taker cannot read', { method: 7 }],
] as const) {
  test(`a message ${what} costs the connection, not the process`, () =>
    pair(async (near, far) => {
      onFrames(far, (taken) => {
        (taken as { method: string }).method.trim();
      });
      const failed = once(far, 'error');
      sendFrame(near, message);
      const [error] = (await failed) as [unknown];
      assert.instance(error, FrameError);
    }));
}

test.run();
