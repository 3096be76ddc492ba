/** A Service of many ports and endpoints, kept up to date, is what it would be from scratch; and what does not change stays as it is. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../control/compiler/compile.js';
import { nodeRecord } from '../../control/compiler/fixture.js';
import { IncrementalCompiler } from '../../control/compiler/incremental/compiler.js';
import { DEFAULT_CONFIG, DEFAULT_IPV6, type NodeLocal } from '../../control/compiler/input.js';
import { Model } from '../../control/model/model.js';
import { parseApiObject } from '../../control/objects/manifest.js';
import type { ObjectEvent } from '../../control/objects/types.js';
import { Random } from '../../control/oracle/random.js';
import { canonicalRuleset } from '../../control/ruleset/canonical.js';
import { applyChanges, diffRulesets } from '../../control/ruleset/diff.js';
import type { Ruleset } from '../../control/ruleset/types.js';

const CONFIG = { ...DEFAULT_CONFIG, ipv6: DEFAULT_IPV6, externalIPCIDRs: ['198.51.100.0/24'] };
const LOCAL: NodeLocal = {
  node: 'n1',
  uplink: { link: 'eth0', mac: '02:00:00:00:00:01' },
  host: { link: 'ptero0', mac: '02:00:00:00:00:02', peerMac: '02:00:00:00:00:03' },
  attachments: [],
};
const PORTS = 12;
const SLICES = 4;
const EACH = 24;
const NODES = ['n1', 'n2', 'n3'];

const put = (raw: unknown): ObjectEvent => ({ type: 'put', object: parseApiObject(raw) });

interface End {
  readonly address: string;
  readonly ready: boolean;
  readonly terminating: boolean;
  readonly pod: string | null;
  readonly node: string;
  readonly hint: string | null;
}

interface Slice {
  readonly six: boolean;
  /** Added to the numbers of every third port. */
  readonly odd: number;
  readonly ends: readonly End[];
}

function end(random: Random, six: boolean, i: number): End {
  return {
    address: six ? `fd00:1:2::${(i + 1).toString(16)}` : `10.1.2.${i + 1}`,
    ready: random.chance(0.9),
    terminating: random.chance(0.05),
    pod: random.chance(0.8) ? `p${i % 40}` : null,
    node: random.pick(NODES),
    hint: random.chance(0.9) ? random.pick(['z1', 'z2']) : null,
  };
}

function sliceOf(n: number, { six, odd, ends }: Slice, hinted: boolean) {
  return {
    ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' },
    metadata: { name: `s${n}`, namespace: 'a', labels: { 'kubernetes.io/service-name': 'big' } },
    addressType: six ? 'IPv6' : 'IPv4',
    ports: Array.from({ length: PORTS }, (_, p) => {
      return { name: `p${p}`, port: 8000 + p + (p % 3 === 0 ? odd : 0), protocol: 'TCP' };
    }),
    endpoints: ends.map(({ address, ready, terminating, pod, node, hint }) => ({
      addresses: [address],
      conditions: { ready, serving: ready || terminating, terminating },
      nodeName: node,
      ...(pod === null ? {} : { targetRef: { kind: 'Pod', name: pod, namespace: 'a' } }),
      ...(hinted && hint !== null ? { hints: { forZones: [{ name: hint }] } } : {}),
    })),
  };
}

function service(random: Random) {
  const type = random.pick(['ClusterIP', 'NodePort', 'LoadBalancer']);
  return {
    ...{ apiVersion: 'v1', kind: 'Service' },
    metadata: { name: 'big', namespace: 'a' },
    spec: {
      type,
      ...{ clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9', 'fd00:96::9'], selector: { app: 'x' } },
      ...{ ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv4', 'IPv6'] },
      ...(random.chance(0.5) ? { internalTrafficPolicy: 'Local' } : {}),
      ...(type !== 'ClusterIP' && random.chance(0.6)
        ? {
            externalTrafficPolicy: 'Local',
            ...(type === 'LoadBalancer' ? { healthCheckNodePort: 32000 } : {}),
          }
        : {}),
      ...(random.chance(0.3) ? { trafficDistribution: 'PreferClose' } : {}),
      ...(random.chance(0.4) ? { externalIPs: ['198.51.100.7'] } : {}),
      ports: Array.from({ length: PORTS }, (_, p) => ({
        ...{ name: `p${p}`, port: 1000 + p, targetPort: 8000 + p, protocol: 'TCP' },
        ...(type === 'ClusterIP' ? {} : { nodePort: 30_000 + p }),
      })),
    },
    status: type === 'LoadBalancer' ? { loadBalancer: { ingress: [{ ip: '203.0.113.5' }] } } : {},
  };
}

function node(random: Random, name: string) {
  const labels = random.chance(0.8) ? { 'topology.kubernetes.io/zone': random.pick(['z1', 'z2']) } : {};
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: {}, status: {} };
}

function pod(random: Random, i: number) {
  const annotations = random.chance(0.3) ? { 'service.pteropus.io/weight': `${1 + random.below(3)}` } : {};
  return {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: `p${i}`, namespace: 'a', annotations } },
    spec: { nodeName: 'n2', containers: [{ name: 'c' }] },
    status: { phase: 'Running', podIPs: [] },
  };
}

/** A slice with one endpoint more, less or otherwise; now and then with other ports. */
function changed(random: Random, slice: Slice): Slice {
  const { six, ends } = slice;
  const at = random.below(ends.length + 1);
  const one = end(random, six, random.below(200));
  const others = ends.filter(({ address }) => address !== one.address);
  if (random.chance(0.1)) return { ...slice, odd: random.pick([0, 0, 1000]) };
  if (random.chance(0.3)) return { ...slice, ends: ends.filter((_, i) => i !== at) };
  return { ...slice, ends: [...others.slice(0, at), one, ...others.slice(at)] };
}

test('any history of a large Service', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const slices = Array.from({ length: SLICES }, (_, n): Slice => {
      const six = n === SLICES - 1;
      return {
        ...{ six, odd: 0 },
        ends: Array.from({ length: EACH }, (_, i) => end(random, six, n * EACH + i)),
      };
    });
    let hinted = random.chance(0.5);
    const model = new Model();
    const first = [
      ...NODES.map((name, i) => ({ type: 'put', object: nodeRecord({ name, id: i + 1 }, CONFIG) }) as const),
      ...NODES.map((name) => put(node(random, name))),
      ...Array.from({ length: 40 }, (_, i) => put(pod(random, i))),
      put(service(random)),
      ...slices.map((slice, n) => put(sliceOf(n, slice, hinted))),
    ];
    for (const event of first) model.apply(event);
    const compiler = new IncrementalCompiler(model, LOCAL, CONFIG);
    let held: Ruleset = new Map(compiler.ruleset);
    for (let step = 0; step < 30; step++) {
      const what = random.next();
      const events: ObjectEvent[] = [];
      if (what < 0.05) events.push(put(service(random)));
      else if (what < 0.1) events.push({ type: 'delete', kind: 'Service', namespace: 'a', name: 'big' });
      else if (what < 0.15) events.push(put(node(random, random.pick(NODES))));
      else if (what < 0.2) events.push(put(pod(random, random.below(40))));
      else if (what < 0.25) {
        hinted = !hinted;
        events.push(...slices.map((slice, n) => put(sliceOf(n, slice, hinted))));
      } else {
        const n = random.below(SLICES);
        const slice = changed(random, slices[n] as Slice);
        slices[n] = slice;
        events.push(put(sliceOf(n, slice, hinted)));
      }
      const changes = compiler.apply(events);
      const wanted = compile(model, LOCAL, CONFIG);
      const about = `seed ${seed} step ${step}`;
      assert.is(canonicalRuleset(compiler.ruleset), canonicalRuleset(wanted), about);
      const names = (list: typeof changes) => list.map(({ type, key }) => `${type} ${key}`);
      assert.equal(names(changes), names(diffRulesets(held, wanted)), about);
      held = applyChanges(held, changes);
    }
  }
});

test('one endpoint that flips: all other backends of all ports are the same objects as before', () => {
  const ends = Array.from({ length: 60 }, (_, i): End => {
    return {
      ...{ address: `10.1.2.${i + 1}`, ready: true, terminating: false },
      ...{ pod: null, node: 'n2', hint: null },
    };
  });
  const slice: Slice = { six: false, odd: 0, ends };
  const model = new Model();
  for (const [i, name] of NODES.entries())
    model.apply({ type: 'put', object: nodeRecord({ name, id: i + 1 }, CONFIG) });
  const raw = service(new Random(1));
  model.apply(put({ ...raw, spec: { ...raw.spec, type: 'ClusterIP', internalTrafficPolicy: 'Cluster' } }));
  model.apply(put(sliceOf(0, slice, false)));
  const compiler = new IncrementalCompiler(model, LOCAL, CONFIG);
  const flipped = ends.map((one, i) => (i === 30 ? { ...one, ready: false } : one));
  const changes = compiler.apply([put(sliceOf(0, { ...slice, ends: flipped }, false))]);
  assert.ok(changes.length >= PORTS);
  for (const change of changes) {
    if (change.type !== 'update' || change.item.kind !== 'service' || change.old.kind !== 'service')
      return assert.unreachable(change.key);
    const before = new Set(change.old.backends);
    assert.is(change.item.backends.length, ends.length - 1);
    assert.ok(change.item.backends.every((backend) => before.has(backend)));
  }
});

test.run();
