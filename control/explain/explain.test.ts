import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { captured } from '../../test/support/captured.js';
import { InvalidInputError } from '../common/errors.js';
import { parseArguments } from './arguments.js';
import { run } from './main.js';

const MANIFESTS = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: c, ports: [{ containerPort: 8080 }] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: client, namespace: shop, labels: { app: client } }
spec: { nodeName: node-1, containers: [{ name: c }] }
---
apiVersion: v1
kind: Service
metadata: { name: front, namespace: shop }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: empty, namespace: shop }
spec: { selector: { app: none }, ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: misnamed, namespace: shop }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: http }] }
---
apiVersion: v1
kind: Pod
metadata: { name: agent, namespace: shop }
spec: { nodeName: node-2, hostNetwork: true, containers: [{ name: c, ports: [{ containerPort: 9100 }] }] }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
  - from:
    - podSelector: { matchLabels: { app: client } }
    ports: [{ port: 8080 }]
`;

const TIERS = `
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: { name: guard }
spec:
  tier: Admin
  priority: 1
  subject: { namespaces: { matchLabels: { kubernetes.io/metadata.name: ops } } }
  egress:
  - { name: no-metadata, action: Deny, to: [{ networks: [169.254.169.254/32] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: tool, namespace: ops }
spec: { containers: [{ name: c }] }
`;

const LOCAL = `
apiVersion: v1
kind: Pod
metadata: { name: gate, namespace: edge, labels: { app: gate } }
spec: { nodeName: node-2, containers: [{ name: c, ports: [{ containerPort: 8443 }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: gate, namespace: edge }
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: { app: gate }
  ports: [{ port: 443, targetPort: 8443, nodePort: 31443 }]
status: { loadBalancer: { ingress: [{ ip: 192.0.2.50 }] } }
---
apiVersion: v1
kind: Service
metadata: { name: far, namespace: edge }
spec: { type: LoadBalancer, externalTrafficPolicy: Local, ports: [{ port: 443 }] }
status: { loadBalancer: { ingress: [{ ip: 192.0.2.51 }] } }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: far-1, namespace: edge, labels: { kubernetes.io/service-name: far } }
addressType: IPv4
ports: [{ port: 443 }]
endpoints: [{ addresses: [198.51.100.80] }]
`;

const DUAL = `
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: dual, labels: { app: web } }
spec: { nodeName: node-1, containers: [{ name: c, ports: [{ containerPort: 80 }] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: client, namespace: dual }
spec: { nodeName: node-2, containers: [{ name: c }] }
---
apiVersion: v1
kind: Service
metadata: { name: six, namespace: dual }
spec: { ipFamilies: [IPv6], selector: { app: web }, ports: [{ port: 8080, targetPort: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: both, namespace: dual }
spec: { ipFamilyPolicy: PreferDualStack, selector: { app: web }, ports: [{ port: 8080, targetPort: 80 }] }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: dual }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress: [{ from: [{ ipBlock: { cidr: "fd00:10:1::/48" } }] }]
`;

const folder = mkdtempSync(join(tmpdir(), 'pteropus-explain-'));
writeFileSync(join(folder, 'all.yaml'), MANIFESTS);
writeFileSync(join(folder, 'tiers.yaml'), TIERS);
writeFileSync(join(folder, 'local.yaml'), LOCAL);
const dualFolder = mkdtempSync(join(tmpdir(), 'pteropus-explain-'));
writeFileSync(join(dualFolder, 'dual.yaml'), DUAL);
process.on('exit', () => rmSync(dualFolder, { recursive: true }));
process.on('exit', () => rmSync(folder, { recursive: true }));

const explain = (...args: readonly string[]) => captured(run, ['-f', folder, ...args]);

test('allowed: the rule that allows it, with its file and line', async () => {
  const { code, text } = await explain('--from', 'shop/client', '--to', 'shop/web');
  assert.is(code, 0);
  assert.match(
    text,
    /^ALLOWED: shop\/client \(10\.1\.1\.\d+ on node-1\) -> shop\/web-\S+ \(\S+ on node-\d\), TCP 8080\n/,
  );
  assert.match(text, /egress {3}allowed: no policy selects shop\/client in this direction\n/);
  assert.match(
    text,
    /ingress {2}allowed by NetworkPolicy shop\/web spec\.ingress\[0\] \(\S*all\.yaml:\d+\)\n/,
  );
});

test('denied: what closes the pod', async () => {
  const { code, text } = await explain('--from', 'shop/client', '--to', 'shop/web', '--port', '22');
  assert.is(code, 1);
  assert.match(text, /^DENIED/);
  assert.match(text, /denied: no rule allows it, and shop\/web-\S+ is selected by NetworkPolicy shop\/web/);
});

test('a Service: every backend, as JSON too', async () => {
  const { code, text } = await explain('--from', 'shop/client', '--to', 'shop/front', '--json');
  assert.is(code, 0);
  const answer = JSON.parse(text) as {
    verdict: string;
    service: { name: string };
    ways: { allowed: boolean }[];
  };
  assert.is(answer.verdict, 'allowed');
  assert.is(answer.service.name, 'front');
  assert.equal(
    answer.ways.map(({ allowed }) => allowed),
    [true, true],
  );
  const closed = await explain('--from', '203.0.113.9', '--to', 'service/shop/front');
  assert.is(closed.code, 1);
  assert.match(closed.text, /^DENIED: 203\.0\.113\.9 -> Service shop\/front \(10\.\S+\), TCP 80\n/);
});

test('who is on the network of his node is not under NetworkPolicies, and it is said', async () => {
  const note = /^ {2}note {5}shop\/agent is on the network of node-2: NetworkPolicies do not select it$/m;
  assert.match((await explain('--from', 'shop/client', '--to', 'shop/agent', '--port', '9100')).text, note);
  assert.match((await explain('--from', 'shop/agent', '--to', 'shop/front')).text, note);
  assert.not.match((await explain('--from', 'shop/client', '--to', 'shop/front')).text, /note/);
});

test('a Service that refuses says why', async () => {
  const empty = await explain('--from', 'shop/client', '--to', 'shop/empty');
  assert.is(empty.code, 1);
  assert.match(empty.text, /service {2}no endpoint is ready, for no pod has the labels app=none: /);
  const misnamed = await explain('--from', 'shop/client', '--to', 'shop/misnamed');
  assert.match(
    misnamed.text,
    /no endpoint is ready, for none of the 2 pods it selects has a port named http: /,
  );
  const port = await explain('--from', 'shop/client', '--to', 'shop/front', '--port', '81');
  assert.match(port.text, /service {2}has no port 81\/TCP, only 80\/TCP/);
});

test('externalTrafficPolicy Local: from outside by a node that has endpoints, from inside by any', async () => {
  const outside = await explain('--from', '203.0.113.9', '--to', '192.0.2.50', '--port', '443');
  assert.is(outside.code, 0, outside.text);
  assert.match(outside.text, /backend edge\/gate/);
  const inside = await explain('--from', 'shop/client', '--to', '192.0.2.50', '--port', '443');
  assert.is(inside.code, 0, inside.text);
  // All endpoints are on no node of the cluster.
  const far = await explain('--from', '203.0.113.9', '--to', '192.0.2.51', '--port', '443');
  assert.is(far.code, 1);
  assert.match(far.text, /service {2}dropped: externalTrafficPolicy is Local, and no endpoint is on node-1/);
  assert.is((await explain('--from', 'shop/client', '--to', '192.0.2.51', '--port', '443')).code, 0);
});

test('out of the cluster, to nobody, from the node, and by ICMP', async () => {
  const out = await explain('--from', 'shop/client', '--to', '8.8.8.8', '--port', '53', '--protocol', 'udp');
  assert.match(out.text, /route {4}out of the uplink by 192\.168\.16\.254, source becomes 192\.168\.16\.1\n/);
  const nobody = await explain('--from', 'shop/client', '--to', '10.1.1.250', '--port', '1');
  assert.is(nobody.code, 1);
  assert.match(nobody.text, /route {4}dropped: nobody in 10\.1\.1\.0\/24 has this address/);
  const node = await explain('--from', 'node/node-1', '--to', 'shop/client', '--port', '1');
  assert.match(node.text, /^ALLOWED: node node-1 \(192\.168\.16\.1\)/);
  const ping = await explain('--from', 'shop/client', '--to', 'shop/web', '--protocol', 'icmp');
  assert.is(ping.code, 1);
});

const explainDual = (...args: readonly string[]) =>
  captured(run, ['-f', dualFolder, '--dual-stack', ...args]);

test('dual-stack: IPv4 where both ends have it, and a note where IPv6 has another verdict', async () => {
  const { code, text } = await explainDual('--from', 'dual/client', '--to', 'dual/web');
  assert.is(code, 1);
  assert.match(
    text,
    /^DENIED: dual\/client \(10\.1\.2\.2 on node-2\) -> dual\/web \(10\.1\.1\.2 on node-1\), TCP 80\n/,
  );
  assert.match(text, /^ {2}note {5}over IPv6 it is allowed \(--protocol tcp6\)$/m);
  const open = await explainDual('--from', 'dual/web', '--to', 'dual/client', '--port', '1');
  assert.not.match(open.text, /note/);
});

test('dual-stack: --protocol tcp6, addresses and Services of IPv6 alone are answered over IPv6', async () => {
  const named = await explainDual('--from', 'dual/client', '--to', 'dual/web', '--protocol', 'tcp6');
  assert.is(named.code, 0, named.text);
  assert.match(
    named.text,
    /^ALLOWED: dual\/client \(fd00:10:1:2::2 on node-2\) -> dual\/web \(fd00:10:1:1::2 on node-1\), TCP 80\n/,
  );
  assert.match(named.text, /ingress {2}allowed by NetworkPolicy dual\/web spec\.ingress\[0\]/);
  assert.not.match(named.text, /note/);
  const six = await explainDual('--from', 'dual/client', '--to', 'dual/six');
  assert.is(six.code, 0, six.text);
  assert.match(
    six.text,
    /Service dual\/six \(fd00:10:96::\S+\), TCP 8080\n {2}backend dual\/web \(fd00:10:1:1::2/,
  );
  const both = await explainDual('--from', 'dual/client', '--to', 'dual/both', '--json');
  assert.is((JSON.parse(both.text) as { family: number }).family, 4);
  const stranger = await explainDual('--from', '2001:db8::9', '--to', 'dual/web');
  assert.is(stranger.code, 1);
  assert.match(stranger.text, /^DENIED: 2001:db8::9 -> dual\/web \(fd00:10:1:1::2 on node-1\)/);
  const out = await explainDual('--from', 'dual/client', '--to', '2001:db8::9', '--port', '1');
  assert.match(out.text, /out of the uplink by fd00:192:168:16::fffe, source becomes fd00:192:168:16::2\n/);
});

test('a family that one end does not have is refused, and said how a cluster gets it', async () => {
  const six = ['--from', 'shop/client', '--to', 'shop/web', '--protocol', 'tcp6'];
  assert.match(await refusal(...six), /shop\/client: has no IPv6 address; --dual-stack gives/);
  const four = await refusalOf(() => explainDual('--from', '10.9.9.9', '--to', 'dual/six'));
  assert.match(four, /10\.9\.9\.9: has no IPv6 address$/);
});

async function refusal(...args: readonly string[]): Promise<string> {
  return await refusalOf(() => explain(...args));
}

async function refusalOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
  } catch (error) {
    assert.instance(error, InvalidInputError);
    return (error as Error).message;
  }
  return 'none';
}

test('wrong input names what is wrong', async () => {
  assert.match(
    await refusal('--from', 'shop/x', '--to', 'shop/web'),
    /--from: is not a pod, workload.*"shop\/x"/,
  );
  assert.match(await refusal('--from', 'shop/client', '--to', 'a/b/c'), /--to: is not a pod, Service/);
  assert.match(await refusal('--from', 'shop/web', '--to', 'shop/client'), /shop\/client: which port\?/);
  assert.match(await refusal('--from', 'shop/web'), /--to: is needed/);
  assert.match(
    await refusal('--from', 'a', '--to', 'b', '--port', '0'),
    /--port: must be 1-65535 \(got "0"\)/,
  );
  assert.match(await refusal('--form', 'a'), /unknown option '--form'/);
  assert.match(await refusal('--protocol'), /option '--protocol <value>' argument missing/);
});

test('a tier that decides, with the name of its rule', async () => {
  const { code, text } = await explain('--from', 'ops/tool', '--to', '169.254.169.254', '--port', '80');
  assert.is(code, 1);
  assert.match(
    text,
    /egress {3}denied by ClusterNetworkPolicy guard spec\.egress\[0\] \(\S*tiers\.yaml:10, "no-metadata"\)\n/,
  );
});

test('--file and --filename are -f', () => {
  for (const spelling of ['-f', '--file', '--filename', '--file=', '--filename=']) {
    const files = spelling.endsWith('=') ? [`${spelling}x`] : [spelling, 'x'];
    assert.equal(parseArguments([...files, '--from', 'a/b', '--to', 'c/d'])?.files, ['x'], spelling);
  }
});

test('help, and values after an equals sign', () => {
  assert.is(parseArguments(['--help']), null);
  const parsed = parseArguments(['-f', 'x', '--from=a/b', '--to=c/d', '--port=80', '--protocol=SCTP']);
  assert.equal([parsed?.from, parsed?.to, parsed?.port, parsed?.protocol], ['a/b', 'c/d', 80, 'SCTP']);
});

test.run();
