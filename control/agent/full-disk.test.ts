/** A journal that cannot be written: a folder stands where its next version would be. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CNI } from '../cni/codes.js';
import { denyAll, Machine, request, wired } from './fixtures.js';

test('a full disk: pods go, nothing comes, and an agent starts with the pods it has', async () => {
  const machine = new Machine();
  let agent = await machine.agent();
  await wired(agent, 'web');
  await wired(agent, 'db');
  await agent.close();
  const before = readFileSync(machine.journal, 'utf8');
  mkdirSync(`${machine.journal}.new`);
  agent = await machine.agent();
  assert.equal(agent.problems(), []);
  assert.is((await agent.cni.add(request('other'))).result, CNI.tryAgainLater);
  assert.match(agent.problems()[0]?.message ?? '', /the journal cannot be written: EISDIR/);
  assert.is((await agent.cni.delete(request('web'))).result, 0);
  assert.not(machine.dataplane.items.has('interface/pod/shop/web'));
  assert.is(readFileSync(machine.journal, 'utf8'), before);
  // Dies before the disk has room: the journal still has the pod, but its link is gone.
  await agent.close();
  agent = await machine.agent();
  assert.equal(
    agent.state.pods().map(({ pod }) => pod.name),
    ['db'],
  );
  assert.ok(agent.status().ready);
  await machine.settled(await machine.put(denyAll('all')));
  assert.is(agent.problems().length, 1);
  rmdirSync(`${machine.journal}.new`);
  assert.is((await agent.cni.add(request('other'))).result, 0);
  assert.equal(agent.problems(), []);
  await agent.close();
});

test('a journal that could not be written is written by the audit', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await wired(agent, 'web');
  mkdirSync(`${machine.journal}.new`);
  assert.is((await agent.cni.delete(request('web'))).result, 0);
  assert.ok(readFileSync(machine.journal, 'utf8').includes('c-web'));
  await agent.audit().catch(() => undefined);
  assert.is(agent.problems().length, 1);
  rmdirSync(`${machine.journal}.new`);
  await agent.audit();
  assert.equal(agent.problems(), []);
  assert.not(readFileSync(machine.journal, 'utf8').includes('c-web'));
  await agent.close();
});

test('what an agent killed in the middle of a write left is gone when the next one stands', async () => {
  const machine = new Machine();
  let agent = await machine.agent();
  await wired(agent, 'web');
  await agent.close();
  const before = readFileSync(machine.journal, 'utf8');
  writeFileSync(`${machine.journal}.new`, before.slice(0, 40));
  agent = await machine.agent();
  assert.not(existsSync(`${machine.journal}.new`));
  assert.is(readFileSync(machine.journal, 'utf8'), before);
  await agent.close();
});

test.run();
