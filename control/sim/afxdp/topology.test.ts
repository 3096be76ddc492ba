import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../../native/index.js';
import { namespaceRequirements } from '../../../test/e2e/support/needs.js';
import { driverSpec } from '../../../test/e2e/support/spec.js';
import { testIf } from '../../../test/support/requires.js';
import { cleanLeftovers, namespacesOf, removeNamespaces } from './leftovers.js';
import { namespacePath, nodeNamespace, outsideNamespace } from './names.js';
import { buildTopology, OUTSIDE_LINK, UPLINK } from './topology.js';
import { Workload } from './workload.js';

const cluster = `x-topo-${process.pid}`;
const spec = driverSpec(cluster, { config: { underlayMtu: 9000 } });

testIf(test, ...namespaceRequirements())(
  'wires, processes that answer over them, and their removal',
  async () => {
    const native = loadNative();
    try {
      const topology = buildTopology(native, spec);
      const nodeName = nodeNamespace(cluster, spec.nodes[0]!);
      const node = native.openNetns(namespacePath(nodeName));
      const uplink = node.links().find(({ name }) => name === UPLINK);
      assert.is(uplink?.mtu, 9000);
      assert.ok(uplink?.up);
      assert.equal(node.addresses(UPLINK), []);
      assert.equal(topology.outside.addresses(OUTSIDE_LINK), [`${spec.outside[0]}/24`]);

      // With an address of its own on the uplink the node stands for any neighbor of the outside host.
      node.addAddress(UPLINK, '192.168.16.1/24');
      const outside = await Workload.start({
        name: 'outside',
        netns: namespacePath(outsideNamespace(cluster)),
        ports: [
          { protocol: 'TCP', port: 80 },
          { protocol: 'UDP', port: 53 },
        ],
      });
      const host = await Workload.start({ name: 'node-1', netns: namespacePath(nodeName), ports: [] });
      const tcp = await host.probe('tcp', spec.outside[0]!, 80, 2000);
      assert.is(tcp.outcome, 'connected', JSON.stringify(tcp));
      assert.is(tcp.answer, 'outside');
      assert.is((await host.probe('udp', spec.outside[0]!, 53, 2000)).answer, 'outside');
      assert.is((await host.probe('icmp', spec.outside[0]!, 0, 2000)).outcome, 'connected');
      assert.is((await host.probe('tcp', spec.outside[0]!, 81, 2000)).outcome, 'refused');
      assert.is((await host.probe('udp', spec.outside[0]!, 81, 2000)).outcome, 'refused');
      assert.is((await host.probe('tcp', '192.168.16.77', 80, 300)).outcome, 'timeout');

      const connection = await host.open('tcp', spec.outside[0]!, 80);
      assert.equal(await connection.send(20, 2), { sent: 20, answered: 20 });
      await outside.close();
      assert.is((await outside.probe('icmp', '192.168.16.1', 0, 100)).outcome, 'error');

      node.close();
      topology.close();
      // The process in the node's namespace ends with the namespaces.
      await removeNamespaces(native, namespacesOf(native, cluster));
      assert.is((await host.probe('icmp', '192.168.16.1', 0, 100)).outcome, 'error');
      assert.equal(namespacesOf(native, cluster), []);
    } finally {
      await cleanLeftovers(native);
    }
  },
);

test.run();
