/** An agent that ends at any step of an ADD or DEL: what the next one finds is put in order, and a DEL or GC leaves nothing. */
import { readFileSync, rmSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BARE_CONF } from '../cni/netconf.js';
import type { Store } from '../store/store.js';
import type { Agent } from './agent.js';
import { directory, Machine, pod, request, wired } from './fixtures.js';

const never = (): Promise<never> => new Promise(() => undefined);

/** A store for one agent, which says and hears nothing more once it is killed. */
function mortal(store: Store): { readonly store: Store; kill(): void } {
  let alive = true;
  const own: Partial<Store> = {
    watch: (prefix, from, handler) =>
      store.watch(prefix, from, {
        events: (...told) => alive && handler.events(...told),
        lost: (reason) => alive && handler.lost(reason),
      }),
    close: () => Promise.resolve(),
  };
  const get = (_: Store, name: keyof Store): unknown => {
    const member = own[name] ?? store[name];
    if (name === 'watch' || typeof member !== 'function') return member;
    return (...args: unknown[]): unknown => (alive ? Reflect.apply(member, store, args) : never());
  };
  return {
    store: new Proxy(store, { get: (target, name) => get(target, name as keyof Store) }),
    kill: () => {
      alive = false;
    },
  };
}

/** Where the agent stands still for ever, as one that was killed there does. */
const STEPS: Readonly<Record<string, (machine: Machine, reached: () => void) => void>> = {
  'before the link is made': ({ links }, reached) => {
    links.attachPod = () => {
      reached();
      return never();
    };
  },
  'when the link is made': ({ links }, reached) => {
    const attach = links.attachPod.bind(links);
    links.attachPod = async (spec) => {
      await attach(spec);
      reached();
      return never();
    };
  },
  'before the data plane has it': ({ dataplane }, reached) => {
    dataplane.before = () => {
      reached();
      return never();
    };
  },
  'when the data plane has it': ({ dataplane }, reached) => {
    const { push } = dataplane.transactions;
    dataplane.transactions.push = (...changes) => {
      push.apply(dataplane.transactions, changes);
      reached();
      dataplane.before = never;
      throw new Error('killed');
    };
  },
};

function restore(machine: Machine): void {
  const fresh = new Machine();
  machine.links.attachPod = fresh.links.attachPod.bind(machine.links);
  machine.links.detachPod = fresh.links.detachPod.bind(machine.links);
  machine.dataplane.before = fresh.dataplane.before;
  machine.dataplane.transactions.push = Array.prototype.push.bind(machine.dataplane.transactions) as never;
}

function left(machine: Machine): readonly unknown[] {
  const items = [...machine.dataplane.items.keys()].filter((key) => /web|hostport/.test(key));
  return [
    ...machine.links.pods.keys(),
    ...items,
    ...(readFileSync(machine.journal, 'utf8').match(/c-web/g) ?? []),
  ];
}

const CONF = {
  ...BARE_CONF,
  portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'TCP' as const, hostIP: null }],
};

const ENDS: Readonly<Record<string, (agent: Agent) => Promise<{ readonly error: string }>>> = {
  DEL: (agent) => agent.cni.delete(request('web')),
  GC: (agent) => agent.cni.gc(request('', '', { conf: { ...BARE_CONF, validAttachments: new Set() } })),
};

for (const [step, stop] of Object.entries(STEPS)) {
  for (const [command, end] of Object.entries(ENDS)) {
    test(`killed in ADD ${step}: ${command} by the next agent leaves nothing, and the address is free`, async () => {
      const machine = new Machine();
      await machine.put(pod('web'));
      await machine.fill();
      const { store, kill } = mortal(machine.store);
      const killed = await machine.agent({ store });
      const reached = new Promise<void>((resolve) => stop(machine, resolve));
      void killed.cni.add(request('web', 'c-web', { conf: CONF }));
      await reached;
      kill();
      restore(machine);
      const next = await machine.agent();
      assert.is((await end(next)).error, '');
      assert.equal(left(machine), []);
      await wired(next, 'web', 'again');
      assert.is((await next.cni.delete(request('web', 'again'))).result, 0);
      assert.equal(left(machine), []);
      await next.close();
    });
  }
}

test('killed in DEL when the data plane or the link has gone: the next DEL leaves nothing', async () => {
  for (const place of ['apply', 'detach'] as const) {
    const machine = new Machine();
    await machine.put(pod('web'));
    await machine.fill();
    const { store, kill } = mortal(machine.store);
    const killed = await machine.agent({ store });
    assert.is((await killed.cni.add(request('web', 'c-web', { conf: CONF }))).error, '');
    const reached = new Promise<void>((resolve) => {
      const stand = (): Promise<never> => {
        resolve();
        return never();
      };
      if (place === 'apply') machine.dataplane.before = stand;
      else machine.links.detachPod = stand;
    });
    void killed.cni.delete(request('web'));
    await reached;
    kill();
    restore(machine);
    const next = await machine.agent();
    assert.is((await next.cni.delete(request('web'))).error, '');
    assert.equal(left(machine), []);
    await next.close();
  }
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
