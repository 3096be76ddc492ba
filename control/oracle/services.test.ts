/** Services: the compiled items and the oracle name the same backends, for random Services and slices. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileCluster, NODES } from '../compiler/fixture.js';
import { DEFAULT_CONFIG } from '../compiler/input.js';
import { parseApiObject } from '../objects/manifest.js';
import { findService } from '../ruleset/evaluate.js';
import { oracle } from './oracle.js';
import type { ServiceQuestion } from './question.js';
import { Random } from './random.js';
import type { Raw } from './raw.js';

const VIP = '10.96.0.10';
const LB = '192.0.2.1';
const EXTERNAL = '203.0.113.99';
const OUTSIDE = '198.51.100.7';

function randomService(random: Random): Raw {
  const policies = {
    externalTrafficPolicy: random.pick(['Cluster', 'Local']),
    internalTrafficPolicy: random.pick(['Cluster', 'Local', undefined]),
  };
  const protocol = random.pick(['TCP', 'UDP', undefined]);
  const name = random.pick(['web', undefined]);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'x' },
    spec: {
      type: 'LoadBalancer',
      clusterIP: VIP,
      externalIPs: [EXTERNAL],
      trafficDistribution: random.pick([
        undefined,
        undefined,
        'PreferSameZone',
        'PreferClose',
        'PreferSameNode',
      ]),
      ports: [{ name, port: 80, nodePort: 30080, ...(protocol ? { protocol } : {}) }],
      ...policies,
      loadBalancerSourceRanges: random.pick([
        undefined,
        [],
        ['198.51.100.0/24'],
        ['203.0.113.0/24', '10.1.0.0/16'],
      ]),
    },
    status: { loadBalancer: { ingress: [{ ip: LB }] } },
  };
}

const ZONES = ['za', 'zb'];

function randomHints(random: Random): Raw {
  const some = (names: readonly string[]) => names.filter(() => random.chance(0.7)).map((name) => ({ name }));
  return {
    ...(random.chance(0.9) ? { forZones: some(ZONES) } : {}),
    ...(random.chance(0.4) ? { forNodes: some(['n1', 'n2', 'n3']) } : {}),
  };
}

function randomSlice(random: Random, i: number): Raw {
  const hinting = random.chance(0.6);
  const conditions = () => ({
    ready: random.pick([true, false, undefined, null]),
    serving: random.pick([true, false, undefined]),
    terminating: random.pick([true, false, undefined]),
  });
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `s-${i}`,
      namespace: 'x',
      labels: { 'kubernetes.io/service-name': random.pick(['s', 's', 's', 't']) },
    },
    addressType: 'IPv4',
    ports: random.times(1 + random.below(2), (n) => ({
      name: random.pick(['web', 'web', undefined]),
      port: 8080 + n,
      protocol: random.pick(['TCP', 'UDP', undefined]),
    })),
    endpoints: random.times(random.below(4), (n) => {
      const node = 1 + random.below(3);
      return {
        addresses: [`10.1.${node}.${10 * i + n + 2}`],
        nodeName: random.pick([`n${node}`, `n${node}`, null]),
        conditions: conditions(),
        ...(random.chance(0.5) ? { zone: random.pick(ZONES) } : {}),
        ...(hinting ? { hints: randomHints(random) } : {}),
      };
    }),
  };
}

test('compiled Services and the oracle agree', () => {
  let checked = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed);
    const service = randomService(random);
    const nodes = NODES.map(({ name, id }) => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name,
        labels: random.chance(0.8) ? { 'topology.kubernetes.io/zone': random.pick(ZONES) } : {},
      },
      status: { addresses: [{ type: 'InternalIP', address: `192.168.16.${id}` }] },
    }));
    const objects = [...nodes, service, ...random.times(random.below(4), (i) => randomSlice(random, i))];
    const { rulesets } = compileCluster(objects.map(parseApiObject), NODES, {
      ...DEFAULT_CONFIG,
      externalIPCIDRs: [`${EXTERNAL}/32`],
    });
    const truth = oracle(objects);
    const [port] = (service['spec'] as { ports: readonly { protocol?: 'TCP' | 'UDP' }[] }).ports;
    const protocol = port?.protocol ?? 'TCP';
    for (const { name } of NODES) {
      for (const { name: asked, id } of NODES) {
        const questions: readonly (readonly [string, number, Partial<ServiceQuestion>])[] = [
          [VIP, 80, { frontend: 'ClusterIP' }],
          [`192.168.16.${id}`, 30080, { frontend: 'NodePort', node: asked }],
          [LB, 80, { frontend: 'LoadBalancer' }],
          [EXTERNAL, 80, { frontend: 'ExternalIP' }],
        ];
        for (const [address, number, more] of questions) {
          const node = more.node ?? name;
          const expected = truth.viaService({
            from: { ip: OUTSIDE },
            service: { namespace: 'x', name: 's' },
            port: 80,
            protocol,
            frontend: 'ClusterIP',
            ...more,
            node,
            entry: name,
          });
          const ruleset = rulesets.get(name);
          const item = ruleset && findService(ruleset, address, protocol, number);
          const text = (list: readonly { address: string; port: number }[]) =>
            list.map((b) => `${b.address}:${b.port}`).sort();
          const filtered =
            item?.sourceRanges != null && !item.sourceRanges.some((range) => range.startsWith('198.51.100.'));
          assert.equal(filtered, expected.outcome === 'filtered', `seed ${seed}`);
          const elsewhere = !filtered && item?.outsideBackends?.length === 0;
          assert.equal(elsewhere, expected.outcome === 'elsewhere', `seed ${seed}`);
          if (!filtered && !elsewhere)
            assert.equal(
              text(item?.outsideBackends ?? item?.backends ?? []),
              text(expected.backends),
              `seed ${seed} ${address} on ${name}`,
            );
          checked++;
        }
      }
    }
  }
  assert.is(checked, 300 * 36);
});

test.run();
