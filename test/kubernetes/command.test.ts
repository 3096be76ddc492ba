/** `sim --kubernetes --keep` as a person types it, and what kubectl would do beside it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ApiClient } from '../../control/sim/kubernetes/api.js';
import { startKubernetes } from '../support/kubernetes/start.js';
import { testIf } from '../support/requires.js';
import { clusterRequirements } from './support/cluster.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const NAME = `x-command-${process.pid}`;

function sim(...args: readonly string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'bin/pteropus.mjs'), 'sim', ...args],
    {
      encoding: 'utf8',
      timeout: 120_000,
      maxBuffer: 1 << 26,
    },
  );
  return { code: status, out: stdout, err: stderr };
}

/** The same while this process goes on: it keeps the API server running. */
async function simBeside(
  ...args: readonly string[]
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'bin/pteropus.mjs'), 'sim', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, out, err };
}

const LOCK = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: lock, namespace: ops}
spec: {podSelector: {matchLabels: {app: dns}}, policyTypes: [Ingress]}
`;

testIf(test, ...clusterRequirements())(
  'a kept cluster: status, apply, trace, exec, kubectl, matrix, down',
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'pteropus-command-'));
    const shop = join(ROOT, 'examples/shop');
    const kept = sim('--kubernetes', '--keep', '--name', NAME, '-f', shop, '--no-matrix');
    try {
      assert.is(kept.code, 0, kept.err);
      const kubeconfig = /export KUBECONFIG=(\S+)/.exec(kept.err)?.[1] ?? '';
      const named = (...args: readonly string[]) => sim(args[0] ?? '', '--name', NAME, ...args.slice(1));
      assert.match(named('status').out, /shop\/redis-2 +node-\d/);

      const file = join(dir, 'lock.yaml');
      writeFileSync(file, LOCK);
      assert.match(named('apply', '-f', file).out, /1 object changed; in force after \d+ ms/);
      assert.match(named('trace', 'shop/web', 'ops/dns:5353/udp').out, /: timeout\n[\s\S]*ops\/lock/);
      assert.is(named('delete', 'netpol', 'ops/lock').code, 0);
      assert.match(named('trace', 'shop/web', 'ops/dns:5353/udp').out, /: connected/);
      assert.match(
        named('exec', 'shop/web', '--', 'curl', '-s', '-m', '5', 'http://catalog:8080').out,
        /shop\/catalog/,
      );

      // What others write to the API counts as much.
      const api = await ApiClient.fromKubeconfig(kubeconfig);
      const scale = { spec: { replicas: 1 } };
      await api.patch('/apis/apps/v1/namespaces/shop/deployments/web', scale);
      const status = async () => {
        const { status: now } = (await api.get('/apis/apps/v1/namespaces/shop/deployments/web')) as {
          readonly status?: { readonly readyReplicas?: number; readonly replicas?: number };
        };
        return now?.replicas === 1 && now.readyReplicas === 1;
      };
      for (const end = Date.now() + 20_000; !(await status()) && Date.now() < end; )
        await new Promise((done) => setTimeout(done, 50));
      assert.ok(await status(), 'one replica is left');
      api.close();

      const matrix = named('matrix', '--json');
      assert.is(matrix.code, 0, matrix.err);
      const { cells, agree } = JSON.parse(matrix.out) as { cells: number; agree: number };
      assert.is(agree, cells);
      assert.ok(cells > 1000, `${cells} cells`);
    } finally {
      assert.is(sim('down', '--name', NAME).code, 0);
      rmSync(dir, { recursive: true });
    }
  },
);

testIf(test, ...clusterRequirements())(
  'an API server that is there already, used twice: the pods of the first time run anew',
  async () => {
    const server = await startKubernetes();
    try {
      const protocols = join(ROOT, 'examples/protocols');
      for (const round of [1, 2]) {
        const { code, out, err } = await simBeside(
          ...['--kubeconfig', server.kubeconfig, '--name', NAME, '-f', protocols],
        );
        assert.is(code, 0, `${round}: ${out}${err}`);
        assert.match(out, /(\d+) of \1 cells agree with the policies/);
      }
    } finally {
      await server.close();
    }
  },
);

testIf(test, ...clusterRequirements())(
  'a kubeconfig that leads nowhere: exit code 2, nothing is left',
  () => {
    const { code, err } = sim(
      '--kubeconfig',
      '/nowhere/config',
      '--name',
      NAME,
      '-f',
      join(ROOT, 'examples/protocols'),
    );
    assert.is(code, 2, err);
    assert.match(err, /\/nowhere\/config: cannot be read/);
  },
);

test.run();
