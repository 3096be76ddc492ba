import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { NodeItem, ServiceItem } from '../../../ruleset/types.js';
import { type LimitFacts, limitsOf, shortfallsOf } from './limits.js';

const facts = (services: 'cnat' | 'nat44', flows: boolean): LimitFacts => ({
  options: { services },
  api: { has: (message) => flows || message !== 'feature_cnat_enable_disable' },
});
const ALL = (['cnat', 'nat44'] as const).flatMap((services) => [
  facts(services, true),
  facts(services, false),
]);

const backend = (address: string): ServiceItem['backends'][number] => ({
  ...{ address, port: 80, weight: 1, pod: null, node: null },
});
const NODE: NodeItem = {
  ...{ kind: 'node', key: 'node', name: 'n', id: 1, addresses: ['192.168.16.1'] },
  ...{ podSubnets: ['10.1.1.0/24'], podCidrs: ['10.1.0.0/16', 'fd00:1::/48'] },
};
const SERVICE: ServiceItem = {
  ...{
    kind: 'service',
    key: 'service/s/web/TCP/80/loadbalancer',
    namespace: 's',
    name: 'web',
    portName: null,
  },
  ...{ protocol: 'TCP', scope: 'external', affinitySeconds: null, algorithm: 'random', sourceRanges: null },
  frontends: [{ address: '203.0.113.9', port: 80, type: 'LoadBalancer' }],
  backends: [backend('10.1.1.2'), backend('10.1.2.2')],
  outsideBackends: null,
};

test('docs/vpp-services.md lists each limit, and no more under its heading', () => {
  const text = readFileSync(new URL('../../../../../../docs/vpp-services.md', import.meta.url), 'utf8');
  const table =
    /### Named at connect, in `--preflight` and with objects\n(?:[^#]*?)\n((?:\|[^\n]*\n)+)/.exec(
      text,
    )?.[1] ?? '';
  const rows = [...table.matchAll(/^\| ([^|]+?) \|/gm)].slice(1).map(([, what]) => what);
  const limits = new Set(ALL.flatMap((each) => limitsOf(each).map(({ what }) => what)));
  assert.equal([...new Set(rows)].sort(), [...limits].sort());
});

test('which limits there are follows from release and renderer', () => {
  const names = (...of: Parameters<typeof facts>): readonly string[] =>
    limitsOf(facts(...of)).map(({ name }) => name);
  const always = ['apart-counts', 'client-address', 'inside-ranges', 'outside-backends', 'sctp6'];
  assert.equal([...names('cnat', true)].sort(), always);
  assert.equal(
    [...names('cnat', false)].sort(),
    [...always, 'affinity', 'affinity6', 'outside-pods', 'outside-pods6'].sort(),
  );
  assert.equal(
    [...names('nat44', true)].sort(),
    [...always, 'maglev', 'pod-address', 'sctp', 'service-counts'].sort(),
  );
  assert.equal(
    [...names('nat44', false)].sort(),
    [...always, 'affinity6', 'maglev', 'outside-pods6', 'pod-address', 'sctp', 'service-counts'].sort(),
  );
});

test('a service that asks for more than it gets is told so', () => {
  const told = (service: Partial<ServiceItem>, where = facts('cnat', true), node: NodeItem | null = NODE) =>
    shortfallsOf({ ...SERVICE, ...service }, node ?? undefined, where).map((text) =>
      text.slice(0, text.indexOf(':')),
    );
  assert.equal(told({}), []);
  const ranges = 'source ranges for clients inside';
  assert.equal(told({ sourceRanges: ['198.51.100.0/24'] }), [ranges]);
  assert.equal(told({ sourceRanges: [] }), [ranges], 'no one is less than the pods');
  assert.equal(told({ sourceRanges: ['10.0.0.0/8'] }), [], 'pods are in it');
  assert.equal(
    told({ sourceRanges: ['10.1.0.0/17', 'fd00::/8'] }),
    [ranges],
    'some of them, and another family',
  );
  assert.equal(told({ sourceRanges: ['10.0.0.0/8'] }, facts('cnat', true), null), [ranges]);
  assert.equal(told({ scope: 'internal', sourceRanges: ['10.0.0.0/8'] }), []);
  const apart = 'other backends for clients outside than for those inside';
  assert.equal(told({ outsideBackends: [backend('10.1.1.2')] }), [apart]);
  assert.equal(told({ outsideBackends: [...SERVICE.backends].reverse() }), [], 'the same ones');
  assert.equal(told({ outsideBackends: [] }), [], 'those outside are kept out, those inside get all');
  assert.equal(told({ affinitySeconds: 1 }, facts('cnat', false)), [], 'it is refused, and not in force');
});

test.run();
