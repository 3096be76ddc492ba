import { readFileSync, rmSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventually } from '../../test/support/eventually.js';
import { CNI } from '../cni/codes.js';
import { DEFAULT_CONFIG } from '../compiler/input.js';
import { AgentProcess } from './agent-process.js';
import { directory, Machine, request } from './fixtures.js';
import { problemOf } from './http/status-routes.js';
import { recordOf } from './node-id.js';

const NEVER = new Promise<undefined>(() => undefined);

test('an agent that waits for its data plane says so to CNI and REST, and then serves', async () => {
  const machine = new Machine();
  await machine.fill();
  machine.dataplane.reachable = false;
  const self = new AgentProcess('n1', '0', DEFAULT_CONFIG);
  const starting = self.start(machine.options(), NEVER);
  await eventually('it says why it waits', () => /connection refused/.test(self.waiting ?? ''));
  assert.not.ok(self.statusAsked);
  const status = await self.cni.status(request('any'));
  assert.ok(self.statusAsked);
  assert.is(status.result, CNI.unavailable);
  assert.match(status.error, /the agent is starting: .*connection refused/);
  for (const call of ['add', 'check', 'gc'] as const)
    assert.is((await self.cni[call](request('web'))).result, CNI.tryAgainLater);
  assert.match(problemOf(self) ?? '', /connection refused/);
  machine.dataplane.reachable = true;
  const agent = await starting;
  assert.is((await self.cni.add(request('web'))).result, 0);
  assert.is(problemOf(self), null);
  await agent?.close();
});

test('a DEL is done while the agent waits, and leaves nothing', async () => {
  const machine = new Machine();
  const first = await machine.agent();
  for (const name of ['web', 'db']) assert.is((await first.cni.add(request(name))).result, 0);
  await first.close();
  machine.dataplane.reachable = false;
  const self = new AgentProcess('n1', '0', DEFAULT_CONFIG);
  assert.is((await self.cni.delete(request('web'))).result, CNI.tryAgainLater, 'nothing can be done yet');
  const starting = self.start(machine.options(), NEVER);
  // By now it has taken up its pods.
  await eventually('it says why it waits', () => /connection refused/.test(self.waiting ?? ''));
  assert.is(machine.links.pods.size, 2);
  for (const name of ['web', 'web', 'never']) assert.is((await self.cni.delete(request(name))).result, 0);
  assert.is(machine.links.pods.size, 1);
  machine.links.failDetach = new Error('no permission');
  assert.match((await self.cni.delete(request('db'))).error, /no permission/);
  machine.links.failDetach = null;
  machine.dataplane.reachable = true;
  const agent = await starting;
  assert.equal(
    agent?.state.pods().map(({ pod }) => pod.name),
    ['db'],
  );
  assert.not.ok(machine.dataplane.items.has('endpoint/shop/web'));
  assert.ok(machine.dataplane.items.has('endpoint/shop/db'));
  assert.not.match(readFileSync(machine.journal, 'utf8'), '"name": "web"');
  assert.is(agent?.state.addresses.use()[0]?.used, 1);
  await agent?.close();
});

test('a refused claim is told by STATUS, made again, and granted when the store was put right', async () => {
  const machine = new Machine();
  await machine.fill();
  await machine.put(recordOf('other', 7, ['192.168.16.1']));
  const self = new AgentProcess('n1', '0', DEFAULT_CONFIG);
  const starting = self.start(machine.options(), NEVER, 1);
  await eventually('it says why it waits', () => self.waiting !== null);
  assert.match((await self.cni.status(request('any'))).error, /192\.168\.16\.1 is claimed by node other/);
  const lines = machine.lines.length;
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.is(machine.lines.length, lines, 'told once');
  await machine.store.delete('/pteropus/nodes/7');
  const agent = await starting;
  assert.is((await self.cni.status(request('any'))).result, 0);
  await agent?.close();
});

test('asked to end while its claim is refused, it ends', async () => {
  const machine = new Machine();
  await machine.fill();
  await machine.put(recordOf('other', 7, ['192.168.16.1']));
  const self = new AgentProcess('n1', '0', DEFAULT_CONFIG);
  let ask = (): void => undefined;
  const asked = new Promise<undefined>((resolve) => {
    ask = () => resolve(undefined);
  });
  const starting = self.start(machine.options(), asked);
  await eventually('it says why it waits', () => self.waiting !== null);
  ask();
  assert.is(await starting, undefined);
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
