import { rmSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
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

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
