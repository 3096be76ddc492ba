/**
 * Gives back the ids of nodes that left the cluster, or the address ranges run out where nodes come and go. A record whose Node is
 * gone from the API is marked after a while; an agent that runs as that node claims it anew, which takes the mark off. One that
 * stays marked has nobody behind it: record and status are removed, and the other nodes take their tunnels to it down.
 */
import { fromJson, toJson } from '../objects/json.js';
import { NODES_PREFIX, RELEASE_ANNOTATION, STATUS_PREFIX } from '../objects/stored-keys.js';
import type { NodeRecord } from '../objects/types.js';
import type { Condition, Entry, Operation, Store } from '../store/store.js';
import { LeadershipLostError } from './errors.js';

export interface NodeReleaseParts {
  readonly store: Store;
  /** Holds while we lead. */
  readonly condition: Condition;
  /** Whether the API has a Node of this name. */
  readonly exists: (node: string) => boolean;
  /** A record was removed. */
  readonly released: () => void;
  readonly log: (line: string) => void;
  /** How long a Node must be gone before its record is marked, milliseconds. */
  readonly afterMs: number;
  /** How long an agent has to answer, milliseconds. */
  readonly answerMs: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

interface Absent {
  readonly name: string;
  readonly revision: number;
  readonly marked: boolean;
  /** Since when the Node is gone, or its agent answered last. */
  readonly since: number;
  /** Since when the record is as it is. */
  readonly at: number;
}

export class NodeRelease {
  /** Records without a Node, by their keys. */
  #absent = new Map<string, Absent>();

  constructor(private readonly parts: NodeReleaseParts) {}

  /** Looks at all records once. Throws what the store throws, LeadershipLostError. */
  async look(): Promise<void> {
    const { store, exists } = this.parts;
    const { entries } = await store.list(NODES_PREFIX);
    const absent = new Map<string, Absent>();
    for (const entry of entries) {
      const record = recordOf(entry);
      if (record === null) continue;
      if (!exists(record.metadata.name)) absent.set(entry.key, await this.#gone(entry, record));
      else if (isMarked(record)) await this.#write(entry, record, false);
    }
    this.#absent = absent;
  }

  async #gone(entry: Entry, record: NodeRecord): Promise<Absent> {
    const { log, afterMs, answerMs, released, now = () => performance.now() } = this.parts;
    const { name } = record.metadata;
    const seen = this.#seen(entry, record, now());
    if (!seen.marked && now() - seen.since >= afterMs) {
      const revision = await this.#write(entry, record, true);
      return revision === null ? seen : { ...seen, revision, marked: true, at: now() };
    }
    if (!seen.marked || now() - seen.at < answerMs) return seen;
    const gone = [entry.key, `${STATUS_PREFIX}${name}`].map((key): Operation => ({ type: 'delete', key }));
    if ((await this.#transact(entry, gone)) !== null) {
      log(`node ${name} left the cluster: its id ${record.id} is free again`);
      released();
    }
    return seen;
  }

  #seen({ key, revision }: Entry, record: NodeRecord, now: number): Absent {
    const { name } = record.metadata;
    const marked = isMarked(record);
    const last = this.#absent.get(key);
    if (last === undefined || last.name !== name) return { name, revision, marked, since: now, at: now };
    if (last.revision === revision) return last;
    const answered = last.marked && !marked;
    if (answered)
      this.parts.log(`node ${name} is not in the cluster, but its agent runs: it keeps id ${record.id}`);
    return { name, revision, marked, since: answered ? now : last.since, at: now };
  }

  async #write(entry: Entry, record: NodeRecord, marked: boolean): Promise<number | null> {
    const { [RELEASE_ANNOTATION]: _, ...others } = record.metadata.annotations;
    const annotations = marked ? { ...others, [RELEASE_ANNOTATION]: 'asked' } : others;
    const value = toJson({ ...record, metadata: { ...record.metadata, annotations } });
    return await this.#transact(entry, [{ type: 'put', key: entry.key, value }]);
  }

  /** The revision it was done at; null: the record has changed since it was read, and is looked at the next time. */
  async #transact({ key, revision }: Entry, operations: readonly Operation[]): Promise<number | null> {
    const { store, condition } = this.parts;
    const done = await store.transact([condition, { key, revision }], operations);
    if (done.ok) return done.revision;
    const leader = await store.get(condition.key);
    if (leader?.revision !== condition.revision) throw new LeadershipLostError('another ksr leads');
    return null;
  }
}

function isMarked({ metadata }: NodeRecord): boolean {
  return metadata.annotations[RELEASE_ANNOTATION] !== undefined;
}

/** null: an entry that cannot be read, which the agents tell. */
function recordOf({ key, value }: Entry): NodeRecord | null {
  try {
    const object = fromJson(value, key);
    return object.kind === 'NodeRecord' ? object : null;
  } catch {
    return null;
  }
}
