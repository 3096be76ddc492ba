import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../common/errors.js';
import { kubeAccess } from './access.js';
import { readKubeconfig, urlOf } from './kubeconfig.js';

const dir = mkdtempSync(join(tmpdir(), 'pteropus-kubeconfig-'));
test.after(() => rmSync(dir, { recursive: true }));

function written(text: string): string {
  const path = join(dir, 'config');
  writeFileSync(path, text);
  return path;
}

const config = (cluster: string, user: string, current = 'here') => `
apiVersion: v1
kind: Config
current-context: ${current}
clusters:
  - { name: other, cluster: { server: "https://other" } }
  - { name: mine, cluster: ${cluster} }
users:
  - { name: me, user: ${user} }
contexts:
  - { name: here, context: { cluster: mine, user: me } }
`;

const base64 = (text: string) => Buffer.from(text).toString('base64');

const PLAIN = { serverName: null, verify: true, headers: {}, cert: null, key: null };

test('certificates and keys may stand in the file itself', async () => {
  const path = written(
    config(
      `{ server: "https://127.0.0.1:6443", certificate-authority-data: ${base64('CA')} }`,
      `{ client-certificate-data: ${base64('CERT')}, client-key-data: ${base64('KEY')} }`,
    ),
  );
  assert.equal(await readKubeconfig(path), {
    ...PLAIN,
    ...{ server: 'https://127.0.0.1:6443', ca: 'CA', cert: 'CERT', key: 'KEY' },
  });
});

test('files it names are found beside it', async () => {
  writeFileSync(join(dir, 'ca.crt'), 'CA');
  writeFileSync(join(dir, 'token'), 'secret');
  const path = written(
    config(
      '{ server: "https://a:1", certificate-authority: ca.crt, tls-server-name: b }',
      `{ as: someone, auth-provider: { name: tokenFile, config: { tokenFile: ${join(dir, 'token')} } } }`,
    ),
  );
  assert.equal(await readKubeconfig(path), {
    ...PLAIN,
    ...{ server: 'https://a:1', ca: 'CA', serverName: 'b' },
    headers: { Authorization: 'Bearer secret', 'Impersonate-User': 'someone' },
  });
});

test('a program may give the token', async () => {
  const credential = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token: 'made' },
  };
  const program = join(dir, 'give-token');
  writeFileSync(program, `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`, { mode: 0o755 });
  const exec = `{ exec: { apiVersion: client.authentication.k8s.io/v1, command: ${program}, interactiveMode: Never } }`;
  const { headers } = await readKubeconfig(written(config('{ server: "https://a:1" }', exec)));
  assert.equal(headers, { Authorization: 'Bearer made' });
});

test('the URL of a path keeps what the server has in front', async () => {
  const access = await readKubeconfig(written(config('{ server: "https://a:1/k8s/c-1/" }', '{ token: t }')));
  assert.is(urlOf(access, '/api/v1/pods?limit=1').href, 'https://a:1/k8s/c-1/api/v1/pods?limit=1');
});

test('what is wrong names the file and the field', async () => {
  const good = '{ server: "https://a:1" }';
  const cases: readonly [string, RegExp][] = [
    ['{', /cannot be read/],
    ['[]', /current-context/],
    ['kind: Config', /cannot be read|current-context/],
    [config(good, '{}', 'nowhere'), /nowhere.*contexts|contexts.*nowhere/],
    [config('{ server: "http://a:1" }', '{}'), /must be an https URL/],
    [config(good, '{ exec: { apiVersion: client.authentication.k8s.io/v1, command: /nowhere/x } }'), /user/],
    [config('{ server: "https://a:1", certificate-authority: missing }', '{}'), /missing/],
  ];
  for (const [text, message] of cases) {
    const path = written(text);
    const error = await readKubeconfig(path).then(
      () => null,
      (reason: unknown) => reason,
    );
    assert.instance(error, InvalidInputError, text);
    assert.match((error as Error).message, message);
    assert.ok((error as Error).message.includes(path), (error as Error).message);
  }
});

test('a named file that is not there is refused at once; one that goes later is waited for', async () => {
  const path = join(dir, 'named');
  assert.throws(() => kubeAccess(path), /kubeconfig: no such file \(got ".*named"\)/);
  const token = (value: string): void =>
    writeFileSync(path, config('{ server: "https://127.0.0.1:6443" }', `{ token: ${value} }`));
  token('first');
  const access = kubeAccess(path);
  const first = await access(false);
  rmSync(path);
  assert.is(await access(true), first);
  token('second');
  assert.is.not(await access(true), first);
});

test.run();
