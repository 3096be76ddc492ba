/** The agent's metrics for Prometheus. No label holds the name of a pod, a Service or a rule: their number has no bound. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Counters } from '../../backends/backend.js';
import { parseCidr } from '../../common/ip.js';
import type { Agent } from '../agent.js';
import type { EventRecord } from '../history.js';
import type { AgentSource } from '../http/source.js';
import { problemOf } from '../http/status-routes.js';
import { METRICS, type MetricName } from './names.js';
import { kindOf, Traffic } from './traffic.js';

/** How long a data plane may take to tell its counters before a scrape goes on without, milliseconds. */
const COUNTERS_TIMEOUT_MS = 2000;
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export class AgentMetrics {
  readonly #registry = new Registry();
  readonly #traffic = new Traffic();
  readonly #events = this.#counter(METRICS.events);
  readonly #eventSeconds = this.#histogram(METRICS.eventSeconds);
  readonly #changes = this.#counter(METRICS.changes);
  readonly #resyncs = this.#counter(METRICS.resyncs);
  readonly #cni = this.#counter(METRICS.cni);
  readonly #cniSeconds = this.#histogram(METRICS.cniSeconds);
  readonly #gauges = gauges((name) => this.#gauge(name));
  readonly #counters = counters((name) => this.#counter(name));
  #problems: { readonly revision: number; readonly bySource: ReadonlyMap<string, number> } | null = null;
  #collecting: Promise<string> | null = null;

  /** `processMetrics`: also what every Node.js process tells of itself (memory, event loop). */
  constructor(
    private readonly source: AgentSource,
    processMetrics = false,
  ) {
    if (processMetrics) collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The metrics of this moment. Who asks while another one is asking gets the same. */
  text(): Promise<string> {
    this.#collecting ??= this.#collect().finally(() => {
      this.#collecting = null;
    });
    return this.#collecting;
  }

  /** Told of each event (AgentOptions.recorded). */
  recorded({ name, start, end, changed, error, reverted }: EventRecord): void {
    const result = error === null ? 'done' : reverted ? 'reverted' : 'failed';
    this.#events.inc({ event: name, result });
    this.#eventSeconds.observe({ event: name }, (end - start) / 1000);
    this.#changes.inc(changed);
    const kind = name === 'start' ? 'full' : /^resync (.*)$/.exec(name)?.[1];
    if (kind !== undefined) this.#resyncs.inc({ kind, result });
  }

  /** Told of each CNI command. */
  answered(command: string, result: number, seconds: number): void {
    this.#cni.inc({ command, result: String(result) });
    this.#cniSeconds.observe({ command }, seconds);
  }

  async #collect(): Promise<string> {
    const { node, version, agent } = this.source;
    const g = this.#gauges;
    g.info.set({ node, version }, 1);
    g.ready.set(problemOf(this.source) === null ? 1 : 0);
    const told = agent === null ? null : await countersOf(agent);
    g.dataplaneUp.set(told === null ? 0 : 1);
    g.dataplaneInfo.reset();
    const backend = agent?.backend ?? null;
    if (backend !== null) g.dataplaneInfo.set({ backend: backend.name, version: backend.version ?? '' }, 1);
    if (agent !== null) this.#ofAgent(agent);
    if (told !== null) this.#ofDataplane(told);
    return this.#registry.metrics();
  }

  #ofAgent(agent: Agent): void {
    const g = this.#gauges;
    const { state, revisions, activity } = agent;
    g.nodeId.set(agent.id);
    g.pods.set(state.pods().length);
    g.queued.set(activity.queued);
    g.runningSeconds.set(activity.running === null ? 0 : activity.running.milliseconds / 1000);
    g.revisionKnown.set(revisions.known);
    g.revisionApplied.set(revisions.applied);
    g.storeAway.set(agent.storeAway ? 1 : 0);
    g.refused.set(agent.refused.size);
    setTotal(this.#counters.drifts, {}, agent.drifts);
    setTotal(this.#counters.dataplaneOpens, {}, agent.dataplaneOpens);
    g.rulesetItems.reset();
    for (const { kind } of state.ruleset.values()) g.rulesetItems.inc({ kind });
    for (const { subnet, used, free } of state.addresses.use()) {
      const family = `IPv${parseCidr(subnet).family}`;
      g.ipam.set({ family, state: 'used' }, used);
      g.ipam.set({ family, state: 'free' }, free);
    }
    // To look all objects through is not for every scrape: they are the same as long as the revision is.
    if (this.#problems?.revision !== revisions.known) {
      this.#problems = { revision: revisions.known, bySource: countBySource(agent) };
    }
    for (const [source, count] of this.#problems.bySource) g.problems.set({ source }, count);
    g.problems.set({ source: 'dataplane' }, agent.refused.size);
    g.problems.set({ source: 'node' }, agent.nodeProblems.length + agent.podProblems.length);
  }

  #ofDataplane({ interfaces, outcomes, sessions, tables, workers, restarts }: Counters): void {
    const g = this.#gauges;
    const c = this.#counters;
    this.#traffic.add(interfaces);
    for (const [kind, sums] of this.#traffic.sums) {
      const labels = { interface: kind };
      setTotal(c.rxPackets, labels, sums.rxPackets);
      setTotal(c.rxBytes, labels, sums.rxBytes);
      setTotal(c.txPackets, labels, sums.txPackets);
      setTotal(c.txBytes, labels, sums.txBytes);
      setTotal(c.drops, labels, sums.drops);
    }
    g.interfaces.reset();
    for (const [key, { mode, sends }] of Object.entries(interfaces)) {
      if (mode !== undefined && sends !== undefined)
        g.interfaces.inc({ interface: kindOf(key), mode, sends });
    }
    for (const [outcome, packets] of Object.entries(outcomes)) setTotal(c.outcomes, { outcome }, packets);
    g.sessionsActive.set(sessions.active);
    for (const event of ['created', 'evicted', 'expired'] as const)
      setTotal(c.sessions, { event }, sessions[event]);
    for (const [worker, { packets }] of (workers ?? []).entries()) {
      setTotal(c.workerPackets, { worker: String(worker) }, packets);
    }
    if (restarts !== undefined) setTotal(c.workerRestarts, {}, restarts);
    for (const [table, { used, limit }] of Object.entries(tables ?? {})) {
      g.tableUsed.set({ table }, used);
      g.tableLimit.set({ table }, limit);
    }
  }

  #gauge({ name, help, labels }: MetricName): Gauge {
    return new Gauge({ name, help, labelNames: labels, registers: [this.#registry] });
  }

  #counter({ name, help, labels }: MetricName): Counter {
    return new Counter({ name, help, labelNames: labels, registers: [this.#registry] });
  }

  #histogram({ name, help, labels }: MetricName): Histogram {
    return new Histogram({ name, help, labelNames: labels, buckets: SECONDS, registers: [this.#registry] });
  }
}

function gauges(make: (name: MetricName) => Gauge) {
  return {
    info: make(METRICS.info),
    nodeId: make(METRICS.nodeId),
    ready: make(METRICS.ready),
    problems: make(METRICS.problems),
    rulesetItems: make(METRICS.rulesetItems),
    refused: make(METRICS.refused),
    pods: make(METRICS.pods),
    queued: make(METRICS.queued),
    runningSeconds: make(METRICS.runningSeconds),
    revisionKnown: make(METRICS.revisionKnown),
    revisionApplied: make(METRICS.revisionApplied),
    storeAway: make(METRICS.storeAway),
    ipam: make(METRICS.ipam),
    dataplaneInfo: make(METRICS.dataplaneInfo),
    dataplaneUp: make(METRICS.dataplaneUp),
    interfaces: make(METRICS.interfaces),
    sessionsActive: make(METRICS.sessionsActive),
    tableUsed: make(METRICS.tableUsed),
    tableLimit: make(METRICS.tableLimit),
  };
}

/** Counters that are kept elsewhere; each scrape takes their totals over. */
function counters(make: (name: MetricName) => Counter) {
  return {
    drifts: make(METRICS.drifts),
    dataplaneOpens: make(METRICS.dataplaneOpens),
    rxPackets: make(METRICS.rxPackets),
    rxBytes: make(METRICS.rxBytes),
    txPackets: make(METRICS.txPackets),
    txBytes: make(METRICS.txBytes),
    drops: make(METRICS.drops),
    outcomes: make(METRICS.outcomes),
    sessions: make(METRICS.sessions),
    workerPackets: make(METRICS.workerPackets),
    workerRestarts: make(METRICS.workerRestarts),
  };
}

function setTotal(counter: Counter, labels: Record<string, string>, total: number): void {
  counter.remove(labels);
  counter.inc(labels, total);
}

function countBySource(agent: Agent): ReadonlyMap<string, number> {
  const counts = new Map([
    ['object', 0],
    ['store', 0],
  ]);
  for (const { source } of agent.objectProblems()) counts.set(source, (counts.get(source) ?? 0) + 1);
  return counts;
}

/** null: the data plane is lost, or does not answer in time. */
async function countersOf({ backend }: Agent): Promise<Counters | null> {
  if (backend === null) return null;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), COUNTERS_TIMEOUT_MS);
  });
  const counted = backend.counters().catch(() => null);
  const result = await Promise.race([counted, late]);
  clearTimeout(timer);
  return result;
}
