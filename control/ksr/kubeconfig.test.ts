import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../common/errors.js';
import { readKubeconfig } from './kubeconfig.js';

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

test('data inside the file', () => {
  const path = written(
    config(
      `{ server: "https://127.0.0.1:6443", certificate-authority-data: ${base64('CA')} }`,
      `{ client-certificate-data: ${base64('CERT')}, client-key-data: ${base64('KEY')} }`,
    ),
  );
  assert.equal(readKubeconfig(path), {
    ...{ server: 'https://127.0.0.1:6443', ca: 'CA', token: null, cert: 'CERT', key: 'KEY' },
  });
});

test('files it names are found beside it', () => {
  writeFileSync(join(dir, 'ca.crt'), 'CA');
  writeFileSync(join(dir, 'token'), 'secret\n');
  const path = written(
    config('{ server: "https://a:1", certificate-authority: ca.crt }', '{ tokenFile: token }'),
  );
  assert.equal(readKubeconfig(path), {
    server: 'https://a:1',
    ca: 'CA',
    token: 'secret',
    cert: null,
    key: null,
  });
});

test('what is wrong names the file and the field', () => {
  const good = '{ server: "https://a:1" }';
  const cases: readonly [string, RegExp][] = [
    ['{', /cannot be read/],
    ['[]', /is no kubeconfig/],
    ['kind: Config', /current-context/],
    [config(good, '{}', 'nowhere'), /contexts: .*nowhere|nowhere.*contexts/],
    [config('{ server: "http://a:1" }', '{}'), /must be an https URL/],
    [config(good, '{ exec: { command: x } }'), /user\.exec/],
    [config(good, '{ tokenFile: missing }'), /tokenFile/],
  ];
  for (const [text, message] of cases) {
    const path = written(text);
    try {
      readKubeconfig(path);
      assert.unreachable(text);
    } catch (error) {
      assert.instance(error, InvalidInputError, text);
      assert.match((error as Error).message, message);
      assert.ok((error as Error).message.includes(path), (error as Error).message);
    }
  }
});

test.run();
