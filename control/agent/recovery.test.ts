import { rmSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { directory, Machine, pod, request, wired } from './fixtures.js';

test('journal and data plane are lost: pods are found by their links and the addresses the store has', async () => {
  const machine = new Machine();
  let agent = await machine.agent();
  const address = await wired(agent, 'web');
  await wired(agent, 'unknown');
  await machine.settled(await machine.put({ ...pod('web', {}, [address]) }));
  await agent.close();
  const [web, unknown] = [...machine.links.pods.keys()];
  rmSync(machine.journal);
  machine.dataplane.crash();
  agent = await machine.agent();
  const log = machine.lines.join('\n');
  assert.match(log, new RegExp(`pod shop/web was found by its link ${web}`));
  assert.match(log, new RegExp(`removing link ${unknown}`));
  assert.equal([...machine.links.pods.keys()], [web]);
  assert.ok(machine.dataplane.items.has('interface/pod/shop/web'));
  assert.is.not(await wired(agent, 'other'), address, 'its address stays taken');
  await agent.close();
  agent = await machine.agent();
  assert.is((await agent.cni.delete(request('web'))).result, 0);
  assert.not(machine.dataplane.items.has('interface/pod/shop/web'));
  assert.not(machine.links.pods.has(web ?? ''));
  await agent.close();
});

test('a link whose address is that of another node’s pod is nobody’s', async () => {
  const machine = new Machine();
  let agent = await machine.agent();
  const address = await wired(agent, 'web');
  const elsewhere = pod('elsewhere', {}, [address]);
  await machine.settled(await machine.put({ ...elsewhere, spec: { ...elsewhere.spec, nodeName: 'n2' } }));
  await agent.close();
  rmSync(machine.journal);
  machine.dataplane.crash();
  agent = await machine.agent();
  assert.is(machine.links.pods.size, 0);
  assert.equal(agent.state.pods(), []);
  await agent.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
