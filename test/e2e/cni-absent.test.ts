/** Pods that end while their node's agent is gone and its data plane runs: they are gone at once, and the next agent frees the rest. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { podLinkName } from '../../control/agent/links.js';
import { CniNode, type CniSandbox, NODE_ADDRESS, nodeRequirements } from '../cni/node.js';
import { eventually } from '../support/eventually.js';
import { program, testIf } from '../support/requires.js';

const test = suite('pods that end without an agent');
const real = testIf(test, ...nodeRequirements(), program('curl'));

/** What answers there, '' = nobody. */
function ask(namespace: string, address: string, port = 80): string {
  const argv = [`--net=/run/netns/${namespace}`, 'curl', '-s', '-m', '1', `http://${address}:${port}/`];
  return spawnSync('nsenter', argv, { encoding: 'utf8' }).stdout;
}

async function wired(node: CniNode, sandbox: CniSandbox, change: object = {}): Promise<string> {
  const { exit, stdout } = await node.cni('ADD', sandbox, change);
  assert.is(exit, 0, stdout);
  const { ips } = JSON.parse(stdout) as { ips: readonly { readonly address: string }[] };
  return ips[0]?.address.replace('/32', '') ?? '';
}

const inJournal = (node: CniNode, { containerId }: CniSandbox): boolean =>
  readFileSync(node.journal, 'utf8').includes(containerId);

for (const podFeed of ['afxdp', 'tap'] as const) {
  real(`${podFeed}: DEL without an agent, the agent that comes, and DEL while it waits`, async () => {
    const node = await CniNode.start({ agent: { podFeed }, label: podFeed.charAt(0) });
    try {
      const [web, db, client, server] = [
        await node.sandbox('web'),
        await node.sandbox('db'),
        await node.sandbox('client'),
        await node.sandbox('server'),
      ];
      const port = {
        runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
      };
      const old = await wired(node, web, port);
      await wired(node, db);
      await wired(node, client);
      const address = await wired(node, server);
      for (const box of [web, server]) await node.serve(box, 80);
      assert.match(ask(client.namespace, old), 'shop/web');

      await node.stop(node.agent);
      assert.equal(await node.cni('DEL', web), { exit: 0, stdout: '' });
      assert.equal(await node.cni('DEL', web), { exit: 0, stdout: '' }, 'and again');
      assert.not.ok(node.links().includes(podLinkName(web.containerId, 'eth0')));
      assert.is(ask(web.namespace, address), '');
      // The data plane has lost a link under its hands.
      assert.match(ask(client.namespace, address), 'shop/server');
      assert.is((await node.cni('ADD', web, port)).exit, 1, 'an ADD needs the agent');
      assert.ok(inJournal(node, web));

      await node.startAgent();
      assert.not.ok(inJournal(node, web));
      assert.is(ask(client.namespace, NODE_ADDRESS, 8080), '', 'its host port is free');
      const next = await node.sandbox('web');
      const replaced = await wired(node, next, port);
      await node.serve(next, 80);
      assert.match(ask(client.namespace, replaced), 'shop/web');
      assert.match(ask(node.outside, NODE_ADDRESS, 8080), 'shop/web');

      // An agent that cannot start, for want of its data plane.
      await node.stop(node.agent);
      await node.stop(node.dataplane);
      const starting = node.startAgent();
      await eventually('the agent listens', async () =>
        /the agent is starting/.test((await node.cni('CHECK', db, { prevResult: {} })).stdout),
      );
      assert.equal(await node.cni('DEL', db), { exit: 0, stdout: '' });
      await Promise.all([starting, node.startDataplane()]);
      assert.match(ask(client.namespace, address), 'shop/server');
      assert.match(ask(client.namespace, replaced), 'shop/web');
      assert.not.ok(inJournal(node, db));
    } finally {
      await node.close();
    }
  });
}

test.run();
