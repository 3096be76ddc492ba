/**
 * What the agent does with objects, each time inside one transaction of its loop: takes them into the model, compiles, and brings the data
 * plane to the result as far as it takes it.
 */
import { errorText } from '../common/errors.js';
import type { KubeObject, ObjectEvent } from '../objects/types.js';
import type { Key } from '../ruleset/types.js';
import type { AgentOptions } from './agent-options.js';
import type { Claims } from './claims.js';
import { BARE_NAMESPACE } from './cni-handler.js';
import type { Dataplane } from './dataplane.js';
import { StoreIncompleteError } from './errors.js';
import type { ResyncKind } from './healing.js';
import type { KeptObjects } from './kept.js';
import type { AgentEvent, Transaction } from './loop.js';
import { changeMarks } from './marks.js';
import type { NodeState } from './node-state.js';
import type { Listing, ObjectFeed } from './objects.js';
import type { PodAwaited } from './pod-awaited.js';
import type { ProblemReport } from './problem-report.js';
import { newShortfalls } from './shortfalls.js';

export interface ReconcilerParts {
  readonly options: Pick<AgentOptions, 'node' | 'healthChecks'>;
  readonly state: NodeState;
  readonly dataplane: Dataplane;
  readonly feed: ObjectFeed;
  readonly claims: Claims;
  readonly podAwaited: PodAwaited;
  readonly problems: ProblemReport;
  /** What stands for the store until it answers; null = it does. */
  readonly kept: () => KeptObjects | null;
  /** All objects are about to be read. */
  readonly listing: () => void;
  /** Everything but what the data plane refuses is in force. */
  readonly enforced: () => void;
  /** The data plane refuses something: to be tried again. */
  readonly refused: () => void;
  readonly log: (line: string) => void;
}

export class Reconciler {
  /** Store revision of the model, and of what is in force. */
  #known = 0;
  #applied = 0;
  #drifts = 0;
  /** Since when the data plane has been without what should be in force (performance.now). */
  #lostAt: number | null = null;
  /** What the data plane or the store keeps us from. */
  #problem: string | null = null;
  /** What the data plane does not take, and why. */
  #refused: ReadonlyMap<Key, string> = new Map();

  constructor(private readonly parts: ReconcilerParts) {}

  /** Store revision of the model, and of what is in force. */
  get revisions(): { readonly known: number; readonly applied: number } {
    return { known: this.#known, applied: this.#applied };
  }

  /** Items that resyncs found to differ from a ruleset compiled from scratch: a defect of the compiler each. */
  get drifts(): number {
    return this.#drifts;
  }

  /** What the data plane or the store keeps us from; null = nothing. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Items the data plane does not take, and why. */
  get refused(): ReadonlyMap<Key, string> {
    return this.#refused;
  }

  /** The data plane went away: how long it stays incomplete is counted from here. */
  lost(): void {
    this.#lostAt ??= performance.now();
  }

  /** A resync did not come to its end. */
  failed(error: unknown): void {
    this.#problem = errorText(error);
  }

  /** What the feed holds, as an event. Throws StoreIncompleteError where a store is being emptied. */
  objectsEvent(): AgentEvent<void> {
    return { name: 'objects', object: null, run: (tx) => this.#takeObjects(tx) };
  }

  resyncEvent(kind: ResyncKind): AgentEvent<void> {
    return { name: `resync ${kind}`, object: null, run: (tx) => this.resync(tx, kind) };
  }

  /** Throws StoreIncompleteError, and what the store and the data plane throw. */
  async resync(tx: Transaction, kind: ResyncKind): Promise<void> {
    const { problems, state, podAwaited, dataplane, log } = this.parts;
    if (kind !== 'downstream') {
      this.parts.listing();
      problems.listing();
      const { objects, revision } = this.parts.kept() ?? (await this.#listing());
      problems.all(objects);
      const drifted = state.reset(objects);
      this.#drifts += drifted.length;
      if (drifted.length > 0) log(`the ruleset had drifted from its objects: ${drifted.join(', ')}`);
      this.#known = revision;
      podAwaited.look();
    }
    if (kind !== 'upstream') dataplane.distrust();
    await this.enforce(tx);
  }

  /** Brings the data plane to what the state says, as far as it takes it. Throws DataplaneUnavailableError, ApplyError. */
  async enforce(tx: Transaction): Promise<void> {
    const { state, dataplane, options, log } = this.parts;
    const known = this.#known;
    const { ruleset, changes: wanted } = state.wanted();
    options.healthChecks?.follow(ruleset, wanted);
    const { changes, refused } = await dataplane.apply(ruleset, undefined, wanted);
    tx.changed(changeMarks(changes));
    if (this.#lostAt !== null) {
      const seconds = (performance.now() - this.#lostAt) / 1000;
      log(`the data plane is complete again after ${seconds.toFixed(1)} s`);
      this.#lostAt = null;
    }
    for (const line of newShortfalls(dataplane.backend, changes)) log(line);
    this.#note(refused);
    this.#applied = known;
    this.parts.enforced();
  }

  #note(refused: ReadonlyMap<Key, string>): void {
    this.#refused = refused;
    const [first] = refused;
    this.#problem = first === undefined ? null : `the data plane refuses ${first[0]}: ${first[1]}`;
    if (this.#problem === null) return;
    this.parts.log(this.#problem);
    this.parts.refused();
  }

  async #takeObjects(tx: Transaction): Promise<void> {
    const { feed, state, problems, claims, options, podAwaited } = this.parts;
    const { events, revision, nodeIdsGone } = feed.take();
    // A listing may have overtaken them.
    if (events.length === 0 && revision <= this.#applied) return;
    const removed = events.some(({ type }) => type === 'delete');
    if (removed && (this.#emptied(events) || !(await feed.stillComplete()))) throw new StoreIncompleteError();
    state.apply(events);
    feed.keep();
    problems.changed(events, state.model);
    this.#known = Math.max(this.#known, revision);
    if (claims.contested(events, nodeIdsGone)) {
      tx.followUp({ name: 'claim node id', object: options.node, run: () => claims.claim() });
    }
    podAwaited.look();
    await this.enforce(tx);
  }

  async #listing(): Promise<Listing> {
    const { claims, feed } = this.parts;
    await claims.claim();
    const listing = await feed.list();
    if (listing.complete && this.#filled(listing.objects)) return listing;
    feed.stop();
    throw new StoreIncompleteError();
  }

  /** A store that lost everything must not open every policy: what is in force stays until it is filled again. */
  #filled(objects: readonly KubeObject[]): boolean {
    return !this.#hasPods() || objects.some(({ kind }) => kind !== 'NodeRecord');
  }

  /** Every namespace removed at once, with what is in them: no cluster does that, but somebody who empties its store. */
  #emptied(events: readonly ObjectEvent[]): boolean {
    const gone = new Set<string>();
    for (const event of events) {
      if (event.type === 'delete' && event.kind === 'Namespace') gone.add(event.name);
    }
    if (gone.size === 0) return false;
    for (const { metadata } of this.parts.state.model.all('Namespace'))
      if (!gone.has(metadata.name)) return false;
    return this.#hasPods();
  }

  /** Pods that Kubernetes knows, wired here. */
  #hasPods(): boolean {
    return this.parts.state.pods().some(({ pod }) => pod.namespace !== BARE_NAMESPACE);
  }
}
