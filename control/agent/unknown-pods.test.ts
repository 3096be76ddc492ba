import { rmSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Pod } from '../objects/types.js';
import { directory, Machine, pod, request, wired } from './fixtures.js';

test('a pod the store does not know is told after a while, and no longer once it is there or gone', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await machine.put(pod('known'));
  for (const name of ['known', 'late', 'gone']) await wired(agent, name);
  await agent.cni.add(request('bare', 'c-bare', { args: '' }));
  await agent.audit();
  assert.equal(agent.problems(), [], 'it may be about to come');
  await agent.audit();
  await agent.audit();
  assert.equal(
    agent.problems().map(({ source, object }) => [source, object]),
    [
      ['node', 'Pod shop/late'],
      ['node', 'Pod shop/gone'],
    ],
  );
  assert.is(machine.lines.filter((line) => /^pod shop\/late is not in the store/.test(line)).length, 1);
  await machine.settled(await machine.put(pod('late')));
  await agent.cni.delete(request('gone'));
  assert.equal(agent.problems(), []);
  await agent.close();
});

test('a running pod of this node that is not wired here is told; others are not', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const running = (name: string, change: Partial<Pod['spec']> = {}): Pod => {
    const { spec, status, ...rest } = pod(name, {}, ['10.1.1.99']);
    return { ...rest, spec: { ...spec, ...change }, status: { ...status, phase: 'Running' } };
  };
  await machine.put(running('elsewhere', { nodeName: 'n2' }));
  await machine.put(running('host', { hostNetwork: true }));
  await machine.put(pod('pending', {}, ['10.1.1.98']));
  await wired(agent, 'web');
  await machine.put(running('web'));
  await machine.settled(await machine.put(running('left')));
  await agent.audit();
  await agent.audit();
  assert.equal(
    agent.problems().map(({ object, message }) => `${object} ${message}`),
    [
      'Pod shop/left runs on this node and is not wired here: it has no network of ours until it is made anew',
    ],
  );
  await wired(agent, 'left');
  assert.equal(agent.problems(), []);
  await agent.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
