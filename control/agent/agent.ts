/**
 * The node agent: keeps this node's data plane at what the cluster's objects say, and wires pods. Built from parts, so that
 * the same agent runs in production, in a simulation and in a test.
 */
import type { Backend } from '../backends/backend.js';
import { errorText } from '../common/errors.js';
import type { Key, Ruleset } from '../ruleset/types.js';
import type { Mirror } from '../store/mirror.js';
import type { AgentOptions } from './agent-options.js';
import { Claims } from './claims.js';
import { CniHandler } from './cni-handler.js';
import { Dataplane } from './dataplane.js';
import { NodeIdTakenError } from './errors.js';
import { Every } from './every.js';
import { Healing, type ResyncKind } from './healing.js';
import type { EventRecord } from './history.js';
import { Journal, type JournalState } from './journal.js';
import { answers, type KeptObjects, openKept } from './kept.js';
import { LookAhead } from './look-ahead.js';
import { type AgentEvent, EventLoop, type RunningEvent, type Transaction } from './loop.js';
import type { NodeState } from './node-state.js';
import { ObjectFeed, type ObjectsHandler } from './objects.js';
import { PodAwaited } from './pod-awaited.js';
import { PodLinks } from './pod-links.js';
import { prepareNode, untilReachable } from './prepare.js';
import { type AgentProblem, ProblemReport } from './problem-report.js';
import { Reconciler } from './reconciler.js';
import { recoverPods } from './recovery.js';
import { shortfallsOf } from './shortfalls.js';
import { type AgentStatus, StatusPublisher } from './status.js';
import { StorePulse } from './store-pulse.js';
import { UnknownPods } from './unknown-pods.js';
import { WiredPods } from './wired-pods.js';
import { Wiring } from './wiring.js';
import { WorkerWatch } from './worker-watch.js';

const AUDIT_INTERVAL_MS = 60_000;
const STORE_WAIT_MS = 3000;
const STORE_AWAY = 'the store is away: objects are as they were last';

export class Agent {
  readonly cni: CniHandler;
  readonly podLinks: PodLinks;
  readonly #loop: EventLoop;
  readonly #healing: Healing;
  readonly #feed: ObjectFeed;
  readonly #lookAhead: LookAhead;
  readonly #pulse: StorePulse;
  readonly #status: StatusPublisher;
  readonly #dataplane: Dataplane;
  readonly #problems: ProblemReport;
  readonly #wiring: Wiring;
  readonly #timers: Every[] = [];
  readonly #claims: Claims;
  readonly #podAwaited: PodAwaited;
  readonly #unknownPods: UnknownPods;
  readonly #reconciler: Reconciler;
  readonly #wiredPods: WiredPods;
  readonly #workers = new WorkerWatch((line) => this.#log(line));
  #ready = false;
  /** All objects were read since memory was given back last. */
  #untidy = false;
  /** The failure that was logged last, while nothing else came between. */
  #failure: string | null = null;

  private constructor(
    private readonly options: AgentOptions,
    readonly state: NodeState,
    private readonly journal: Journal | null,
    private readonly mirror: Mirror | null,
    /** What stands for the store until it answers; null = it does. */
    private kept: KeptObjects | null,
  ) {
    const { store, node, links, podFeed = 'afxdp' } = options;
    const log = (line: string): void => this.#log(line);
    this.#podAwaited = new PodAwaited(state, options.podObjectWaitMs ?? 1000);
    this.#unknownPods = new UnknownPods(state, log);
    this.#problems = new ProblemReport(options.config.externalIPCIDRs, log);
    this.#loop = new EventLoop((event, error) => this.#failed(event, error), options.recorded);
    this.#healing = new Healing((kind) => this.#heal(kind));
    this.#dataplane = new Dataplane(options.openBackend, (reason) => {
      log(`data plane lost: ${reason.message}`);
      this.#reconciler.lost();
      this.#healing.need('downstream');
      this.#publish();
    });
    const handler: ObjectsHandler = {
      pending: () => this.#loop.post(this.#reconciler.objectsEvent()),
      lost: (reason) => {
        log(`listing all objects again: ${reason.message}`);
        this.#healing.need('full');
      },
      unreadable: (key, reason) => this.#problems.unreadable(key, reason),
    };
    this.#feed = new ObjectFeed(store, handler, mirror);
    options.healthChecks?.serves(() => this.#dataplane.up);
    this.#lookAhead = new LookAhead(
      () => state.anticipate(),
      () => void this.#tidy(),
    );
    this.#pulse = new StorePulse(store, log, options.storePulseMs);
    this.#status = new StatusPublisher(store, node, options.statusIntervalMs);
    this.#claims = new Claims({
      store,
      config: options.config,
      record: state.identity.record,
      dataplane: options.dataplane,
      publish: () => this.#publish(),
      log,
    });
    this.podLinks = new PodLinks(links, state, log);
    const behind = (reason: string): void => {
      log(`data plane is behind: ${reason}`);
      this.#healing.need('upstream');
    };
    this.#wiring = new Wiring({
      ...{ state, links, podFeed, journal, dataplane: this.#dataplane, behind },
      unkept: (reason) => log(`a pod that is gone stays in the journal for now: ${reason}`),
    });
    this.#wiredPods = new WiredPods({
      links,
      state,
      journal,
      wiring: this.#wiring,
      log,
    });
    this.#reconciler = new Reconciler({
      ...{ options, state, dataplane: this.#dataplane, feed: this.#feed, claims: this.#claims },
      ...{ podAwaited: this.#podAwaited, problems: this.#problems },
      kept: () => this.kept,
      listing: () => {
        this.#untidy = true;
      },
      enforced: () => this.#enforced(),
      refused: () => this.#healing.need('upstream'),
      log,
    });
    this.cni = new CniHandler({
      state,
      links,
      wiring: this.#wiring,
      loop: this.#loop,
      ready: () => this.#ready,
      conflict: () => this.#claims.conflict,
      problem: () => this.#whyNot(),
      serving: () => this.#dataplane.up,
      inForce: () => this.#dataplane.inForce,
      podKnown: (pod, uid) => this.#podAwaited.known(pod, uid),
    });
  }

  /**
   * Starts the agent; resolves when everything the store holds is in force. Waits for a store or a data plane that is not up
   * yet. Throws NodeIdConflictError, NodeIdsExhaustedError, InvalidInputError, and what the link driver throws.
   */
  static async start(options: AgentOptions): Promise<Agent> {
    const log = options.log ?? (() => undefined);
    const journal = options.journal === null ? null : new Journal(options.journal);
    const loaded = journal?.load() ?? { state: null, damage: null };
    if (loaded.damage !== null) log(`${loaded.damage}; pods are read back from the data plane`);
    const { node, store, mirror: path = null, storeWaitMs: waitMs = STORE_WAIT_MS } = options;
    const { mirror, kept } = await openKept({ node, path, store, waitMs, log }, loaded.state);
    const state = await prepareNode(options, loaded.state, log, kept?.record ?? null);
    const agent = new Agent(options, state, journal, mirror, kept);
    // One that was removed is as lost as a damaged one: what runs must not be taken for what a crash left.
    await agent.#begin(loaded.state, journal !== null && loaded.state === null);
    return agent;
  }

  /** The latest events, and of older ones those that failed; oldest first. */
  get history(): readonly EventRecord[] {
    return this.#loop.history;
  }

  /** How many events wait, and which one runs. */
  get activity(): { readonly queued: number; readonly running: RunningEvent | null } {
    return { queued: this.#loop.queued, running: this.#loop.running };
  }

  /** Store revision of the model, and of what is in force. */
  get revisions(): { readonly known: number; readonly applied: number } {
    return this.#reconciler.revisions;
  }

  /** Started from the mirror, and the store is still away; or it answers no more. */
  get storeAway(): boolean {
    return this.kept !== null || this.#pulse.problem !== null;
  }

  /** How often the data plane was opened. */
  get dataplaneOpens(): number {
    return this.#dataplane.opened;
  }

  /** Items the data plane does not take, and why. */
  get refused(): ReadonlyMap<Key, string> {
    return this.#reconciler.refused;
  }

  /** What is wrong with the node as a whole. */
  get nodeProblems(): readonly string[] {
    const lost = this.#ready && !this.#dataplane.up ? 'the data plane is lost' : this.#workers.problem;
    const away = this.kept === null ? this.#pulse.problem : STORE_AWAY;
    const one = [this.#claims.conflict, lost, this.journal?.problem ?? null, away, this.#status.problem];
    return [...one.filter((problem) => problem !== null), ...(this.options.machineProblems?.() ?? [])];
  }

  /** What is wrong with pods wired here. */
  get podProblems(): readonly AgentProblem[] {
    return [...this.podLinks.problems, ...this.#unknownPods.problems];
  }

  /** What is wrong with objects, and with entries of the store. Looks through all of them. */
  objectProblems(): readonly AgentProblem[] {
    return this.#problems.list(this.state.model);
  }

  /** Everything that is known to be wrong. */
  problems(): readonly AgentProblem[] {
    const of = (source: AgentProblem['source'], object: string | null, message: string): AgentProblem => {
      return { source, object, field: null, message };
    };
    return [
      ...this.nodeProblems.map((problem) => of('node', null, problem)),
      ...this.podProblems,
      ...[...this.refused].map(([key, reason]) => of('dataplane', key, reason)),
      ...[...shortfallsOf(this.backend, this.inForce?.values() ?? [])].map(([key, reason]) =>
        of('dataplane', key, reason),
      ),
      ...this.objectProblems(),
    ];
  }

  get id(): number {
    return this.state.identity.record.id;
  }

  /** What is in force in the data plane; null while that is not known. */
  get inForce(): Ruleset | null {
    return this.#dataplane.inForce;
  }

  /** Items that resyncs found to differ from a ruleset compiled from scratch: a defect of the compiler each. */
  get drifts(): number {
    return this.#reconciler.drifts;
  }

  /** The data plane as it is open now, for its counters and traces; null while it is lost. */
  get backend(): Backend | null {
    return this.#dataplane.backend;
  }

  status(): AgentStatus {
    const problem = this.#whyNot();
    const ready = problem === null;
    const status = {
      revision: this.revisions.applied,
      ready,
      instance: this.#claims.instance,
      time: Date.now(),
    };
    return problem === null ? status : { ...status, problem };
  }

  #whyNot(): string | null {
    if (!this.#ready) return 'the agent is not ready yet';
    return (
      this.#claims.conflict ??
      this.#reconciler.problem ??
      (this.#dataplane.up ? null : 'the data plane is lost')
    );
  }

  /** Runs one resync as an event of its own. */
  async resync(kind: ResyncKind): Promise<void> {
    await this.#push(kind);
  }

  /** Compares the pods wired here with the machine's links, as an event of its own; then each link with what it was made as. */
  async audit(): Promise<void> {
    await this.#loop.push({ name: 'audit', object: null, run: (tx) => this.#wiredPods.audit(tx) });
    this.#unknownPods.look();
    await this.#workers.look(this.backend);
    await this.podLinks.look();
  }

  /** Stops; traffic and pods stay as they are. */
  async close(): Promise<void> {
    this.#ready = false;
    for (const timer of [this.#pulse, ...this.#timers]) timer.close();
    this.#claims.close();
    this.#healing.close();
    this.#lookAhead.close();
    await this.#loop.close();
    this.#feed.stop();
    await this.#status.close();
    await this.#dataplane.close();
    await this.mirror?.close();
  }

  async #begin(journaled: JournalState | null, lostJournal: boolean): Promise<void> {
    try {
      await untilReachable(
        () =>
          this.#loop.push({
            name: 'start',
            object: null,
            run: (tx) => this.#start(tx, journaled, lostJournal),
          }),
        (text) => this.#log(text),
        this.options.waiting,
      );
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#ready = true;
    this.#publish();
    if (this.kept !== null) this.#healing.need('full');
    const { auditIntervalMs = AUDIT_INTERVAL_MS, resyncIntervalMs = 0 } = this.options;
    this.#timers.push(
      new Every(auditIntervalMs, () => this.audit()),
      new Every(resyncIntervalMs, () => this.resync('downstream')),
    );
  }

  async #start(tx: Transaction, journaled: JournalState | null, lostJournal: boolean): Promise<void> {
    const pods = lostJournal ? recoverPods(await this.#dataplane.read()) : (journaled?.pods ?? []);
    const strays = await this.#wiredPods.restore(pods, journaled);
    // Before the data plane opens them with it.
    await this.podLinks.renew();
    await this.#reconciler.resync(tx, 'full');
    const found = lostJournal ? await this.#wiredPods.rediscover(strays) : [];
    if (found.length > 0) {
      await this.podLinks.renew();
      await this.#reconciler.enforce(tx);
    }
    await this.#wiredPods.removeStrays(strays.filter((link) => !found.includes(link)));
    // Policies have to be followed on a full disk, too; the audit tries again, and ADD does.
    await this.journal?.save(this.state.journal()).catch((error: unknown) => this.#log(errorText(error)));
  }

  /** What is wanted is in force. */
  #enforced(): void {
    this.#failure = null;
    this.#publish();
    this.#lookAhead.wake();
  }

  /** A start leaves several times as much garbage as what is kept: texts, messages, what stood in between. */
  async #tidy(): Promise<void> {
    if (!this.#untidy) return;
    this.#untidy = false;
    await this.mirror?.flush();
    this.options.releaseMemory?.();
  }

  async #heal(kind: ResyncKind): Promise<boolean> {
    // Asked beside the loop: pods need not wait for a store that is away.
    if (kind !== 'downstream') {
      const { store, storeWaitMs = STORE_WAIT_MS } = this.options;
      if (!(await answers(store, storeWaitMs))) {
        if (!this.#dataplane.up) await this.#push('downstream');
        return false;
      }
      if (this.kept !== null) this.#log('the store is back');
      this.kept = null;
    }
    await this.#push(kind);
    return this.#reconciler.problem === null;
  }

  async #push(kind: ResyncKind): Promise<void> {
    await this.#loop.push(this.#reconciler.resyncEvent(kind));
  }

  #failed(event: AgentEvent<unknown>, error: unknown): void {
    const failure = `${event.name}${event.object === null ? '' : ` ${event.object}`} failed: ${errorText(error)}`;
    // A resync that fails is tried again every few seconds.
    if (failure !== this.#failure) this.#log(failure);
    this.#failure = failure;
    // CNI reverts what it did and tells its caller; a resync is repeated by whoever asked for it.
    if (event.name === 'objects') this.#healing.need('upstream');
    if (event.name === 'claim node id') this.#healing.need('full');
    if (event.name.startsWith('resync')) this.#reconciler.failed(error);
    // Nothing here depends on the id any more; who starts takes another one.
    if (error instanceof NodeIdTakenError && this.state.pods().length === 0) this.options.startAnew?.();
    this.#publish();
  }

  #publish(): void {
    const status = this.status();
    this.#status.publish(status);
    this.options.statusChanged?.(status);
  }

  #log(line: string): void {
    this.options.log?.(line);
  }
}
