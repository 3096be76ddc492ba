import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DEFAULT_CONFIG } from '../compiler/input.js';
import { Machine, pod, request, wired } from './fixtures.js';

test('pods follow the MTU of the configuration when an agent starts; what refuses to is told', async () => {
  const machine = new Machine();
  let agent = await machine.agent();
  await wired(agent, 'web');
  await wired(agent, 'db');
  await agent.close();
  const mtus = (): readonly number[] => [...machine.links.pods.values()].map(({ mtu }) => mtu);
  assert.equal(mtus(), [1450, 1450]);
  agent = await machine.agent({ config: { ...DEFAULT_CONFIG, underlayMtu: 1400 } });
  assert.equal(mtus(), [1350, 1350]);
  assert.ok(machine.lines.includes('pod shop/web has an MTU of 1350 now'));
  await agent.audit();
  assert.equal(agent.problems(), []);
  await agent.close();
  machine.links.failRenew = new Error('EINVAL');
  agent = await machine.agent();
  assert.equal(mtus(), [1350, 1350]);
  assert.ok(machine.lines.some((line) => line.startsWith('pod shop/web keeps its link as it was: ')));
  await agent.audit();
  assert.is(agent.problems().length, 2);
  await agent.close();
});

test('what somebody did to a pod’s link is told until it is undone or the pod is gone, and logged once', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await machine.put(pod('web'));
  await wired(agent, 'web');
  await agent.audit();
  assert.equal(agent.problems(), []);
  const [link, spec] = [...machine.links.pods][0]!;
  machine.links.pods.set(link, { ...spec, mtu: 9000 });
  await agent.audit();
  await agent.audit();
  const problem = {
    source: 'node',
    object: 'Pod shop/web',
    field: null,
    message: 'eth0 has MTU 9000, not 1450',
  };
  assert.equal(agent.problems(), [problem]);
  assert.is(machine.lines.filter((line) => line === 'pod shop/web: eth0 has MTU 9000, not 1450').length, 1);
  machine.links.pods.set(link, spec);
  await agent.audit();
  assert.equal(agent.problems(), []);
  machine.links.pods.set(link, { ...spec, mtu: 9000 });
  await agent.audit();
  assert.is(agent.problems().length, 1);
  await agent.cni.delete(request('web'));
  assert.equal(agent.problems(), []);
  await agent.close();
});

test.run();
