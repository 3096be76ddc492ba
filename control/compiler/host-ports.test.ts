/** Host ports and limits of pods: what they become, in the same bytes whether compiled from scratch or kept up to date. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../model/model.js';
import { canonical } from '../ruleset/canonical.js';
import type { InterfaceItem, ServiceItem } from '../ruleset/types.js';
import { compile } from './compile.js';
import { apiPod, clusterOf, localOf, NODES, nodeRecord } from './fixture.js';
import { compileHostPorts, hostPortKeys } from './host-ports.js';
import { IncrementalCompiler } from './incremental/compiler.js';
import { type Attachment, DEFAULT_CONFIG, type HostPort, type NodeLocal } from './input.js';

const POD = apiPod('a', 'x', '10.1.1.2', 'n1');
const PORT: HostPort = { protocol: 'TCP', hostPort: 8080, containerPort: 80, hostIP: null };

function modelOf(): Model {
  const pods = clusterOf(POD).model.all('Pod');
  return Model.of([...pods, ...NODES.map((node) => nodeRecord(node))]);
}

function localWith(change: Partial<Attachment>): NodeLocal {
  const local = localOf('n1', modelOf().all('Pod'));
  return { ...local, attachments: local.attachments.map((attachment) => ({ ...attachment, ...change })) };
}

test('a host port is a service on the node’s own addresses, with the pod alone behind it', () => {
  const ruleset = compile(modelOf(), localWith({ hostPorts: [PORT] }), DEFAULT_CONFIG);
  const item = ruleset.get('service/~hostport/x/a/TCP/8080') as ServiceItem;
  assert.equal(item.frontends, [{ address: '192.168.16.1', port: 8080, type: 'HostPort' }]);
  assert.equal(
    item.backends.map(({ address, port, pod }) => [address, port, pod?.name]),
    [['10.1.1.2', 80, 'a']],
  );
});

test('each family by itself; one address of several; one that is not the node’s leads nowhere', () => {
  const wired = { pod: { namespace: 'x', name: 'a' }, addresses: ['10.1.1.2', 'fd00::2'], hostPorts: [PORT] };
  const node = ['192.168.16.1', '192.168.17.1', 'fd16::1'];
  assert.equal(hostPortKeys(wired, node), [
    'service/~hostport/x/a/TCP/8080',
    'service/~hostport/x/a/TCP/8080/ipv6',
  ]);
  const [four, six] = compileHostPorts(wired, node);
  assert.equal(
    four?.frontends.map(({ address }) => address),
    ['192.168.16.1', '192.168.17.1'],
  );
  assert.equal(
    six?.backends.map(({ address }) => address),
    ['fd00::2'],
  );
  const one = { ...wired, hostPorts: [{ ...PORT, hostIP: '192.168.17.1' }] };
  assert.equal(hostPortKeys(one, node), ['service/~hostport/x/a/TCP/8080/192.168.17.1']);
  const every = { ...wired, hostPorts: ['0.0.0.0', '::'].map((hostIP) => ({ ...PORT, hostIP })) };
  assert.equal(
    compileHostPorts(every, node).map(({ frontends }) => frontends.map(({ address }) => address)),
    [['192.168.16.1', '192.168.17.1'], ['fd16::1']],
  );
  assert.equal(hostPortKeys({ ...wired, hostPorts: [{ ...PORT, hostIP: '198.51.100.1' }] }, node), []);
  assert.equal(hostPortKeys({ ...wired, addresses: ['fd00::2'] }, ['192.168.16.1']), []);
});

test('wired, changed, unwired: kept up to date as compiled from scratch', () => {
  const limits = { toPod: { bitsPerSecond: 1e6, burstBits: 1e6 }, fromPod: null };
  const steps = [
    localWith({ hostPorts: [PORT], limits }),
    localWith({ hostPorts: [{ ...PORT, hostPort: 8081 }, PORT] }),
    localWith({}),
    { ...localWith({}), attachments: [] },
    localWith({ hostPorts: [PORT] }),
  ];
  const compiler = new IncrementalCompiler(modelOf(), { ...localWith({}), attachments: [] }, DEFAULT_CONFIG);
  for (const local of steps) {
    compiler.apply([], local);
    const scratch = compile(modelOf(), local, DEFAULT_CONFIG);
    assert.is(canonical([...compiler.ruleset].sort()), canonical([...scratch].sort()));
  }
  const limited = compile(modelOf(), steps[0]!, DEFAULT_CONFIG).get('interface/pod/x/a') as InterfaceItem;
  assert.equal(limited.limits, limits);
});

test.run();
