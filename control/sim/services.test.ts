import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cidrContains, parseCidr, parseIp } from '../common/ip.js';
import type { Service } from '../objects/types.js';
import { serviceObject } from './fixtures.js';
import { assignServices } from './services.js';

const SPEC = { serviceCIDR: '10.96.0.0/12', loadBalancerCIDR: '192.0.2.0/24' };
const assign = (...services: Service[]) => assignServices(services, SPEC);
const port = { port: 80 };

test('a cluster IP follows from the name, outside the band kept for addresses given by hand', () => {
  const web = serviceObject('shop/web', { ports: [port] });
  const [alone] = assign(web).services;
  const ip = alone?.spec.clusterIPs[0] ?? '';
  assert.ok(cidrContains(parseCidr(SPEC.serviceCIDR), parseIp(ip)));
  assert.not(cidrContains(parseCidr('10.96.0.0/24'), parseIp(ip)));
  const [, withOthers] = assign(serviceObject('shop/aaa', { ports: [port] }), web).services;
  assert.is(withOthers?.spec.clusterIPs[0], ip, 'another Service does not move it');
});

test('a hundred Services have a hundred addresses', () => {
  const many = Array.from({ length: 100 }, (_, i) => serviceObject(`shop/s${i}`, { ports: [port] }));
  assert.is(new Set(assign(...many).services.map(({ spec }) => spec.clusterIPs[0])).size, 100);
});

test('given addresses are kept, headless and ExternalName get none', () => {
  const { services } = assign(
    serviceObject('ops/dns', { clusterIP: '10.96.0.10', ports: [port] }),
    serviceObject('shop/db', { clusterIP: 'None', ports: [port] }),
    serviceObject('shop/rates', { type: 'ExternalName', externalName: 'rates.example.com' }),
  );
  assert.equal(
    services.map(({ spec }) => spec.clusterIPs),
    [['10.96.0.10'], ['None'], []],
  );
});

test('who needs IPv6 where there is none is told, who merely prefers it is not', () => {
  const asking = (name: string, spec: object) => serviceObject(name, { ...spec, ports: [port] });
  const { services, warnings } = assign(
    asking('shop/six', { ipFamilies: ['IPv6'] }),
    asking('shop/both', { ipFamilyPolicy: 'RequireDualStack' }),
    asking('shop/likes', { ipFamilyPolicy: 'PreferDualStack' }),
  );
  assert.equal(warnings, [
    'Services that need IPv6 get IPv4 only (--dual-stack gives both): shop/both and 1 more',
  ]);
  assert.ok(services.every(({ spec }) => spec.clusterIPs.length === 1));
  const dual = { ...SPEC, serviceCIDR6: 'fd00:10:96::/112' };
  assert.equal(assignServices(services, dual).warnings, []);
});

test('two claims to one address or node port are an error that names both', () => {
  const dns = (name: string) => serviceObject(name, { clusterIP: '10.96.0.10', ports: [port] });
  assert.throws(
    () => assign(dns('ops/dns'), dns('ops/dns2')),
    /Service ops\/dns2: cluster IP already belongs to Service ops\/dns/,
  );
  const np = (name: string, nodePort: number) =>
    serviceObject(name, { type: 'NodePort', ports: [{ ...port, nodePort }] });
  assert.throws(() => assign(np('a/x', 30080), np('a/y', 30080)), /already belongs to Service a\/x/);
  assert.throws(() => assign(np('a/x', 80)), /outside 30000-32767/);
});

test('one node port may serve TCP and UDP', () => {
  const ports = [
    { name: 't', port: 53, nodePort: 30053 },
    { name: 'u', port: 53, nodePort: 30053, protocol: 'UDP' },
  ];
  const [dns] = assign(serviceObject('ops/dns', { type: 'NodePort', ports })).services;
  assert.equal(
    dns?.spec.ports.map(({ nodePort }) => nodePort),
    [30053, 30053],
  );
});

test('node ports and load balancer addresses are filled in', () => {
  const [web] = assign(serviceObject('shop/web', { type: 'LoadBalancer', ports: [port] })).services;
  const nodePort = web?.spec.ports[0]?.nodePort ?? 0;
  assert.ok(nodePort >= 30000 && nodePort <= 32767);
  assert.match(web?.status.loadBalancer[0]?.ip ?? '', /^192\.0\.2\./);
});

test('an address of another cluster is replaced, with a remark', () => {
  const { services, warnings } = assign(
    serviceObject('shop/web', { clusterIP: '172.20.1.1', ports: [port] }),
  );
  assert.match(services[0]?.spec.clusterIPs[0] ?? '', /^10\./);
  assert.is(warnings.length, 1);
});

test('addresses of another cluster’s load balancer are replaced; of two families ours is kept', () => {
  const { services, warnings } = assign(
    serviceObject(
      'shop/web',
      { type: 'LoadBalancer', clusterIPs: ['10.96.7.7', 'fd00::7'], ports: [port] },
      { loadBalancer: { ingress: [{ ip: '35.1.2.3' }] } },
    ),
  );
  assert.equal(services[0]?.spec.clusterIPs, ['10.96.7.7']);
  assert.match(services[0]?.status.loadBalancer[0]?.ip ?? '', /^192\.0\.2\./);
  assert.match(warnings.join('\n'), /cluster IPs outside .*fd00::7\n.*load balancer IPs .*35\.1\.2\.3/);
});

test.run();
