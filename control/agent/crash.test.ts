/**
 * ADD, DEL and restarts at random from a seed, with a failure or the agent's sudden end at any of their steps: address pools,
 * journal, links and data plane always tell of the same pods, and in the end nothing is left.
 */
import { mkdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DEFAULT_CONFIG, DEFAULT_IPV6 } from '../compiler/input.js';
import type { Store } from '../store/store.js';
import type { Agent } from './agent.js';
import { FakeLinks } from './fakes.js';
import { directory, Machine, request } from './fixtures.js';
import type { PodLinkSpec } from './links.js';

const NAMES = ['a', 'b', 'c', 'd', 'e'];
const CONFIG = {
  ...DEFAULT_CONFIG,
  // Six pods at most, so that addresses come back soon and pools run dry.
  podSubnetOneNodePrefixLen: 29,
  podSubnetCIDR: '10.1.0.0/20',
  ipv6: DEFAULT_IPV6,
};
const SEQUENCES = 8;
const STEPS = 40;

/** Never ends: the agent that waits for it is dead to the world. */
const NEVER = new Promise<never>(() => undefined);

type Trouble = 'none' | 'fails' | 'dies before' | 'dies after';

/** Links whose next change may fail, or be the last thing the agent sees. */
class TroubledLinks extends FakeLinks {
  trouble: Trouble = 'none';
  died = (): void => undefined;

  override attachPod(spec: PodLinkSpec): Promise<void> {
    return this.#do(() => super.attachPod(spec));
  }

  override detachPod(link: string): Promise<void> {
    return this.#do(() => super.detachPod(link));
  }

  async #do(change: () => Promise<void>): Promise<void> {
    const { trouble } = this;
    this.trouble = 'none';
    if (trouble === 'fails') throw new Error('netlink says no');
    if (trouble === 'none') return change();
    if (trouble === 'dies after') await change();
    this.died();
    return NEVER;
  }
}

/** A store that an agent which died can no longer reach. */
function severable(store: Store): { readonly store: Store; cut(): void } {
  let whole = true;
  const after = <T>(call: () => Promise<T>): Promise<T> => (whole ? call() : NEVER);
  return {
    cut: () => {
      whole = false;
    },
    store: {
      get: (key) => after(() => store.get(key)),
      list: (prefix) => after(() => store.list(prefix)),
      transact: (conditions, operations) => after(() => store.transact(conditions, operations)),
      put: (key, value) => after(() => store.put(key, value)),
      delete: (key) => after(() => store.delete(key)),
      lease: (seconds) => after(() => store.lease(seconds)),
      watch: (prefix, from, handler) =>
        store.watch(prefix, from, {
          events: (events, revision) => {
            if (whole) handler.events(events, revision);
          },
          lost: (reason) => {
            if (whole) handler.lost(reason);
          },
        }),
      close: () => Promise.resolve(),
    },
  };
}

class World {
  readonly machine = new Machine();
  readonly links = new TroubledLinks();
  /** Sandbox of each pod as the runtime has it. */
  readonly sandboxes = new Map<string, string>();
  agent: Agent | null = null;
  #cut = (): void => undefined;
  /** Every sandbox there was, with its pod's name. */
  readonly #made: (readonly [string, string])[] = [];

  constructor(private readonly random: (n: number) => number) {}

  async start(): Promise<void> {
    const { store, cut } = severable(this.machine.store);
    this.#cut = cut;
    await this.machine.fill();
    this.agent = await this.machine.agent({ store, links: this.links, config: CONFIG, auditIntervalMs: 0 });
  }

  async step(): Promise<void> {
    const name = NAMES[this.random(NAMES.length)] ?? '';
    const died = this.#prepareTrouble();
    const calls = this.#call(name);
    const alive = await Promise.race([calls.then(() => true), died.then(() => false)]);
    this.#calm();
    if (!alive || this.random(10) === 0) await this.#restart(alive);
    // What a runtime would see to by calling again, and time by an audit.
    await this.agent?.resync('full');
    await this.agent?.audit();
    this.assertAgreement();
  }

  /** DEL for all; nothing is left. */
  async end(): Promise<void> {
    this.#calm();
    for (const [name, sandbox] of this.#made) await this.agent?.cni.delete(request(name, sandbox));
    assert.is(this.agent?.state.pods().length, 0);
    this.assertAgreement();
    await this.agent?.close();
  }

  assertAgreement(): void {
    const agent = this.agent;
    assert.ok(agent !== null);
    const pods = agent?.state.pods() ?? [];
    const names = pods.map(({ pod }) => pod.name).sort();
    const { state } = JSON.parse(
      readFileSync(this.machine.journal, 'utf8').split('\n').slice(1).join('\n'),
    ) as {
      readonly state: { readonly pods: readonly { readonly pod: { readonly name: string } }[] };
    };
    assert.equal(state.pods.map(({ pod }) => pod.name).sort(), names, 'journal');
    assert.equal([...this.links.pods.keys()].sort(), pods.map(({ link }) => link).sort(), 'links');
    const wired = [...this.machine.dataplane.items.keys()].filter((key) => key.startsWith('interface/pod/'));
    assert.equal(
      wired.sort(),
      names.map((name) => `interface/pod/shop/${name}`),
      'data plane',
    );
    const addresses = pods.flatMap((pod) => pod.addresses);
    assert.is(new Set(addresses).size, 2 * pods.length, 'one address of each family, each one pod’s alone');
    assert.equal(
      agent?.state.addresses.use().map(({ used }) => used),
      [pods.length, pods.length],
      'pools',
    );
  }

  /** Resolves when the agent dies; it may never. */
  #prepareTrouble(): Promise<void> {
    const { dataplane } = this.machine;
    return new Promise((resolve) => {
      this.links.died = resolve;
      const what = this.random(10);
      const trouble = (['fails', 'dies before', 'dies after'] as const)[this.random(3)] ?? 'fails';
      if (what === 0) this.links.trouble = trouble;
      if (what === 1) dataplane.refuse = ({ key }) => (key.startsWith('endpoint/') ? 'no room' : null);
      if (what === 2) mkdirSync(`${this.machine.journal}.new`);
      if (what === 3) {
        dataplane.before = () => {
          resolve();
          return NEVER;
        };
      }
      if (what === 4) dataplane.reachable = this.random(2) === 0;
      if (what === 4 && this.random(2) === 0) dataplane.crash();
    });
  }

  #calm(): void {
    const { dataplane } = this.machine;
    this.links.trouble = 'none';
    dataplane.refuse = () => null;
    dataplane.before = () => Promise.resolve();
    dataplane.reachable = true;
    try {
      rmdirSync(`${this.machine.journal}.new`);
    } catch {
      // It was not in the way.
    }
  }

  async #call(name: string): Promise<void> {
    const cni = this.agent?.cni;
    const known = this.sandboxes.get(name);
    if (this.random(2) === 0) {
      await cni?.delete(request(name, known));
      return;
    }
    // The same sandbox again, or a new one under the old name.
    const sandbox = known !== undefined && this.random(2) === 0 ? known : `c${this.#made.length}-${name}`;
    this.sandboxes.set(name, sandbox);
    this.#made.push([name, sandbox]);
    await cni?.add(request(name, sandbox));
  }

  async #restart(orderly: boolean): Promise<void> {
    if (orderly) await this.agent?.close();
    this.#cut();
    await this.start();
  }
}

test('whatever fails and whenever it dies: pools, journal, links and data plane agree', async () => {
  for (let seed = 1; seed <= SEQUENCES; seed++) {
    let state = seed;
    const world = new World((n) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    });
    await world.start();
    for (let step = 1; step <= STEPS; step++) {
      await world.step().catch((error: Error) => {
        error.message = `seed ${seed}, step ${step}: ${error.message}`;
        throw error;
      });
    }
    await world.end();
  }
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
