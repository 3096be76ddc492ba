/** The commands as a person types them: one run that tears down, and a kept cluster from start to end. */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SupervisorClient } from './client.js';
import { EXAMPLE } from './options.js';

const PROGRAM = fileURLToPath(new URL('../../../../bin/pteropus.mjs', import.meta.url));
const NAME = `test-${process.pid}`;

function sim(...args: readonly string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'sim', ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    maxBuffer: 1 << 26,
  });
  return { code: status, out: stdout, err: stderr };
}

const folder = () => mkdtempSync(join(tmpdir(), 'pteropus-keep-'));

test('one run: matrix on standard output, JUnit beside it, exit code 0', () => {
  const dir = folder();
  const junit = join(dir, 'junit.xml');
  const { code, out } = sim('--feed', 'memory', '-f', join(EXAMPLE, '../protocols'), '--junit', junit);
  assert.is(code, 0);
  assert.match(out, /(\d+) of \1 cells agree with the policies/);
  assert.match(readFileSync(junit, 'utf8'), /failures="0"/);
  rmSync(dir, { recursive: true });
});

test('an expectation that is not met: exit code 1; wrong usage and manifests: 2', () => {
  const dir = folder();
  const expect = join(dir, 'expect.yaml');
  writeFileSync(expect, 'default: deny\nexpect: []\n');
  const unmet = sim('--feed', 'memory', '-f', join(EXAMPLE, '../protocols'), '--expect', expect);
  assert.is(unmet.code, 1);
  assert.match(unmet.out, /wanted no, measured yes/);
  writeFileSync(join(dir, 'bad.yaml'), 'apiVersion: v1\nkind: Pod\nmetadata: {name: UPPER}\nspec: {}\n');
  const bad = sim('--feed', 'memory', '-f', join(dir, 'bad.yaml'));
  assert.is(bad.code, 2);
  assert.match(bad.err, /bad\.yaml:3: .*metadata\.name/);
  for (const args of [
    ['--nodes', '0'],
    ['--feed', 'pigeon'],
    ['--nonsense'],
    ['frobnicate'],
    ['status', '--name', 'nobody'],
  ]) {
    assert.is(sim(...args).code, 2, args.join(' '));
  }
  rmSync(dir, { recursive: true });
});

test('a running cluster through standard input: kubectl get all,netpol -o yaml', () => {
  const live = readFileSync(join(EXAMPLE, '../../test/fixtures/kubectl-get-all.yaml'));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [PROGRAM, 'sim', '--feed', 'memory', '-f', '-'],
    { input: live, encoding: 'utf8', timeout: 60_000 },
  );
  assert.is(status, 0, stdout + stderr);
  assert.match(stdout, /(\d+) of \1 cells agree with the policies/);
  assert.match(stderr, /note: cluster IPs outside .* are replaced/);
  const nothing = spawnSync(process.execPath, [PROGRAM, 'sim', '--feed', 'memory', '-f', '-'], { input: '' });
  assert.is(nothing.status, 2, 'an empty input proves nothing');
});

test('every command explains itself', () => {
  for (const command of [
    [],
    ['exec'],
    ['apply'],
    ['delete'],
    ['trace'],
    ['matrix'],
    ['status'],
    ['watch'],
    ['down'],
  ]) {
    const { code, out } = sim(...command, '--help');
    assert.is(code, 0);
    assert.match(out, /^usage: pteropus sim/);
  }
});

test('a kept cluster: status, trace, apply, delete, matrix, changed files, down', async () => {
  const dir = folder();
  cpSync(EXAMPLE, dir, { recursive: true });
  const kept = sim('--feed', 'memory', '--keep', '--name', NAME, '-f', dir, '--no-matrix');
  assert.is(kept.code, 0, kept.err);
  try {
    const named = (...args: readonly string[]) => sim(args[0] ?? '', '--name', NAME, ...args.slice(1));
    assert.is(sim('--feed', 'memory', '--keep', '--name', NAME, '-f', dir).code, 2, 'the name is taken');
    assert.match(sim('status', '--name', 'nobody').err, new RegExp(`there (is|are) .*\\b${NAME}\\b`));
    assert.match(named('status').out, /shop\/redis-2 +node-\d/);
    assert.match(
      named('trace', 'shop/web', 'shop/cart:7070').out,
      /allowed by NetworkPolicy shop\/cart spec\.ingress\[0\]/,
    );
    assert.match(named('trace', 'ops/debug', 'shop/cart:7070').out, /: timeout\n[\s\S]*denied by/);
    const policy = join(dir, 'lock.txt');
    writeFileSync(policy, LOCK);
    assert.match(named('apply', '-f', policy).out, /1 object changed; in force after \d+ ms/);
    assert.match(named('trace', 'shop/web', 'ops/dns:5353/udp').out, /: timeout/);
    assert.is(named('delete', 'netpol', 'ops/lock').code, 0);
    assert.is(named('delete', 'netpol', 'ops/lock').code, 2, 'it is gone already');
    assert.match(named('trace', 'shop/web', 'ops/dns:5353/udp').out, /: connected/);

    // A file is saved: the change says by itself when it is in force.
    const client = await SupervisorClient.open(NAME);
    const line = new Promise<string>((resolve, reject) => {
      client
        .call('watch', null, (text) => (text.includes('after they were saved') ? resolve(text) : undefined))
        .catch(reject);
    });
    writeFileSync(join(dir, 'lock.yaml'), LOCK);
    const late = new Promise<string>((_, reject) => {
      setTimeout(() => reject(new Error('the saved file was not noticed')), 10_000).unref();
    });
    const millis = Number(/in force (\d+) ms/.exec(await Promise.race([line, late]))?.[1]);
    client.close();
    assert.ok(millis < 500, `${millis} ms`);
    assert.match(named('trace', 'shop/web', 'ops/dns:5353/udp').out, /: timeout/);
    const matrix = named('matrix', '--json');
    assert.is(matrix.code, 0);
    const { cells, agree } = JSON.parse(matrix.out) as { cells: number; agree: number };
    assert.is(agree, cells);
    assert.is(named('exec', 'shop/redis-0', '--', 'true').code, 2, 'pods in memory are no processes');
  } finally {
    assert.is(sim('down', '--name', NAME).code, 0);
  }
  assert.is(sim('status', '--name', NAME).code, 2, 'nothing answers any more');
  rmSync(dir, { recursive: true });
});

const LOCK = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: lock, namespace: ops}
spec: {podSelector: {matchLabels: {app: dns}}, policyTypes: [Ingress]}
`;

test('Ctrl-C ends a run and leaves nothing', async () => {
  const child = spawn(process.execPath, [PROGRAM, 'sim', '--feed', 'memory'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const code = await new Promise<number | null>((resolve) => {
    child.stderr.on('data', (data: Buffer) => {
      if (data.toString().includes('pods run')) child.kill('SIGINT');
    });
    child.once('exit', resolve);
  });
  assert.is(code, 130);
});

test.run();
