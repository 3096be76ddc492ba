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

test('two pods with one address are told where one of them runs, as long as both have it', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const at = (name: string, nodeName: string, address: string, change: Partial<Pod['status']> = {}): Pod => {
    const { spec, status, ...rest } = pod(name, {}, [address]);
    return { ...rest, spec: { ...spec, nodeName }, status: { ...status, phase: 'Running', ...change } };
  };
  await machine.put(pod('web'));
  const address = await wired(agent, 'web');
  await machine.put(at('ended', 'n1', address, { phase: 'Succeeded' }));
  await machine.put(at('far', 'n2', '10.1.2.7'));
  await machine.put(at('farther', 'n3', '10.1.2.7'));
  const host = at('host', 'n1', address);
  await machine.put({ ...host, spec: { ...host.spec, hostNetwork: true } });
  await machine.settled(await machine.put(at('web', 'n1', address)));
  for (let look = 0; look < 2; look++) await agent.audit();
  assert.equal(agent.problems(), []);
  await machine.settled(await machine.put(at('old', 'n2', address)));
  await agent.audit();
  assert.equal(agent.problems(), [], 'it may be about to go');
  await agent.audit();
  assert.equal(
    agent.problems().map(({ object, message }) => `${object} ${message}`),
    [
      `Pod shop/web has the address ${address}, and so has pod shop/old (node n2): elsewhere policies take it for both`,
    ],
  );
  await machine.settled(await machine.put(at('old', 'n2', address, { phase: 'Failed' })));
  assert.equal(agent.problems(), []);
  await agent.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
