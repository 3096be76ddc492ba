import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Change, HealthCheckItem } from '../ruleset/types.js';
import { HealthCheckServer } from './health-checks.js';

const HOST = '127.0.0.1';

function item(port: number, localEndpoints: number): HealthCheckItem {
  return { kind: 'healthcheck', key: 'healthcheck/x/s', namespace: 'x', name: 's', port, localEndpoints };
}

const put = (now: HealthCheckItem): Change => ({ type: 'add', key: now.key, item: now });

/** A port nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function ask(port: number): Promise<Response> {
  return await fetch(`http://${HOST}:${port}/healthz`);
}

async function refused(port: number): Promise<boolean> {
  return await ask(port).then(
    () => false,
    () => true,
  );
}

test('200 with ready endpoints on the node, 503 without; ports move and go', async () => {
  const [first, second] = [await freePort(), await freePort()];
  const server = new HealthCheckServer(() => undefined, HOST);
  try {
    server.follow(new Map([['healthcheck/x/s', item(first, 2)]]), null);
    const good = await ask(first);
    assert.is(good.status, 200);
    assert.is(good.headers.get('X-Load-Balancing-Endpoint-Weight'), '2');
    assert.equal(await good.json(), {
      service: { namespace: 'x', name: 's' },
      localEndpoints: 2,
      serviceProxyHealthy: true,
    });
    server.follow(new Map(), [
      { type: 'update', key: 'healthcheck/x/s', item: item(first, 0), old: item(first, 2) },
    ]);
    assert.is((await ask(first)).status, 503);
    server.follow(new Map(), [put(item(second, 1))]);
    assert.is((await ask(second)).status, 200);
    assert.ok(await refused(first));
    server.follow(new Map(), [{ type: 'remove', key: 'healthcheck/x/s', old: item(second, 1) }]);
    assert.ok(await refused(second));
    server.follow(new Map(), [put(item(first, 1))]);
    let serving = false;
    server.serves(() => serving);
    const lost = await ask(first);
    assert.is(lost.status, 503, 'no data plane, no traffic');
    assert.is(((await lost.json()) as { serviceProxyHealthy: boolean }).serviceProxyHealthy, false);
    serving = true;
    assert.is((await ask(first)).status, 200);
    server.follow(new Map(), null);
    assert.ok(await refused(first));
  } finally {
    await server.close();
  }
});

test('a port that is taken is reported, and does not stop the rest', async () => {
  const taken = createServer().listen(0, HOST);
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  let report: (line: string) => void = () => undefined;
  const reported = new Promise<string>((resolve) => {
    report = resolve;
  });
  const server = new HealthCheckServer((line) => report(line), HOST);
  try {
    server.follow(new Map(), [put(item(port, 1))]);
    assert.match(await reported, /^health checks of Service x\/s: listen EADDRINUSE/);
  } finally {
    await server.close();
    taken.close();
  }
});

test.run();
