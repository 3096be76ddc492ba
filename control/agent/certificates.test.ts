import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCertificates } from '../../test/support/certificates.js';
import { certificateFiles, certificateProblems } from './certificates.js';
import { Machine } from './fixtures.js';

const directory = mkdtempSync(join(tmpdir(), 'pteropus-ending-'));
// Good for two days.
const { ca, client, server } = makeCertificates(directory);
test.after(() => rmSync(directory, { recursive: true }));

test('a certificate is told of thirty days before its end, and after it', () => {
  const day = 86_400_000;
  assert.match(
    certificateProblems([client.cert])[0] ?? '',
    /client\.crt runs out on \d{4}-\d\d-\d\d, in [12] days$/,
  );
  assert.match(certificateProblems([client.cert], Date.now() + 3 * day)[0] ?? '', /client\.crt ran out on /);
  assert.equal(certificateProblems([client.cert], Date.now() - 40 * day), []);
  const broken = join(directory, 'broken.crt');
  writeFileSync(broken, 'no certificate');
  for (const file of [broken, join(directory, 'none.crt')])
    assert.match(certificateProblems([file])[0] ?? '', /cannot be read/, file);
});

test('those of the store and of REST are looked at, as far as there are any', () => {
  const store = {
    endpoints: ['https://127.0.0.1:1'],
    caFile: ca,
    certFile: client.cert,
    keyFile: client.key,
  };
  const listen = { host: '127.0.0.1', port: 0 };
  const tls = { certFile: server.cert, keyFile: server.key, clientCaFile: null };
  assert.equal(certificateFiles({ store, rest: { listen, tls, hosts: [] } }), [client.cert, ca, server.cert]);
  assert.equal(certificateFiles({ store: { socket: '/run/x' }, rest: null }), []);
});

test('an agent tells of it, and works on', async () => {
  const machine = new Machine();
  const agent = await machine.agent({ machineProblems: () => certificateProblems([client.cert]) });
  assert.match(agent.problems()[0]?.message ?? '', /runs out on/);
  assert.ok(agent.status().ready);
  await agent.close();
});

test.run();
