import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { receive, send, WireFormatError } from './wire.js';

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

test('messages come out whole, however they were cut', () =>
  pair(async (near, far) => {
    const got: unknown[] = [];
    let done = (): void => {};
    const all = new Promise<void>((resolve) => {
      done = resolve;
    });
    const big = { id: 2, result: 'ü'.repeat(300_000) };
    receive(far, (message) => {
      got.push(message);
      if (got.length === 4) done();
    });
    send(near, { id: 1, method: 'dump', params: null });
    send(near, big);
    const text = Buffer.from(JSON.stringify({ id: 3 }));
    const head = Buffer.alloc(4);
    head.writeUInt32LE(text.length);
    for (const byte of Buffer.concat([head, text])) {
      near.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    send(near, { id: 4 });
    await all;
    assert.equal(got, [{ id: 1, method: 'dump', params: null }, big, { id: 3 }, { id: 4 }]);
  }));

for (const [what, bytes] of [
  ['an impossible length', Buffer.of(255, 255, 255, 255)],
  ['bytes that are no JSON', Buffer.of(1, 0, 0, 0, 123)],
] as const) {
  test(`${what} ends the connection`, () =>
    pair(async (near, far) => {
      receive(far, () => assert.unreachable());
      const failed = once(far, 'error');
      near.write(bytes);
      const [error] = (await failed) as [unknown];
      assert.instance(error, WireFormatError);
    }));
}

test.run();
