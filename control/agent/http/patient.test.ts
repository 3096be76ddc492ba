import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { servePatiently } from './patient.js';
import { serveRest } from './server.js';

test('a port that is taken is taken over when it is free', async () => {
  const listen = { host: '127.0.0.1', port: 0 };
  const first = await serveRest({ listen, tls: null, hosts: [] }, [], () => undefined);
  const port = first.port ?? 0;
  const lines: string[] = [];
  let opened = (): void => undefined;
  const open = new Promise<void>((resolve) => {
    opened = resolve;
  });
  const serve = async () => {
    const server = await serveRest(
      { listen: { host: '127.0.0.1', port }, tls: null, hosts: [] },
      [],
      () => undefined,
    );
    opened();
    return server;
  };
  const patient = await servePatiently(serve, (line) => lines.push(line), 1);
  assert.match(lines[0] ?? '', new RegExp(`127\\.0\\.0\\.1:${port}: .*EADDRINUSE.*; trying again`));
  await first.close();
  await open;
  await patient.close();
  const again = await serveRest(
    { listen: { host: '127.0.0.1', port }, tls: null, hosts: [] },
    [],
    () => undefined,
  );
  await again.close();
});

test.run();
