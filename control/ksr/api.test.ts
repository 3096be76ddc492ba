import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCertificates } from '../../test/support/certificates.js';
import { program, testIf } from '../../test/support/requires.js';
import { KubeApi, type WatchEnd } from './api.js';
import { RESOURCES } from './resources.js';

testIf(test, program('openssl'))(
  'a watch that is silent for long is opened anew, which is no failure',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pteropus-api-'));
    const { ca, server: pair } = makeCertificates(folder);
    const read = (path: string): string => readFileSync(path, 'utf8');
    const server = createServer({ cert: read(pair.cert), key: read(pair.key) }, (_request, response) => {
      response.writeHead(200).write('\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const access = {
      ...{ server: `https://127.0.0.1:${port}`, ca: read(ca), serverName: null, verify: true },
      ...{ headers: {}, cert: null, key: null },
    };
    const [resource] = RESOURCES;
    assert.ok(resource !== undefined);
    try {
      // A busy machine may be silent for longer before the watch is open, which is a failure.
      for (let silenceMs = 100; ; silenceMs *= 4) {
        const api = new KubeApi(() => Promise.resolve(access), silenceMs);
        const told: string[] = [];
        const end = await new Promise<WatchEnd>((resolve) => {
          api.watch(resource, '1', ({ type }) => told.push(type), resolve);
        });
        if (told.length === 0 && silenceMs < 10_000) continue;
        assert.equal([told, end], [['opened'], { type: 'closed' }]);
        break;
      }
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

test.run();
