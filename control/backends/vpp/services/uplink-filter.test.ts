/** Who may come by the uplink. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServiceItem } from '../../../ruleset/types.js';
import type { VppOptions } from '../objects/types.js';
import { DEFAULT_OPTIONS } from '../options.js';
import type { AclSpec } from '../policies/acl-rules.js';
import { at, backend, NODE, service, UPLINK, viewOf } from './fixtures.js';
import { guardedPlaces, uplinkFilterRenderer } from './uplink-filter.js';

const test = suite('the uplink’s access list');

const frontends = [at('203.0.113.7', 80, 'LoadBalancer')];
const backends = [backend('10.1.1.2', 8080)];
const external = (name: string, fields: Partial<ServiceItem>): ServiceItem =>
  service({ name, scope: 'external', frontends, backends, ...fields });
const guarded = (items: readonly ServiceItem[], services: VppOptions['services'] = 'cnat'): string[] => [
  ...guardedPlaces(items, { ...DEFAULT_OPTIONS, services }).keys(),
];

test('CNAT’s lists see backends, NAT44-ED’s frontends', () => {
  const ranges = external('ranges', { sourceRanges: ['198.51.100.0/24'] });
  assert.equal(guarded([ranges]), ['TCP 10.1.1.2 8080']);
  assert.equal(guarded([ranges], 'nat44'), ['TCP 203.0.113.7 80']);
});

test('what is open to all, or asked for from inside alone, is not guarded', () => {
  assert.equal(guarded([external('open', {})]), []);
  assert.equal(guarded([service({ backends, sourceRanges: ['198.51.100.0/24'] })]), []);
});

test('source ranges hold whatever other service leads there; a missing endpoint does not shut another’s door', () => {
  const open = external('open', { frontends: [at('192.168.16.1', 30080, 'NodePort')] });
  assert.equal(guarded([open, external('ranges', { sourceRanges: [] })]), ['TCP 10.1.1.2 8080']);
  assert.equal(guarded([open, external('shut', { outsideBackends: [] })]), []);
  assert.equal(guarded([external('shut', { outsideBackends: [] })]), ['TCP 10.1.1.2 8080']);
});

test('ranges first, then nobody, then everything else; pods of the cluster are never asked', () => {
  const ranges = external('ranges', { sourceRanges: ['198.51.100.0/24', '192.0.2.0/24', 'fd00:5::/32'] });
  const objects = uplinkFilterRenderer.render(UPLINK, viewOf([NODE, UPLINK, ranges]));
  const acl = objects.find(({ key }) => key === 'acl/uplink')?.spec as AclSpec;
  assert.equal(
    acl.rules.map(({ action, source, destination }) => `${action} ${source} ${destination}`),
    [
      'permit 10.1.0.0/16 0.0.0.0/0',
      'permit fd00:1::/48 ::/0',
      'permit 192.0.2.0/24 10.1.1.2/32',
      'permit 198.51.100.0/24 10.1.1.2/32',
      'deny 0.0.0.0/0 10.1.1.2/32',
      'permit 0.0.0.0/0 0.0.0.0/0',
      'permit ::/0 ::/0',
    ],
  );
  assert.equal(uplinkFilterRenderer.render(UPLINK, viewOf([NODE, UPLINK, external('open', {})])), []);
});

test.run();
