/** `pteropus matrix`: the table, the expectation file, JUnit and JSON, and agreement with the oracle. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { captured } from '../../test/support/captured.js';
import { InvalidInputError } from '../common/errors.js';
import { type LoadedCluster, loadCluster } from '../sim/load.js';
import { expectCells } from '../sim/matrix/expected.js';
import { familiesOf, inFamily } from '../sim/matrix/family.js';
import { planMatrix } from '../sim/matrix/plan.js';
import { renderMatrix } from '../sim/matrix/render.js';
import { configOf } from '../sim/world.js';
import { paperMatrix, stateOf } from './cells.js';
import { run } from './main.js';

const SHOP = fileURLToPath(new URL('../../../../examples/shop', import.meta.url));
const DUAL = fileURLToPath(new URL('../../../../examples/dual-stack', import.meta.url));
const TIERS = fileURLToPath(new URL('../../../../examples/tiers', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pteropus-matrix-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

const MANIFESTS = `
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: x, labels: { app: web } }
spec: { containers: [{ name: c, ports: [{ containerPort: 80 }] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: client, namespace: x, labels: { app: client } }
spec: { containers: [{ name: c, ports: [{ containerPort: 90 }] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: other, namespace: z }
spec: { containers: [{ name: c }] }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: x }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 80 }] }]
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: { name: guard }
spec:
  tier: Admin
  priority: 1
  subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: client } } } }
  ingress: [{ action: Deny, from: [{ namespaces: { matchLabels: { kubernetes.io/metadata.name: z } } }] }]
`;
const file = join(folder, 'all.yaml');
writeFileSync(file, MANIFESTS);

const matrix = (...args: readonly string[]) => captured(run, args);

function expectFile(body: string): string {
  const path = join(folder, 'expect.yaml');
  writeFileSync(path, `apiVersion: sim.pteropus.io/v1\nkind: Reachability\n${body}`);
  return path;
}

interface CellJson {
  readonly from: string;
  readonly to: string;
  readonly reach: string;
  readonly reason: string;
}

async function cells(...args: readonly string[]): Promise<ReadonlyMap<string, CellJson>> {
  const { rows } = JSON.parse((await matrix('-f', file, '--json', ...args)).text) as { rows: CellJson[] };
  return new Map(rows.map((row) => [`${row.from} ${row.to}`, row]));
}

test('the table shows who reaches whom', async () => {
  const { code, text } = await matrix('-f', file);
  assert.is(code, 0);
  assert.match(text, /x\/client +● ● ●\n/);
  assert.match(text, /z\/other +· · ●\n/);
});

test('every cell has its reason, tiers included', async () => {
  const found = await cells();
  assert.is(found.get('x/client x/web:80/tcp')?.reach, 'yes');
  assert.match(found.get('z/other x/web:80/tcp')?.reason ?? '', /ingress: closed by NetworkPolicy x\/web/);
  assert.match(
    found.get('z/other x/client:90/tcp')?.reason ?? '',
    /ingress: ClusterNetworkPolicy guard spec\.ingress\[0\]/,
  );
});

test('--port asks all pods for that port, whoever listens', async () => {
  const found = await cells('--port', '80', '--port', '53/udp');
  const columns = new Set(
    [...found.values()].map(({ to }) => to).filter((to) => to.startsWith('x/') || to.startsWith('z/')),
  );
  assert.equal(
    [...columns].sort(),
    ['x/client', 'x/web', 'z/other'].flatMap((pod) => [`${pod}:53/udp`, `${pod}:80/tcp`]),
  );
  assert.is(found.get('x/web z/other:80/tcp')?.reach, 'yes');
  assert.is(found.get('x/client x/web:53/udp')?.reach, 'no');
});

test('--expect: 0 where the table is as wanted, 1 and a diff where not', async () => {
  const good = await matrix(
    '--file',
    file,
    '--expect',
    expectFile('expect:\n- allow: x/client -> x/web:80\n- deny: z/* -> x/*\n'),
  );
  assert.is(good.code, 0);
  assert.match(good.text, /3 of 3 cells are as .*expect\.yaml wants them/);
  const junit = join(folder, 'out.xml');
  const wrong = expectFile('expect:\n- allow: z/other -> x/web\n- allow: x/nobody -> x/web\n');
  const bad = await matrix('-f', file, '--expect', wrong, '--junit', junit);
  assert.is(bad.code, 1);
  assert.match(bad.text, /0 of 1 cells are as/);
  assert.match(
    bad.text,
    / {2}z\/other → x\/web:80\/tcp\n {4}- reachable \[.*expect\.yaml:4: allow: z\/other -> x\/web\]\n {4}\+ not reachable: denied/,
  );
  assert.match(bad.text, /matches nothing: line 5: allow: x\/nobody -> x\/web/);
  const xml = readFileSync(junit, 'utf8');
  assert.match(xml, /<testsuites name="pteropus matrix" tests="\d+" failures="1"/);
  assert.match(xml, /wanted yes .*, is no; denied/);
});

test('wrong input is named', async () => {
  const refusal = async (...args: readonly string[]): Promise<string> => {
    try {
      await matrix(...args);
    } catch (error) {
      assert.instance(error, InvalidInputError);
      return (error as Error).message;
    }
    return 'none';
  };
  assert.match(await refusal(), /-f: is needed/);
  assert.match(await refusal('-f', file, '--port', '9/sctp'), /--port: must be a port/);
  assert.match(await refusal('-f', file, '--port', '70000'), /--port: must be a port/);
  assert.match(await refusal('-f', file, '--nodes', '0'), /--nodes: must be 1-250/);
  assert.match(await refusal('-f', file, '--expect', join(folder, 'none')), /--expect: cannot be read/);
  assert.match(await refusal('-f', join(folder, 'none')), /no such file/);
  assert.match(
    await refusal('-f', file, '--junit', join(folder, 'none', 'x.xml')),
    /--junit: cannot be written/,
  );
});

for (const { name, files, config, least } of [
  { name: 'examples/shop', files: [SHOP], config: configOf({}), least: 1500 },
  { name: 'examples/dual-stack', files: [DUAL], config: configOf({ dualStack: true }), least: 250 },
])
  test(`on ${name} the compiled rules say what the oracle says, cell by cell`, async () => {
    await agreesWithOracle(await loadCluster(files, 3, config), least);
  });

async function agreesWithOracle(loaded: LoadedCluster, least: number): Promise<void> {
  const raw = loaded.policies.map((policy) => ({ ...policy }));
  const state = { ...stateOf(loaded), rawPolicies: raw.map(toApi) };
  const wanted = familiesOf(state).flatMap((family) => {
    const one = inFamily(state, family);
    return expectCells(planMatrix(one, { icmp: true, family }), one);
  });
  const got = paperMatrix(loaded, { ports: [], icmp: true });
  assert.is(got.length, wanted.length);
  assert.ok(got.length > least, `${got.length} cells`);
  for (const [i, cell] of got.entries()) {
    const { row, column } = cell;
    assert.is(
      cell.measured,
      wanted[i]?.expected.reach,
      `${row.id} → ${column.id}: ${cell.expected.reason}; ${wanted[i]?.expected.reason}`,
    );
  }
}

test('examples/dual-stack is as its authors want it, in each family; without IPv6 the lines about it match nothing', async () => {
  const wanted = ['-f', DUAL, '--icmp', '--expect', join(DUAL, 'expect.yaml')];
  const dual = await matrix(...wanted, '--dual-stack');
  assert.is(dual.code, 0, dual.text);
  const single = await matrix(...wanted);
  assert.is(single.code, 1);
  assert.match(single.text, /matches nothing: line \d+: allow: outside -> dual\/web:8080\/tcp6/);
});

test('examples/tiers is as its authors want it', async () => {
  const { code, text } = await matrix('-f', TIERS, '--expect', join(TIERS, 'expect.yaml'));
  assert.is(code, 0, text);
});

test('replicas that are alike stand for each other: the picture is the same as when all are asked', async () => {
  for (const { files, dualStack } of [
    { files: [SHOP], dualStack: false },
    { files: [TIERS], dualStack: false },
    { files: [DUAL], dualStack: true },
  ]) {
    const loaded = await loadCluster(files, 3, configOf({ dualStack }));
    const [all, alike] = [false, true].map((two) =>
      paperMatrix(loaded, { ports: [], icmp: true, alike: two }),
    );
    const picture = (cells = all) => renderMatrix(cells ?? [], { wide: false, color: false, width: 200 });
    assert.is(picture(alike), picture(all));
  }
});

/** Our form of a NetworkPolicy as the API has it, for the oracle. */
function toApi(policy: Awaited<ReturnType<typeof loadCluster>>['policies'][number]): unknown {
  if (policy.kind !== 'NetworkPolicy') return policy;
  const rules = (list: typeof policy.spec.ingress, side: string) =>
    list?.map(({ peers, ports }) => ({ [side]: peers, ports }));
  const { ingress, egress } = policy.spec;
  return {
    ...policy,
    spec: { ...policy.spec, ingress: rules(ingress, 'from'), egress: rules(egress, 'to') },
  };
}

test.run();
