/**
 * One event after the other: each is one transaction, recorded with its changes and its error. Follow-ups of an event go
 * ahead of what waits. Who pushed an event may wait for its outcome (CNI does).
 */
import { errorText } from '../common/errors.js';
import { AgentBusyError, AgentNotReadyError } from './errors.js';
import { type EventRecord, History, MOST_MARKS } from './history.js';

/** What an event may do beside its own work. */
export interface Transaction {
  /** Notes changes for the record. */
  changed(keys: readonly string[]): void;
  /** Remembers how to undo a step; if the event fails, undone last first. */
  onRevert(undo: () => Promise<void> | void): void;
  /** Runs right after this event, before anything that waits. */
  followUp(event: AgentEvent<unknown>): void;
}

export interface AgentEvent<T> {
  readonly name: string;
  readonly object: string | null;
  run(tx: Transaction): Promise<T>;
}

interface Queued {
  readonly event: AgentEvent<unknown>;
  readonly follows: number | null;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Changes of objects are gathered into one event, so what waits are CNI calls. */
const MOST_QUEUED = 1000;

export interface RunningEvent {
  readonly name: string;
  readonly object: string | null;
  /** Milliseconds since the epoch. */
  readonly start: number;
  /** How long it has been running, whatever became of the clock meanwhile. */
  readonly milliseconds: number;
}

export class EventLoop {
  #queue: Queued[] = [];
  #running: Promise<void> | null = null;
  #closed = false;
  #seq = 0;
  /** `since`: monotonic milliseconds. */
  #current: (Omit<RunningEvent, 'milliseconds'> & { readonly since: number }) | null = null;
  readonly #history = new History();

  /** `failed` is told of each event that failed, `recorded` of each, after its record. */
  constructor(
    private readonly failed: (event: AgentEvent<unknown>, error: unknown) => void,
    private readonly recorded: (record: EventRecord) => void = () => undefined,
  ) {}

  /** The latest events, and of older ones those that failed; oldest first. */
  get history(): readonly EventRecord[] {
    return this.#history.records;
  }

  /** How many events wait. */
  get queued(): number {
    return this.#queue.length;
  }

  /** The event that runs; null = none. */
  get running(): RunningEvent | null {
    if (this.#current === null) return null;
    const { name, object, start, since } = this.#current;
    return { name, object, start, milliseconds: Math.round(performance.now() - since) };
  }

  /** Queues the event; settles with its outcome. Rejects with AgentBusyError or AgentNotReadyError what it does not take. */
  push<T>(event: AgentEvent<T>): Promise<T> {
    return new Promise<unknown>((resolve, reject) => {
      if (this.#closed) {
        reject(new AgentNotReadyError('the agent is closing', { retryable: true }));
        return;
      }
      if (this.#queue.length >= MOST_QUEUED) {
        reject(
          new AgentBusyError(`${MOST_QUEUED} events wait already`, { object: event.name, retryable: true }),
        );
        return;
      }
      this.#queue.push({ event, follows: null, resolve, reject });
      this.#running ??= this.#run();
    }) as Promise<T>;
  }

  /** Queues an event nobody waits for; a failure goes to `failed` only. */
  post(event: AgentEvent<unknown>): void {
    this.push(event).catch(() => undefined);
  }

  /** Takes no more events; resolves when the one that runs is done. Those that wait are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    const waiting = this.#queue;
    this.#queue = [];
    for (const { reject } of waiting)
      reject(new AgentNotReadyError('the agent is closing', { retryable: true }));
    await this.#running;
  }

  async #run(): Promise<void> {
    // Events pushed together are queued before the first one runs.
    await Promise.resolve();
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift())
      await this.#execute(next);
    this.#running = null;
  }

  async #execute({ event, follows, resolve, reject }: Queued): Promise<void> {
    const seq = ++this.#seq;
    const start = Date.now();
    const since = performance.now();
    this.#current = { name: event.name, object: event.object, start, since };
    const { outcome, followUps, ...told } = await perform(event);
    const { name, object } = event;
    const record: EventRecord = {
      seq,
      name,
      object,
      follows,
      start,
      end: start + Math.round(performance.now() - since),
      ...told,
    };
    this.#current = null;
    this.#history.add(record);
    this.recorded(record);
    if (!this.#closed) {
      const ahead = followUps.map((next): Queued => {
        return { event: next, follows: seq, resolve: () => undefined, reject: () => undefined };
      });
      this.#queue.unshift(...ahead);
    }
    if ('error' in outcome) {
      this.failed(event, outcome.error);
      reject(outcome.error);
    } else {
      resolve(outcome.result);
    }
  }
}

/** What became of an event, for its record and for who waits for it. */
interface Performed extends Pick<EventRecord, 'changes' | 'changed' | 'error' | 'reverted'> {
  readonly outcome: { readonly result: unknown } | { readonly error: unknown };
  readonly followUps: readonly AgentEvent<unknown>[];
}

/** Runs an event; if it fails, what it did is undone. */
async function perform(event: AgentEvent<unknown>): Promise<Performed> {
  const changes: string[] = [];
  let changed = 0;
  const undos: Undo[] = [];
  const followUps: AgentEvent<unknown>[] = [];
  try {
    const result = await event.run({
      changed: (keys) => {
        changed += keys.length;
        changes.push(...keys.slice(0, MOST_MARKS - changes.length));
      },
      onRevert: (undo) => undos.push(undo),
      followUp: (next) => followUps.push(next),
    });
    return { outcome: { result }, followUps, changes, changed, error: null, reverted: false };
  } catch (error) {
    const problem = `${errorText(error)}${await undone(undos)}`;
    return { outcome: { error }, followUps, changes, changed, error: problem, reverted: undos.length > 0 };
  }
}

type Undo = () => Promise<void> | void;

/** Undoes the latest first; what could not be undone, in words. */
async function undone(undos: readonly Undo[]): Promise<string> {
  let problem = '';
  for (const undo of [...undos].reverse()) {
    try {
      await undo();
    } catch (error) {
      problem += `; undoing it failed: ${errorText(error)}`;
    }
  }
  return problem;
}
