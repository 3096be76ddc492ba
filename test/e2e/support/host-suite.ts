/**
 * The node's own stack: it reaches pods and Services, pods reach it, and pods that share it can stand behind a Service. Whatever the data
 * plane is.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { planNode } from '../../../control/ipam/arithmetic.js';
import { toJson } from '../../../control/objects/json.js';
import { storedKey } from '../../../control/objects/stored-keys.js';
import { nodeNamespace, outsideNamespace, podNamespace } from '../../../control/sim/afxdp/names.js';
import type { ProbeProtocol, ProbeResult } from '../../../control/sim/driver.js';
import { nodeObject } from '../../../control/sim/world.js';
import type { Operation } from '../../../control/store/store.js';
import { type Requirement, testIf } from '../../support/requires.js';
import { startTestCluster, type TestCluster } from './cluster.js';
import { inNetns } from './kernel.js';
import { pod, policy, service } from './manifests.js';

const PORT = 9100;
const NODE_PORT = 30_090;
/** As NodeLocal DNSCache has it. */
const NODE_LOCAL = '169.254.20.10';

function hostPort(protocol: string): object {
  return { name: protocol.toLowerCase(), port: 80, targetPort: PORT, protocol };
}

async function assertAnswers(result: Promise<ProbeResult>, who: string | null, what: string): Promise<void> {
  const { outcome, answer } = await result;
  assert.is(outcome, 'connected', `${what}: ${answer}`);
  if (who !== null) assert.is(answer, who, what);
}

/** `name`: the cluster's. `vpp`: nodes on VPP. */
export function hostSuite(name: string, needs: readonly Requirement[], vpp: readonly string[] = []): void {
  const test = suite(name);
  let cluster: TestCluster;

  test.before(async () => {
    if (needs.some((need) => need !== null)) return;
    cluster = await startTestCluster(
      name,
      [
        pod('a', { node: 'node-1' }),
        pod('b', { node: 'node-2' }),
        pod('exporter', { node: 'node-2', hostNetwork: true, tcp: [PORT], udp: [PORT] }),
        service('exporter', { app: 'exporter' }, { ports: ['TCP', 'UDP'].map(hostPort) }),
        service('a', { app: 'a' }, { type: 'NodePort', ports: [{ port: 80, nodePort: NODE_PORT }] }),
      ],
      { ...(vpp.length === 0 ? {} : { vpp }), config: { hostAddresses: [NODE_LOCAL] } },
    );
    for (const node of cluster.spec.nodes)
      inNetns(
        nodeNamespace(cluster.spec.cluster, node),
        'ip',
        'address',
        'add',
        `${NODE_LOCAL}/32`,
        'dev',
        'lo',
      );
  });
  test.after(() => cluster?.close());

  const nodeAddress = (id: number): string => planNode(cluster.spec.config, id).nodeAddress ?? '';

  function fromNode(
    node: string,
    protocol: ProbeProtocol,
    address: string,
    port: number,
  ): Promise<ProbeResult> {
    return cluster.driver.workload({ type: 'node', node }).probe(protocol, address, port, 2000);
  }

  testIf(test, ...needs)('a node reaches the pods and Services of every node', async () => {
    for (const node of cluster.spec.nodes) {
      for (const name of ['a', 'b']) {
        for (const protocol of ['tcp', 'udp'] as const) {
          const result = fromNode(node, protocol, cluster.ip(name), 80);
          await assertAnswers(result, `default/${name}`, `${node} to ${name} by ${protocol}`);
        }
        await assertAnswers(fromNode(node, 'icmp', cluster.ip(name), 0), null, `${node} pings ${name}`);
      }
      await assertAnswers(
        fromNode(node, 'tcp', cluster.clusterIp('a'), 80),
        'default/a',
        `${node} to Service a`,
      );
    }
  });

  testIf(test, ...needs)('pods, nodes and the outside reach a pod that shares its node', async () => {
    const address = nodeAddress(2);
    assert.is(cluster.ip('exporter'), address);
    for (const protocol of ['tcp', 'udp'] as const) {
      for (const name of ['a', 'b']) {
        const direct = cluster.workload(name).probe(protocol, address, PORT, 2000);
        await assertAnswers(direct, 'default/exporter', `${name} by ${protocol}`);
        const byService = cluster.workload(name).probe(protocol, cluster.clusterIp('exporter'), 80, 2000);
        await assertAnswers(byService, 'default/exporter', `${name} by the Service, ${protocol}`);
      }
      await assertAnswers(
        fromNode('node-1', protocol, address, PORT),
        'default/exporter',
        `node-1 by ${protocol}`,
      );
      const outside = cluster.driver.workload({ type: 'outside' }).probe(protocol, address, PORT, 2000);
      await assertAnswers(outside, 'default/exporter', `the outside by ${protocol}`);
    }
    for (const id of [1, 2]) {
      await assertAnswers(
        cluster.workload('a').probe('icmp', nodeAddress(id), 0, 2000),
        null,
        `a pings node ${id}`,
      );
    }
  });

  testIf(test, ...needs)(
    'at an address that every node has, pods reach their own node, and nobody else speaks with it',
    async () => {
      for (const protocol of ['tcp', 'udp'] as const) {
        const near = cluster.workload('b').probe(protocol, NODE_LOCAL, PORT, 2000);
        await assertAnswers(near, 'default/exporter', `b by ${protocol}`);
        // Nobody listens on its node.
        assert.is((await cluster.workload('a').probe(protocol, NODE_LOCAL, PORT, 2000)).outcome, 'refused');
      }
      const forged = ['ping', '-c', '1', '-W', '1', '-I', NODE_LOCAL, cluster.ip('b')];
      const pods = [podNamespace(cluster.spec.cluster, { namespace: 'default', name: 'a' })];
      for (const netns of [...pods, outsideNamespace(cluster.spec.cluster)]) {
        inNetns(netns, 'ip', 'address', 'add', `${NODE_LOCAL}/32`, 'dev', 'lo');
        assert.throws(() => inNetns(netns, ...forged), /ping/);
        inNetns(netns, 'ip', 'address', 'delete', `${NODE_LOCAL}/32`, 'dev', 'lo');
      }
    },
  );

  testIf(test, ...needs)(
    'pods reach a node at the address of another link, which is the one Kubernetes knows',
    async () => {
      const { nodes, config } = cluster.spec;
      const known = (node: string): string => `10.9.0.${nodes.indexOf(node) + 1}`;
      const operations = nodes.map((name): Operation => {
        const netns = nodeNamespace(cluster.spec.cluster, name);
        inNetns(netns, 'ip', 'address', 'add', `${known(name)}/32`, 'dev', 'lo');
        const object = nodeObject(config, nodes, name);
        const status = { addresses: [{ type: 'InternalIP', address: known(name) }] };
        return { type: 'put', key: storedKey(object), value: toJson({ ...object, status }) };
      });
      const { revision } = await cluster.driver.store.transact([], operations);
      await cluster.driver.settled(revision);
      for (const name of ['a', 'b']) {
        const from = cluster.workload(name);
        for (const protocol of ['tcp', 'udp'] as const) {
          const there = from.probe(protocol, known('node-2'), PORT, 2000);
          await assertAnswers(there, 'default/exporter', `${name} by ${protocol}`);
        }
        for (const node of nodes) {
          await assertAnswers(from.probe('icmp', known(node), 0, 2000), null, `${name} pings ${node}`);
          const port = from.probe('tcp', known(node), NODE_PORT, 2000);
          await assertAnswers(port, 'default/a', `${name} by the NodePort of ${node}`);
        }
      }
    },
  );

  testIf(test, ...needs)('a pod that lets nobody in still answers its own node', async () => {
    const closed = policy('closed', 'a', { policyTypes: ['Ingress'] });
    await cluster.apply([closed]);
    await assertAnswers(fromNode('node-1', 'tcp', cluster.ip('a'), 80), 'default/a', 'the own node');
    const other = await cluster.workload('b').probe('tcp', cluster.ip('a'), 80, 500);
    assert.is(other.outcome, 'timeout');
    await cluster.delete([closed]);
  });

  test.run();
}
