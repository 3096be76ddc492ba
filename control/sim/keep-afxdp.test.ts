/** A kept cluster of namespaces: programs run inside pods, and the end leaves nothing. */
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { program, root, testIf } from '../../test/support/requires.js';
import { EXAMPLE } from './options.js';

const PROGRAM = fileURLToPath(new URL('../../../../bin/pteropus.mjs', import.meta.url));
const NAME = `keep-${process.pid}`;

function sim(command: string, ...args: readonly string[]) {
  const argv = command === '' ? [...args, '--name', NAME] : [command, '--name', NAME, ...args];
  const options = { encoding: 'utf8', timeout: 60_000, maxBuffer: 1 << 26 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'sim', ...argv], options);
  return { code: status, out: stdout, err: stderr };
}

testIf(
  test,
  root(),
  program('curl'),
  program('ip'),
)('exec runs a program in a pod, with the cluster’s names', () => {
  const kept = sim('', '--keep', '--feed', 'afxdp', '--no-matrix', '-f', EXAMPLE);
  assert.is(kept.code, 0, kept.err);
  try {
    const { pods } = JSON.parse(sim('status', '--json').out) as { pods: { name: string }[] };
    const web = pods.find(({ name }) => name.startsWith('shop/web-'))?.name ?? '';
    const curl = (...args: readonly string[]) => sim('exec', web, '--', 'curl', '-sS', '-m', '3', ...args);
    assert.match(curl('http://catalog:8080').out, /shop\/catalog-/);
    assert.match(sim('exec', 'shop/web', '--', 'hostname').out, /^web-/, 'a workload is its first pod');
    assert.is(sim('exec', web, '--', 'sh', '-c', 'kill -TERM $$').code, 143);
    assert.is(sim('exec', 'shop/nobody', '--', 'true').code, 2);
    assert.is(statSync(`/run/pteropus-sim/${NAME}/control.sock`).mode & 0o777, 0o600);
    assert.match(curl('http://api.payments:443').out, /payments\/api-/);
    assert.is(
      curl('-m', '1', 'http://ledger.payments:5432').code,
      28,
      'curl’s time-out: the policy is closed',
    );
    assert.match(sim('trace', web, 'service/shop/cart:7070').out, /allowed by NetworkPolicy shop\/cart/);
  } finally {
    assert.is(sim('down').code, 0);
  }
  const left = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout;
  assert.not(left.includes(`pteropus-${NAME}-`));
  assert.not(existsSync(`/run/pteropus-sim/${NAME}`));
});

test.run();
