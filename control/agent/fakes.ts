/** Doubles for tests of the agent: a data plane that remembers, and links that are entries of a map. */
import type { Backend, ChangeResult, Counters, Trace } from '../backends/backend.js';
import type { Change, Item, Key } from '../ruleset/types.js';
import { LinkExistsError } from './errors.js';
import {
  detachEach,
  type FoundLink,
  type LinkDriver,
  type NodeLinkSpec,
  type NodeLinks,
  type PodEnd,
  type PodLinkSpec,
} from './links.js';

/** A data plane as a process is one: it keeps its contents while agents come and go. */
export class FakeDataplane {
  items = new Map<Key, Item>();
  /** Every transaction that was applied. */
  readonly transactions: (readonly Change[])[] = [];
  /** Why a key is refused; empty = everything is taken. */
  refuse: (change: Change) => string | null = () => null;
  /** What an item in force does less than it says. */
  shortfalls: (item: Item) => readonly string[] = () => [];
  /** Called before a transaction is applied. */
  before: (changes: readonly Change[]) => Promise<void> = () => Promise.resolve();
  reachable = true;
  opens = 0;
  #lose: ((reason: Error) => void)[] = [];

  readonly open = (): Promise<Backend> => {
    if (!this.reachable) return Promise.reject(new Error('connection refused'));
    this.opens++;
    const lost = new Promise<Error>((resolve) => this.#lose.push(resolve));
    return Promise.resolve(new FakeBackend(this, lost));
  };

  /** The process dies and comes back empty. */
  crash(): void {
    this.items = new Map();
    const lose = this.#lose;
    this.#lose = [];
    for (const resolve of lose) resolve(new Error('process ended'));
  }
}

class FakeBackend implements Backend {
  readonly name = 'fake';

  constructor(
    private readonly plane: FakeDataplane,
    readonly lost: Promise<Error>,
  ) {}

  async apply(changes: readonly Change[]): Promise<readonly ChangeResult[]> {
    await this.plane.before(changes);
    const results = changes.map((change): ChangeResult => {
      const reason = this.plane.refuse(change);
      if (reason === null) return { key: change.key, error: null };
      return { key: change.key, error: { name: 'TableFullError', message: reason, retryable: true } };
    });
    if (results.some(({ error }) => error !== null)) return results;
    for (const change of changes) {
      if (change.type === 'remove') this.plane.items.delete(change.key);
      else this.plane.items.set(change.key, change.item);
    }
    this.plane.transactions.push(changes);
    return results;
  }

  dump(): Promise<ReadonlyMap<Key, Item>> {
    return Promise.resolve(new Map(this.plane.items));
  }

  shortfalls(item: Item): readonly string[] {
    return this.plane.shortfalls(item);
  }

  counters(): Promise<Counters> {
    return Promise.reject(new Error('a double counts nothing'));
  }

  trace(): Promise<Trace> {
    return Promise.reject(new Error('a double traces nothing'));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Links of one node, kept when the agent is not. */
export class FakeLinks implements LinkDriver {
  readonly pods = new Map<string, PodLinkSpec>();
  failAttach: Error | null = null;
  failRenew: Error | null = null;
  failDetach: Error | null = null;

  setupNode(spec: NodeLinkSpec): Promise<NodeLinks> {
    const { hostMac: mac, hostLinuxMac: peerMac } = spec.plan;
    return Promise.resolve({
      uplink: { link: 'uplink', mac: '02:70:74:00:00:01' },
      host: { link: 'ptero1', mac, peerMac },
    });
  }

  attachPod(spec: PodLinkSpec): Promise<void> {
    if (this.failAttach !== null) return Promise.reject(this.failAttach);
    if ([...this.pods.values()].some(({ netns, ifname }) => netns === spec.netns && ifname === spec.ifname)) {
      return Promise.reject(new LinkExistsError('is in the sandbox already', { object: spec.ifname }));
    }
    this.pods.set(spec.link, spec);
    return Promise.resolve();
  }

  detachPod(link: string): Promise<void> {
    if (this.failDetach !== null) return Promise.reject(this.failDetach);
    this.pods.delete(link);
    return Promise.resolve();
  }

  detachPods(pods: readonly PodEnd[]): Promise<ReadonlyMap<string, Error>> {
    return detachEach(this, pods);
  }

  sweepPod({ link }: Pick<PodLinkSpec, 'link'>): Promise<void> {
    return this.detachPod(link);
  }

  podLinks(): Promise<readonly string[]> {
    return Promise.resolve([...this.pods.keys()]);
  }

  findPods(links: readonly string[]): Promise<readonly FoundLink[]> {
    return Promise.resolve([...this.pods.values()].filter(({ link }) => links.includes(link)));
  }

  renewPod({ link, mtu }: PodLinkSpec): Promise<boolean> {
    const there = this.pods.get(link);
    if (this.failRenew !== null) return Promise.reject(this.failRenew);
    if (there === undefined || there.mtu === mtu) return Promise.resolve(false);
    this.pods.set(link, { ...there, mtu });
    return Promise.resolve(true);
  }

  checkPod(spec: PodLinkSpec): Promise<readonly string[]> {
    const there = this.pods.get(spec.link);
    if (there === undefined) return Promise.resolve([`link ${spec.link} is gone`]);
    if (there.mtu !== spec.mtu) return Promise.resolve([`eth0 has MTU ${there.mtu}, not ${spec.mtu}`]);
    return Promise.resolve(there.netns === spec.netns ? [] : ['the namespace differs']);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
