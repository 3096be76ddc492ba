import { readFileSync, rmSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CNI } from '../cni/codes.js';
import { DEFAULT_CONFIG, DEFAULT_IPV6 } from '../compiler/input.js';
import { directory, Machine, pod, request } from './fixtures.js';

const config = { ...DEFAULT_CONFIG, ipv6: DEFAULT_IPV6 };

test('a pod gets an address, a gateway and a default route of each family', async () => {
  const machine = new Machine();
  await machine.put(pod('web'));
  const agent = await machine.agent({ config });
  const reply = await agent.cni.add(request('web'));
  assert.equal(reply.interfaces[0]?.ipAddresses, [
    { version: 'IPV4', address: '10.1.1.2/32', gateway: '10.1.1.1' },
    { version: 'IPV6', address: 'fd00:10:1:1::2/128', gateway: 'fd00:10:1:1::1' },
  ]);
  assert.equal(reply.routes, [
    { dst: '0.0.0.0/0', gw: '10.1.1.1' },
    { dst: '::/0', gw: 'fd00:10:1:1::1' },
  ]);
  const [link] = [...machine.links.pods.values()];
  assert.equal(link?.addresses, ['10.1.1.2', 'fd00:10:1:1::2']);
  assert.equal(link?.gateways, ['10.1.1.1', 'fd00:10:1:1::1']);
  assert.equal(
    machine.links.pods.size === 1 && (await agent.cni.add(request('web'))),
    reply,
    'asked again: the same',
  );
  await agent.close();
});

test('a restart keeps both addresses and both cursors; DEL frees both', async () => {
  const machine = new Machine();
  let agent = await machine.agent({ config });
  const first = await agent.cni.add(request('web'));
  await agent.cni.add(request('db'));
  await agent.cni.delete(request('db'));
  await agent.close();
  assert.match(readFileSync(machine.journal, 'utf8'), 'fd00:10:1:1::2');
  agent = await machine.agent({ config });
  assert.equal(await agent.cni.add(request('web')), first);
  const next = await agent.cni.add(request('late'));
  assert.equal(
    next.interfaces[0]?.ipAddresses.map(({ address }) => address),
    ['10.1.1.4/32', 'fd00:10:1:1::4/128'],
  );
  await agent.close();
});

test('one family exhausted: code 11, no address of the other is lost, and a DEL makes room', async () => {
  const machine = new Machine();
  const ipv6 = { ...DEFAULT_IPV6, podSubnetCIDR: 'fd00:10:1::/112', podSubnetOneNodePrefixLen: 125 };
  const agent = await machine.agent({ config: { ...DEFAULT_CONFIG, ipv6 } });
  for (const name of ['a', 'b', 'c', 'd']) assert.is((await agent.cni.add(request(name))).error, '');
  const refused = await agent.cni.add(request('e'));
  assert.is(refused.result, CNI.tryAgainLater);
  assert.match(refused.error, /no pod address left: all 4 of fd00:10:1::8\/125/);
  assert.is(machine.links.pods.size, 4);
  await agent.cni.delete(request('b'));
  assert.is((await agent.cni.add(request('e'))).error, '');
  await agent.close();
});

test('pods wired before the second family keep what they have', async () => {
  const machine = new Machine();
  let agent = await machine.agent();
  const old = await agent.cni.add(request('old'));
  await agent.close();
  agent = await machine.agent({ config });
  assert.equal(await agent.cni.add(request('old')), old);
  assert.is((await agent.cni.add(request('new'))).interfaces[0]?.ipAddresses.length, 2);
  await agent.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
