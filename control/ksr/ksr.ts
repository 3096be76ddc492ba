/**
 * ksr, the Kubernetes state reflector: while it leads, it follows the API and makes the store hold what the cluster's networks
 * need of it. After any gap (410 Gone, the store away, replaced or emptied, another leader) everything is compared again.
 */
import { setTimeout } from 'node:timers/promises';
import { Every } from '../agent/every.js';
import { errorText } from '../common/errors.js';
import type { Store } from '../store/store.js';
import type { KubeApi } from './api.js';
import { type Candidate, campaign, type Leadership } from './election.js';
import { LeadershipLostError } from './errors.js';
import type { KsrMetrics } from './metrics.js';
import { NodeRelease } from './node-release.js';
import { reduce } from './reduce.js';
import { Reflector, type ReflectorHandler } from './reflector.js';
import { ProblemReporter } from './reporter.js';
import { RESOURCES, type Resource } from './resources.js';
import { type ObjectProblems, Wanted } from './wanted.js';
import { Writer } from './writer.js';

export interface KsrOptions extends Candidate {
  readonly api: KubeApi;
  readonly store: Store;
  readonly metrics: KsrMetrics;
  /** Where externalIPs of Services may lie. */
  readonly externalIPCIDRs: readonly string[];
  /** How often a custom resource that is not there is looked for, milliseconds. */
  readonly lookAgainMs?: number;
  /** How long a Node must be gone before its id is given back, milliseconds (default ten minutes); see NodeRelease. */
  readonly nodeReleaseMs?: number;
  readonly log: (line: string) => void;
}

export interface KsrStatus {
  readonly role: 'leader' | 'standby' | 'starting';
  /** Everything is reflected, or another one leads and we could take over. */
  readonly ready: boolean;
  /** Who leads, as far as we know. */
  readonly leader: string | null;
  /** Kinds the API has not listed yet. */
  readonly missing: readonly string[];
  /** Keys that wait to be written. */
  readonly behind: number;
  /** What keeps us from it, a line each. */
  readonly troubles: readonly string[];
}

const PAUSE_MS = { first: 100, most: 5000 };
/** So long may a node be registered anew, and its agent be away, before its id is somebody else's. */
const NODE_RELEASE_MS = 600_000;
/** What an agent that lives has to answer in, at most, and how often it is looked; milliseconds. */
const NODE_ANSWER_MS = 60_000;
const NODE_LOOK_MS = 15_000;

export class Ksr {
  readonly #stop = new AbortController();
  readonly #troubles = new Map<string, string>();
  readonly #reporter: ProblemReporter;
  #role: KsrStatus['role'] = 'starting';
  #leader: string | null = null;
  #wanted = new Wanted();
  #writer: Writer | null = null;
  #swept = false;

  constructor(private readonly options: KsrOptions) {
    this.#reporter = new ProblemReporter(options.api, options.identity, (line) => options.log(line));
    options.metrics.follow({
      count: (kind) => this.#wanted.count(kind),
      problems: (kind) => this.#wanted.problemCount(kind),
      leads: () => this.#role === 'leader',
      ready: () => this.status().ready,
      behind: () => this.#writer?.behind ?? 0,
    });
  }

  status(): KsrStatus {
    const troubles = [...this.#troubles.values()];
    const leads = this.#role === 'leader';
    return {
      role: this.#role,
      ready: leads ? this.#swept && troubles.length === 0 : this.#role === 'standby' && troubles.length === 0,
      leader: leads ? this.options.identity : this.#leader,
      missing: leads ? this.#wanted.missing : [],
      behind: this.#writer?.behind ?? 0,
      troubles,
    };
  }

  /** Objects of which something is not honoured. */
  problems(): readonly ObjectProblems[] {
    return this.#role === 'leader' ? this.#wanted.problems() : [];
  }

  /** Reflects until `stop`. */
  async run(): Promise<void> {
    const { store, log, identity } = this.options;
    let pause = PAUSE_MS.first;
    while (!this.#stop.signal.aborted) {
      try {
        const leadership = await campaign(store, this.options, this.#stop.signal, (leader) => {
          if (this.#role !== 'standby' || this.#leader !== leader) log(`standing by: ${leader} leads`);
          this.#role = 'standby';
          this.#leader = leader;
          this.#troubles.clear();
        });
        if (leadership === null) break;
        pause = PAUSE_MS.first;
        log(`${identity} leads`);
        await this.#lead(leadership);
      } catch (error) {
        this.#trouble('store', errorText(error));
        await this.#sleep(pause);
        pause = Math.min(pause * 2, PAUSE_MS.most);
      }
    }
  }

  /** Ends `run`, and gives the lead up. */
  stop(): void {
    this.#stop.abort();
  }

  /** Follows the API until the lead is lost or given up. */
  async #lead(leadership: Leadership): Promise<void> {
    this.#role = 'leader';
    this.#troubles.clear();
    this.#wanted = new Wanted();
    this.#swept = false;
    const over = new AbortController();
    const end = (): void => over.abort();
    this.#stop.signal.addEventListener('abort', end);
    void leadership.lost.then(end);
    const complete = new Gate();
    const reflectors = RESOURCES.map((resource) => this.#reflector(resource, complete));
    const nodes = this.#followNodes(leadership);
    const running = reflectors.map((reflector) => reflector.run());
    try {
      await this.#reflect(leadership, complete, over.signal);
    } finally {
      this.#stop.signal.removeEventListener('abort', end);
      for (const reflector of reflectors) reflector.close();
      nodes.close();
      this.#writer?.close();
      this.#writer = null;
      this.#role = 'starting';
      this.#swept = false;
      this.#reporter.clear();
      // Before a listing that hangs has ended: another one need not wait for it. What is still being written is fenced.
      await leadership.resign().catch((error: unknown) => {
        this.options.log(`leadership could not be given up and will expire: ${errorText(error)}`);
      });
      await Promise.all(running);
    }
    if (!this.#stop.signal.aborted) this.options.log('leadership lost');
  }

  /** Ids of nodes that left the cluster are given back while everything is reflected. An API without any node was emptied. */
  #followNodes({ condition }: Leadership): Every {
    const { store, metrics, log, nodeReleaseMs: afterMs = NODE_RELEASE_MS } = this.options;
    const wanted = this.#wanted;
    const release = new NodeRelease({
      ...{ store, condition, log, afterMs, answerMs: Math.min(afterMs, NODE_ANSWER_MS) },
      exists: (node) => wanted.has('Node', node),
      released: () => metrics.nodeReleased(),
    });
    return new Every(Math.min(afterMs / 4, NODE_LOOK_MS), async () => {
      if (this.#swept && wanted.count('Node') > 0) await release.look();
    });
  }

  /** Sweeps, then writes changes, again and again as the store fails, until `signal`. */
  async #reflect(leadership: Leadership, complete: Gate, signal: AbortSignal): Promise<void> {
    const { store, metrics, log } = this.options;
    const over = aborted(signal);
    await Promise.race([complete.opened, over]);
    for (let pause = PAUSE_MS.first; !signal.aborted; pause = Math.min(pause * 2, PAUSE_MS.most)) {
      const failure = new Gate<Error>();
      const writer = new Writer(store, this.#wanted, leadership.condition, {
        written: (operation, kind) => metrics.written(operation, kind),
        failed: (error) => failure.open(error),
      });
      this.#writer = writer;
      const began = performance.now();
      try {
        await Promise.race([writer.sweep(), over]);
        if (signal.aborted) return;
        this.#swept = true;
        this.#trouble('store', null);
        metrics.swept((performance.now() - began) / 1000);
        log(`everything is reflected (${((performance.now() - began) / 1000).toFixed(1)} s)`);
        pause = PAUSE_MS.first;
        this.#reporter.report(this.#wanted.problems());
        const error = await Promise.race([failure.opened, over]);
        if (error !== undefined) throw error;
      } catch (error) {
        if (signal.aborted || error instanceof LeadershipLostError) return;
        metrics.sweepFailed();
        this.#trouble('store', errorText(error));
        log(`everything is compared again: ${errorText(error)}`);
      } finally {
        writer.close();
        this.#swept = false;
      }
      await this.#sleep(pause, signal);
    }
  }

  #reflector(resource: Resource, complete: Gate): Reflector {
    const { api, externalIPCIDRs, metrics, lookAgainMs } = this.options;
    const { kind } = resource;
    const wanted = this.#wanted;
    const touched = (keys: readonly string[], problems: boolean): void => {
      this.#writer?.touch(keys);
      // Policies are compared with each other.
      if (this.#swept && (problems || kind === 'ClusterNetworkPolicy'))
        this.#reporter.report(wanted.problems());
    };
    const handler: ReflectorHandler = {
      reduce: (object) => reduce(resource, object, externalIPCIDRs),
      replace: (objects) => {
        metrics.listed(kind);
        touched(wanted.replace(kind, objects), true);
        if (wanted.complete) complete.open(undefined);
      },
      put: (object) => {
        metrics.event(kind, 'put');
        touched(wanted.put(kind, object) ? [object.key] : [], object.problems.length > 0);
      },
      removed: (reference) => {
        metrics.event(kind, 'delete');
        const key = wanted.remove(kind, reference);
        touched(key === null ? [] : [key], false);
      },
      gap: (reason) => {
        metrics.gap(kind);
        this.options.log(`listing again: ${reason}`);
      },
      trouble: (reason) => this.#trouble(kind, reason),
    };
    return new Reflector(api, resource, handler, lookAgainMs === undefined ? {} : { lookAgainMs });
  }

  #trouble(about: string, reason: string | null): void {
    if (reason === null) {
      this.#troubles.delete(about);
      return;
    }
    if (this.#troubles.get(about) !== reason) this.options.log(reason);
    this.#troubles.set(about, reason);
    this.options.metrics.trouble(about);
  }

  async #sleep(milliseconds: number, signal = this.#stop.signal): Promise<void> {
    // It rejects when aborted, which is an end of sleep like any other.
    await setTimeout(milliseconds, undefined, { signal }).catch(() => undefined);
  }
}

/** A promise and what resolves it. */
class Gate<T = undefined> {
  open: (value: T) => void = () => undefined;
  readonly opened = new Promise<T>((resolve) => {
    this.open = resolve;
  });
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
