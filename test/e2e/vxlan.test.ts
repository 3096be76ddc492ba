/**
 * VXLAN on the underlay is the real thing: a Linux kernel vxlan device takes part in the mesh as a third node, and tshark
 * decodes what goes over the wire.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { planNode } from '../../control/ipam/arithmetic.js';
import { toJson } from '../../control/objects/json.js';
import { namespacePath, nodeNamespace, underlayNamespace } from '../../control/sim/afxdp/names.js';
import { BRIDGE, quiet, UPLINK, wire } from '../../control/sim/afxdp/topology.js';
import { Workload } from '../../control/sim/afxdp/workload.js';
import { loadNative } from '../../native/index.js';
import { testIf } from '../support/requires.js';
import { Capture } from './support/capture.js';
import { startTestCluster, type TestCluster } from './support/cluster.js';
import { inNetns, until } from './support/kernel.js';
import { pod } from './support/manifests.js';
import { requirements } from './support/needs.js';

const needs = requirements('ip', 'tshark');
const KERNEL_NODE = 3;
let cluster: TestCluster;
let kernel: Workload | null = null;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  cluster = await startTestCluster('vxlan', [pod('a', { node: 'node-1' }), pod('b', { node: 'node-2' })]);
});
test.after(async () => {
  await kernel?.close();
  await cluster?.close();
});

/** Makes node 3 of plain kernel parts: a veth into the underlay, a vxlan device with the addresses that follow from the id. */
async function startKernelNode(): Promise<{ address: string; workload: Workload }> {
  const { spec, driver } = cluster;
  const own = planNode(spec.config, KERNEL_NODE);
  const name = nodeNamespace(spec.cluster, 'kernel');
  const netns = loadNative().createNetns(name);
  quiet(netns);
  wire(driver.topology.underlay, netns, {
    port: `node${KERNEL_NODE}`,
    link: UPLINK,
    station: KERNEL_NODE,
    mtu: spec.config.underlayMtu,
  });
  netns.addAddress(UPLINK, `${own.nodeAddress}/24`);
  const address = own.gateway.replace(/\.1$/, '.2');
  const ip = (...argv: string[]): string => inNetns(name, 'ip', ...argv);
  const vxlan = [
    'id',
    String(spec.config.vni),
    'dstport',
    '4789',
    'local',
    own.nodeAddress ?? '',
    'nolearning',
  ];
  ip('link', 'add', 'vx', 'address', own.bviMac, 'type', 'vxlan', ...vxlan);
  ip('link', 'set', 'vx', 'mtu', String(spec.config.underlayMtu - 50), 'up');
  ip('addr', 'add', `${own.bviAddress}/24`, 'dev', 'vx');
  ip('addr', 'add', `${address}/32`, 'dev', 'lo');
  for (const id of [1, 2]) {
    const peer = planNode(spec.config, id);
    ip('neigh', 'add', peer.bviAddress, 'lladdr', peer.bviMac, 'dev', 'vx', 'nud', 'permanent');
    inNetns(name, 'bridge', 'fdb', 'append', peer.bviMac, 'dev', 'vx', 'dst', peer.nodeAddress ?? '');
    ip('route', 'add', peer.podSubnet, 'via', peer.bviAddress, 'dev', 'vx', 'src', address);
  }
  netns.setOffloads('vx', { txChecksum: false, tso: false });
  netns.close();
  const revision = await driver.store.put(
    `/pteropus/nodes/${KERNEL_NODE}`,
    toJson({
      kind: 'NodeRecord',
      metadata: { name: 'kernel', namespace: null, uid: null, labels: {}, annotations: {} },
      id: KERNEL_NODE,
      addresses: [own.nodeAddress ?? ''],
    }),
  );
  const ports = (['TCP', 'UDP'] as const).map((protocol) => ({ protocol, port: 80 }));
  kernel = await Workload.start({ name: 'kernel/node', netns: namespacePath(name), ports });
  await driver.settled(revision);
  return { address, workload: kernel };
}

testIf(test, ...needs)('a kernel vxlan device in the mesh reaches pods and is reached', async () => {
  const { address, workload } = await startKernelNode();
  for (const name of ['a', 'b']) {
    for (const protocol of ['icmp', 'tcp', 'udp'] as const) {
      const port = protocol === 'icmp' ? 0 : 80;
      const out = await cluster.workload(name).probe(protocol, address, port, 2000);
      assert.is(out.outcome, 'connected', `${name} to the kernel by ${protocol}: ${JSON.stringify(out)}`);
      const back = await workload.probe(protocol, cluster.ip(name), port, 2000);
      assert.is(back.outcome, 'connected', `the kernel to ${name} by ${protocol}: ${JSON.stringify(back)}`);
      if (protocol !== 'icmp') assert.is(back.answer, `default/${name}`);
    }
  }
});

testIf(test, ...needs)('tshark sees VXLAN on UDP 4789, VNI 10, the pods inside', async () => {
  const fields = [
    'ip.src',
    'ip.dst',
    'udp.srcport',
    'udp.dstport',
    'vxlan.vni',
    'vxlan.flags',
    'eth.src',
    'eth.dst',
    'icmp.type',
  ];
  const capture = await Capture.start(
    namespacePath(underlayNamespace(cluster.spec.cluster)),
    BRIDGE,
    'udp port 4789',
    fields,
  );
  const [one, two] = [planNode(cluster.spec.config, 1), planNode(cluster.spec.config, 2)];
  try {
    // The bridge's own device is no port: capture on the port towards node 2 instead.
    await until('an echo request and its reply on the wire', 10_000, async () => {
      const { outcome } = await cluster.workload('a').probe('icmp', cluster.ip('b'), 0, 1000);
      assert.is(outcome, 'connected');
      return capture.rows().filter((row) => row['vxlan.vni'] === '10').length >= 2 ? true : null;
    });
  } finally {
    await capture.stop();
  }
  const request = capture.rows().find((row) => row['icmp.type'] === '8');
  const reply = capture.rows().find((row) => row['icmp.type'] === '0');
  assert.is(request?.['ip.src'], `${one.nodeAddress},${cluster.ip('a')}`);
  assert.is(request?.['ip.dst'], `${two.nodeAddress},${cluster.ip('b')}`);
  assert.is(request?.['udp.dstport'], '4789');
  assert.is(request?.['eth.src']?.split(',')[1], one.bviMac);
  assert.is(request?.['eth.dst']?.split(',')[1], two.bviMac);
  assert.match(request?.['vxlan.flags'] ?? '', /0x0?800/);
  assert.is(reply?.['ip.src'], `${two.nodeAddress},${cluster.ip('b')}`);
});

test.run();
