/** Services through the real data plane: spread, stickiness, hairpin, NodePort, reject, and UDP after a backend is gone. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { planNode } from '../../control/ipam/arithmetic.js';
import { outsideNamespace } from '../../control/sim/afxdp/names.js';
import { testIf } from '../support/requires.js';
import { startTestCluster, type TestCluster } from './support/cluster.js';
import { runInside, scriptInside } from './support/inside.js';
import { inNetnsAsync, until } from './support/kernel.js';
import { pod, service } from './support/manifests.js';
import { requirements } from './support/needs.js';

const needs = requirements('curl');
/** Chi-square with 2 degrees of freedom is above this once in 10,000 runs. */
const CHI_SQUARE_LIMIT = 18.4;
const CONNECTIONS = 600;
let cluster: TestCluster;

const backends = ['web-0', 'web-1', 'web-2'];
const web = { labels: { set: 'web' } };

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  cluster = await startTestCluster('svc', [
    pod('client', { node: 'node-1' }),
    pod('web-0', { ...web, node: 'node-1' }),
    pod('web-1', { ...web, node: 'node-2' }),
    pod('web-2', { ...web, node: 'node-2' }),
    pod('alone', { node: 'node-1' }),
    service('web', { set: 'web' }, { type: 'NodePort', ports: nodePorts(30_080) }),
    service('alone', { app: 'alone' }),
    service(
      'local',
      { app: 'web-1' },
      { type: 'NodePort', externalTrafficPolicy: 'Local', ports: nodePorts(30_081) },
    ),
    service('nobody', { app: 'nobody' }),
  ]);
});
test.after(() => cluster?.close());

function nodePorts(nodePort: number): readonly object[] {
  return [
    { name: 'tcp', port: 80, protocol: 'TCP', nodePort },
    { name: 'udp', port: 80, protocol: 'UDP', nodePort },
  ];
}

/** What a TCP server says to a client of the outside world. */
async function textFrom(of: TestCluster, address: string, port: number): Promise<string> {
  const script = `require('net').connect(Number(process.argv[2]), process.argv[1]).pipe(process.stdout);`;
  return await inNetnsAsync(
    outsideNamespace(of.spec.cluster),
    process.execPath,
    '-e',
    script,
    address,
    String(port),
  );
}

function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((a, b) => a + b, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

for (const protocol of ['tcp', 'udp'] as const) {
  testIf(test, ...needs)(`${protocol} connections spread evenly over three backends`, async () => {
    const address = cluster.clusterIp('web');
    const client = cluster.workload('client');
    const seen = new Map(backends.map((name) => [`default/${name}`, 0]));
    for (let done = 0; done < CONNECTIONS; done += 50) {
      const results = await Promise.all(
        Array.from({ length: 50 }, () => client.probe(protocol, address, 80, 3000)),
      );
      for (const { outcome, answer } of results) {
        assert.is(outcome, 'connected');
        seen.set(answer ?? '', (seen.get(answer ?? '') ?? 0) + 1);
      }
    }
    assert.is(seen.size, 3, [...seen.keys()].join());
    const value = chiSquare([...seen.values()]);
    assert.ok(value < CHI_SQUARE_LIMIT, `chi-square ${value.toFixed(1)} for ${[...seen].join(' ')}`);
  });
}

testIf(test, ...needs)('all datagrams of one socket reach one backend', async () => {
  const script = `
    const socket = require('dgram').createSocket('udp4');
    const names = new Set();
    let got = 0;
    socket.on('message', (m) => {
      names.add(m.toString().split(' ')[0]);
      if (++got === 100) { console.log([...names].join()); process.exit(0); }
      send();
    });
    const send = () => socket.send('x', 80, process.argv[1]);
    setTimeout(() => { console.log('only ' + got); process.exit(1); }, 5000);
    send();`;
  const { out, err } = await scriptInside(cluster.driver, 'client', script, cluster.clusterIp('web'))
    .finished;
  assert.match(out, /^default\/web-\d\n$/, err);
});

testIf(test, ...needs)('a pod reaches itself through its Service', async () => {
  for (const protocol of ['tcp', 'udp'] as const) {
    const result = await cluster.workload('alone').probe(protocol, cluster.clusterIp('alone'), 80, 2000);
    assert.is(result.outcome, 'connected', protocol);
    assert.is(result.answer, 'default/alone');
  }
});

testIf(test, ...needs)(
  'a NodePort answers from outside on every node, whichever node the backend is on',
  async () => {
    const outside = cluster.driver.workload({ type: 'outside' });
    for (const id of [1, 2]) {
      const { nodeAddress } = planNode(cluster.spec.config, id);
      for (const protocol of ['tcp', 'udp'] as const) {
        const answers = new Set<string>();
        const results = await Promise.all(
          Array.from({ length: 40 }, () => outside.probe(protocol, nodeAddress ?? '', 30_080, 3000)),
        );
        for (const { outcome, answer } of results) {
          assert.is(outcome, 'connected', `${protocol} to node ${id}`);
          answers.add(answer ?? '');
        }
        assert.equal(
          [...answers].sort(),
          backends.map((name) => `default/${name}`),
        );
      }
    }
  },
);

testIf(test, ...needs)('datagrams larger than the way allows come through a NodePort both ways', async () => {
  // The client learns the smaller MTU behind the node from an ICMP error and sends again.
  const script = `
    const socket = require('dgram').createSocket('udp4');
    socket.on('message', (m) => { console.log(m.length - Number(process.argv[2])); process.exit(0); });
    const send = () => socket.send(Buffer.alloc(Number(process.argv[2]), 120), 30080, process.argv[1], () => undefined);
    socket.on('error', () => undefined);
    setInterval(send, 50);
    setTimeout(() => process.exit(1), 3000);
    send();`;
  const namespace = outsideNamespace(cluster.spec.cluster);
  for (const id of [1, 2]) {
    const { nodeAddress } = planNode(cluster.spec.config, id);
    // Several sockets, so that backends of both nodes get their turn.
    for (const size of [1000, 1460, 1472, 1472, 1472, 3000, 3000, 3000, 9000]) {
      const argv = [process.execPath, '-e', script, nodeAddress ?? '', String(size)];
      const extra = await inNetnsAsync(namespace, ...argv);
      assert.is(Number(extra), 'default/web-0 '.length, `${size} bytes to node ${id}`);
    }
  }
});

testIf(test, ...needs)(
  'with externalTrafficPolicy Local the pod sees the client, and other nodes stay silent',
  async () => {
    const script = `require('net').createServer((s) => s.end('client ' + s.remoteAddress + '\\n'))
    .listen(8080, '0.0.0.0', () => console.log('listening'));`;
    const server = scriptInside(cluster.driver, 'web-1', script);
    try {
      await server.printed('listening');
      await cluster.apply([
        service(
          'who',
          { app: 'web-1' },
          {
            type: 'NodePort',
            externalTrafficPolicy: 'Local',
            ports: [{ name: 'tcp', port: 80, targetPort: 8080, protocol: 'TCP', nodePort: 30_082 }],
          },
        ),
      ]);
      const [one, two] = [
        planNode(cluster.spec.config, 1).nodeAddress,
        planNode(cluster.spec.config, 2).nodeAddress,
      ];
      const text = await textFrom(cluster, two ?? '', 30_082);
      assert.match(
        text,
        new RegExp(`client (::ffff:)?${cluster.spec.outside[0]!.replaceAll('.', '\\.')}\\n`),
      );
      const silent = await cluster.driver.workload({ type: 'outside' }).probe('tcp', one ?? '', 30_081, 700);
      assert.is.not(silent.outcome, 'connected');
      const local = await cluster.driver.workload({ type: 'outside' }).probe('tcp', two ?? '', 30_081, 2000);
      assert.is(local.answer, 'default/web-1');
    } finally {
      server.kill();
      await server.finished;
    }
  },
);

testIf(test, ...needs)('a Service without endpoints rejects at once', async () => {
  for (const protocol of ['tcp', 'udp'] as const) {
    const result = await cluster.workload('client').probe(protocol, cluster.clusterIp('nobody'), 80, 3000);
    assert.is(result.outcome, 'rejected', protocol);
    assert.ok(result.millis < 1000, `${protocol} after ${result.millis} ms`);
  }
});

testIf(test, ...needs)('names of Services work in a pod', async () => {
  for (const name of ['web', 'web.default', 'web.default.svc.cluster.local']) {
    const text = await runInside(
      cluster.driver,
      'client',
      'curl',
      '-sS',
      '--max-time',
      '3',
      `http://${name}/`,
    );
    assert.match(text, /^default\/web-\d\n$/);
  }
});

testIf(test, ...needs)('a UDP flow moves to another backend when its own is gone', async () => {
  const address = cluster.clusterIp('web');
  const script = `
    const socket = require('dgram').createSocket('udp4');
    socket.on('message', (m) => console.log(m.toString().split(' ')[0]));
    setInterval(() => socket.send('x', 80, process.argv[1]), 20);`;
  const flow = scriptInside(cluster.driver, 'client', script, address);
  try {
    await flow.printed('default/web-');
    const first = backends.find((name) => flow.text().includes(name)) ?? '';
    await cluster.delete([pod(first)]);
    const gone = flow.text().length;
    await until('an answer from another backend', 3000, () => {
      const rest = flow.text().slice(gone);
      return backends.some((name) => name !== first && rest.includes(`default/${name}`)) ? true : null;
    });
  } finally {
    flow.kill();
    await flow.finished;
  }
});

test.run();
