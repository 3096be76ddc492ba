/**
 * NetworkPolicy's corner cases by name, each judged three times: by the oracle, by the compiled rules, and by the WebAssembly
 * pipeline with a real packet.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MemoryLinks } from '../../control/backends/wasm/memory-feed.js';
import { openWasmBackend } from '../../control/backends/wasm/open.js';
import { compile } from '../../control/compiler/compile.js';
import {
  apiNamespace,
  apiPod,
  apiPolicy,
  compileCluster,
  judgeBoth,
  localOf,
} from '../../control/compiler/fixture.js';
import { DEFAULT_CONFIG } from '../../control/compiler/input.js';
import { parseApiObject } from '../../control/objects/manifest.js';
import { oracle } from '../../control/oracle/oracle.js';
import { diffRulesets } from '../../control/ruleset/diff.js';
import { Bench, expectedLink, NODE_ADDRESS, settle } from './bench.js';

type Raw = Readonly<Record<string, unknown>>;
type Protocol = 'TCP' | 'UDP' | 'SCTP' | 'ICMP';

/** `FROM -> TO PROTOCOL/PORT`, ends by name or address. */
type Checks = Readonly<Record<string, boolean>>;

const PLACES: Readonly<Record<string, string>> = {
  a: '10.1.1.2',
  b: '10.1.1.3',
  c: '10.1.2.2',
  d: '10.1.2.3',
  node: NODE_ADDRESS,
  other: '192.168.16.2',
  out: '8.8.8.8',
};

const named = (...ports: readonly [string, number, string?][]) =>
  ports.map(([name, containerPort, protocol]) => ({
    name,
    containerPort,
    ...(protocol ? { protocol } : {}),
  }));

/** a and b in namespace x on n1, c in x and d in y on n2. Port `web` is 80 on a, 8080 on b and d; c has none. */
const PODS: readonly Raw[] = [
  apiPod('a', 'x', '10.1.1.2', 'n1', { app: 'a', tier: 'front' }, named(['web', 80], ['dns', 53, 'UDP'])),
  apiPod('b', 'x', '10.1.1.3', 'n1', { app: 'b' }, named(['web', 8080])),
  apiPod('c', 'x', '10.1.2.2', 'n2', { app: 'c', tier: 'back' }),
  apiPod('d', 'y', '10.1.2.3', 'n2', { app: 'a' }, named(['web', 8080])),
  apiNamespace('x'),
  apiNamespace('y', { team: 'y' }),
];

let marker = 0;

async function holds(objects: readonly Raw[], checks: Checks): Promise<void> {
  const nodes = [1, 2, 3].map((id) => ({
    ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: `n${id}` } },
    status: { addresses: [{ type: 'InternalIP', address: `192.168.16.${id}` }] },
  }));
  const all = [...nodes, ...objects];
  const cluster = compileCluster(all.map(parseApiObject));
  const truth = oracle(all);
  const bench = new Bench(new MemoryLinks());
  const backend = await openWasmBackend({
    feed: bench.links,
    memory: { sessionsLog2: 10, frameCount: 512, seed: 7 },
  });
  try {
    bench.local = localOf('n1', cluster.model.all('Pod'));
    bench.ruleset = compile(cluster.model, bench.local, DEFAULT_CONFIG);
    for (const link of ['eth0', 'ptero0', ...bench.local.attachments.map((attachment) => attachment.link)])
      bench.listen(link);
    const results = await backend.apply(diffRulesets(new Map(), bench.ruleset));
    assert.ok(results.every(({ error }) => error === null));
    for (const destination of ['192.168.16.2', '8.8.8.8']) {
      bench.send(
        { source: NODE_ADDRESS, destination, protocol: 'UDP', port: 9, marker: marker++, sourcePort: 9 },
        'n1',
      );
      await settle();
    }
    for (const [text, allowed] of Object.entries(checks)) {
      const match = /^(\S+) -> (\S+) (\w+)(?:\/(\d+))?$/.exec(text);
      assert.ok(match, text);
      const [, from = '', to = '', protocolText = '', portText = '0'] = match;
      const [source, destination] = [PLACES[from] ?? from, PLACES[to] ?? to];
      const protocol = protocolText.toUpperCase() as Protocol;
      const port = Number(portText);
      const verdict = truth.verdict({ from: { ip: source }, to: { ip: destination }, protocol, port });
      assert.is(verdict.allowed, allowed, `${text} by the oracle: ${JSON.stringify(verdict)}`);
      const wanted = { from: source, to: destination, protocol: protocol === 'ICMP' ? null : protocol, port };
      assert.is(judgeBoth(cluster, wanted).allowed, allowed, `${text} by the compiled rules`);
      // The pipeline does not forward IPv6.
      if (source.includes(':') || source === destination) continue;
      const probe = {
        source,
        destination,
        protocol,
        port,
        marker: marker++,
        sourcePort: 10000 + (marker % 50000),
      };
      const node =
        cluster.holders.get(source)?.node ?? (from === 'node' ? 'n1' : from === 'other' ? 'n2' : null);
      assert.ok(bench.send(probe, node));
      await settle();
      const link = expectedLink(bench, truth, probe);
      assert.equal(
        bench.seen.get(probe.marker) ?? [],
        link === null ? [] : [link],
        `${text} by the pipeline`,
      );
    }
  } finally {
    await backend.close();
  }
}

const test = suite('NetworkPolicy');

function cases(name: string, policies: readonly Raw[], checks: Checks, more: readonly Raw[] = []): void {
  test(name, () => holds([...PODS, ...more, ...policies], checks));
}

const pods = (app: string) => ({ podSelector: { matchLabels: { app } } });
const ingress = (name: string, rules: unknown, selector: Raw = { matchLabels: { app: 'a' } }) =>
  apiPolicy(name, 'x', { podSelector: selector, policyTypes: ['Ingress'], ingress: rules });
const egress = (name: string, rules: unknown) =>
  apiPolicy(name, 'x', {
    podSelector: { matchLabels: { app: 'a' } },
    policyTypes: ['Egress'],
    egress: rules,
  });
const when = (key: string, operator: string, ...values: string[]) => [
  {
    from: [
      { podSelector: { matchExpressions: [{ key, operator, ...(values.length > 0 ? { values } : {}) }] } },
    ],
  },
];

cases('an empty podSelector is all pods of the namespace, and no others', [ingress('p', [], {})], {
  ...{ 'b -> a tcp/80': false, 'a -> b tcp/80': false, 'c -> b icmp': false, 'a -> d tcp/80': true },
});
cases(
  'ingress: [] opens nothing, ingress: [{}] everything',
  [ingress('p', []), ingress('q', [{}], { matchLabels: { app: 'b' } })],
  {
    ...{ 'b -> a tcp/80': false, 'out -> a tcp/80': false, 'a -> b tcp/80': true, 'out -> b icmp': true },
  },
);
cases('In', [ingress('p', when('app', 'In', 'b', 'z'))], { 'b -> a tcp/1': true, 'c -> a tcp/1': false });
cases('NotIn matches where the key is absent', [ingress('p', when('tier', 'NotIn', 'back'))], {
  ...{ 'b -> a tcp/1': true, 'c -> a tcp/1': false, 'd -> a tcp/1': false },
});
cases('Exists', [ingress('p', when('tier', 'Exists'))], { 'b -> a tcp/1': false, 'c -> a tcp/1': true });
cases('DoesNotExist', [ingress('p', when('tier', 'DoesNotExist'))], {
  'b -> a tcp/1': true,
  'c -> a tcp/1': false,
});
cases(
  'both selectors in one peer must match',
  [ingress('p', [{ from: [{ namespaceSelector: { matchLabels: { team: 'y' } }, ...pods('c') }] }])],
  { 'c -> a tcp/1': false, 'd -> a tcp/1': false },
);
cases(
  'of two peers one must match',
  [ingress('p', [{ from: [{ namespaceSelector: { matchLabels: { team: 'y' } } }, pods('c')] }])],
  { 'c -> a tcp/1': true, 'd -> a tcp/1': true, 'b -> a tcp/1': false },
);
cases(
  'every namespace is labelled with its name',
  [
    ingress('p', [
      { from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'y' } } }] },
    ]),
  ],
  { 'd -> a tcp/1': true, 'b -> a tcp/1': false },
);
cases(
  'an except is cut out of its block, and another rule may open it again',
  [
    ingress('p', [
      { from: [{ ipBlock: { cidr: '10.1.0.0/16', except: ['10.1.1.0/24', '10.1.2.2/32'] } }] },
      { from: [{ ipBlock: { cidr: '10.1.2.2/31', except: ['10.1.2.3/32'] } }], ports: [{ port: 443 }] },
    ]),
  ],
  { 'b -> a tcp/443': false, 'c -> a tcp/443': true, 'c -> a tcp/80': false, 'd -> a tcp/80': true },
);
cases(
  'absent and empty lists of peers and ports are everyone and everything',
  [ingress('p', [{ from: [], ports: [] }])],
  { 'out -> a icmp': true, 'b -> a udp/53': true, 'd -> a sctp/1': true },
);
cases('a port without protocol is TCP', [ingress('p', [{ ports: [{ port: 80 }] }])], {
  ...{ 'b -> a tcp/80': true, 'b -> a udp/80': false, 'b -> a sctp/80': false, 'b -> a icmp': false },
});
cases(
  'an empty port entry is all of TCP, from the first port to the last',
  [ingress('p', [{ ports: [{}] }])],
  {
    ...{ 'b -> a tcp/1': true, 'b -> a tcp/65535': true, 'b -> a udp/1': false, 'b -> a icmp': false },
  },
);
cases(
  'a protocol without port is all of it',
  [ingress('p', [{ ports: [{ protocol: 'SCTP' }, { protocol: 'UDP' }] }])],
  {
    ...{ 'b -> a sctp/1': true, 'b -> a sctp/65535': true, 'b -> a udp/65535': true, 'b -> a tcp/80': false },
  },
);
cases(
  'endPort belongs to its range',
  [ingress('p', [{ ports: [{ port: 80, endPort: 82, protocol: 'UDP' }] }])],
  {
    ...{
      'b -> a udp/79': false,
      'b -> a udp/80': true,
      'b -> a udp/82': true,
      'b -> a udp/83': false,
      'b -> a tcp/81': false,
    },
  },
);
cases(
  'a port name is what the pod itself calls it, of one protocol',
  [ingress('p', [{ ports: [{ port: 'web' }, { port: 'dns', protocol: 'UDP' }] }], {})],
  {
    ...{ 'b -> a tcp/80': true, 'b -> a tcp/8080': false, 'a -> b tcp/8080': true, 'a -> b tcp/80': false },
    ...{ 'b -> a udp/53': true, 'b -> a tcp/53': false, 'a -> b udp/53': false },
  },
);
cases(
  'in egress each destination has its own; who has none is not reached',
  [egress('p', [{ ports: [{ port: 'web' }] }])],
  {
    ...{ 'a -> b tcp/8080': true, 'a -> b tcp/80': false, 'a -> d tcp/8080': true, 'a -> c tcp/8080': false },
    ...{ 'a -> out tcp/8080': false },
  },
);
cases(
  'a name nobody has opens nothing',
  [ingress('p', [{ ports: [{ port: 'nobody' }] }]), egress('q', [{ ports: [{ port: 'nobody' }] }])],
  { 'b -> a tcp/80': false, 'a -> b tcp/80': false, 'a -> out tcp/443': false },
);
cases('policyTypes absent: ingress alone', [apiPolicy('p', 'x', { podSelector: {} })], {
  ...{ 'b -> a tcp/80': false, 'a -> out tcp/80': true },
});
cases(
  'policyTypes absent: egress too where it has rules',
  [apiPolicy('p', 'x', { podSelector: { matchLabels: { app: 'a' } }, egress: [{ to: [pods('b')] }] })],
  { 'b -> a tcp/80': false, 'a -> b tcp/80': true, 'a -> out tcp/80': false },
);
cases(
  'several policies add up',
  [
    ingress('p', [{ from: [pods('b')], ports: [{ port: 80 }] }]),
    ingress('q', [{ from: [pods('c')], ports: [{ port: 81 }] }]),
  ],
  { 'b -> a tcp/80': true, 'c -> a tcp/81': true, 'b -> a tcp/81': false, 'c -> a tcp/80': false },
);

const HOST = { ...apiPod('h', 'x', NODE_ADDRESS, 'n1', { app: 'h' }) } as Raw;
const onHost: Raw = { ...HOST, spec: { ...(HOST['spec'] as Raw), hostNetwork: true } };
const peerHost: Raw = {
  ...apiPod('g', 'x', '192.168.16.2', 'n2', { app: 'h' }),
  spec: { nodeName: 'n2', hostNetwork: true, containers: [{ name: 'c' }] },
};
cases(
  'pods on the host are neither peers nor subjects',
  [ingress('p', [{ from: [pods('h')] }], {})],
  { 'other -> a tcp/80': false, 'a -> other tcp/80': true, 'b -> a tcp/80': false },
  [onHost, peerHost],
);
cases('a node reaches its own pods, and a pod itself', [ingress('p', []), egress('q', [])], {
  ...{
    'node -> a tcp/80': true,
    'other -> a tcp/80': false,
    'a -> a tcp/80': true,
    'a -> node tcp/80': false,
  },
});

const ended = (phase: string, ip: string): Raw => ({
  ...apiPod(`job-${phase.toLowerCase()}`, 'x', ip, 'n2', { app: 'job' }),
  status: { phase, podIPs: [{ ip }] },
});
cases(
  'pods that ended are no peers, and who reuses their address inherits nothing',
  [ingress('p', [{ from: [pods('job')] }])],
  { 'c -> a tcp/80': false, 'd -> a tcp/80': false, '10.1.2.9 -> a tcp/80': false },
  [ended('Succeeded', '10.1.2.2'), ended('Failed', '10.1.2.9')],
);

const six = (name: string, ip: string): Raw => apiPod(name, 'x', ip, 'n1', { app: name });
cases(
  'IPv6: blocks with excepts, selectors, and families apart',
  [
    ingress('p', [{ from: [{ ipBlock: { cidr: 'fd00:1::/32', except: ['fd00:1:1::/64'] } }, pods('s')] }], {
      matchLabels: { app: 't' },
    }),
  ],
  {
    ...{ 'fd00:1:2::9 -> fd00:1:1::3 tcp/80': true, 'fd00:1:1::9 -> fd00:1:1::3 tcp/80': false },
    ...{ 'fd00:1:1::2 -> fd00:1:1::3 tcp/80': true, 'fd00:2::1 -> fd00:1:1::3 tcp/80': false },
  },
  [six('s', 'fd00:1:1::2'), six('t', 'fd00:1:1::3')],
);

test.run();
