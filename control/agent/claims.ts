/** What a node says is its own: its id and addresses, the cluster's ranges, its name. Written into the store, and watched. */
import type { ClusterConfig } from '../compiler/input.js';
import { RELEASE_ANNOTATION } from '../objects/stored-keys.js';
import type { NodeRecord, ObjectEvent } from '../objects/types.js';
import type { Store } from '../store/store.js';
import { agreeOnRanges } from './cluster-ranges.js';
import { NodeIdConflictError } from './errors.js';
import { Every } from './every.js';
import { claimNodeId } from './node-id.js';
import { instanceName, QUIET_MS, TwinWatch } from './twin.js';

export interface ClaimsParts {
  readonly store: Store;
  readonly config: ClusterConfig;
  readonly record: NodeRecord;
  /** What carries the node's packets; absent: our own data plane. */
  readonly dataplane?: 'vpp' | undefined;
  /** Writes the node's status: a twin reads it. */
  readonly publish: () => void;
  readonly log: (line: string) => void;
}

export class Claims {
  /** What this process calls itself. */
  readonly instance = instanceName();
  readonly #node: string;
  readonly #twin: TwinWatch;
  readonly #heartbeat: Every;
  #refused: string | null = null;

  constructor(private readonly parts: ClaimsParts) {
    const { store, record, publish, log } = parts;
    this.#node = record.metadata.name;
    this.#twin = new TwinWatch(store, this.#node, this.instance, (what) => {
      if (what === 'found') log(this.conflict ?? '');
      if (what === 'gone') log('no other agent runs as this node any more');
      publish();
    });
    // A twin has to hear of us again and again, or it would take us for gone.
    this.#heartbeat = new Every(QUIET_MS / 3, async () => {
      if (this.#twin.other !== null) publish();
    });
  }

  /** Who else claims our id or addresses, or runs as this node; null = nobody. */
  get conflict(): string | null {
    if (this.#refused !== null) return this.#refused;
    const { other } = this.#twin;
    return other === null ? null : `another agent runs as node ${this.#node}: ${other}`;
  }

  /** Puts our record and the cluster's ranges into the store where they are missing. Throws NodeIdConflictError. */
  async claim(): Promise<void> {
    const { store, config, record, dataplane } = this.parts;
    try {
      await agreeOnRanges(store, this.#node, config);
      await claimNodeId(store, {
        node: this.#node,
        journaled: record.id,
        largest: record.id,
        addresses: () => record.addresses,
        ...(dataplane === undefined ? {} : { dataplane }),
      });
      this.#refused = null;
    } catch (error) {
      if (error instanceof NodeIdConflictError) this.#refused = error.message;
      throw error;
    }
    await this.#twin.follow();
  }

  /** Whether our record is gone or asked about, or another node takes our id or an address of ours: then `claim` has to be called. */
  contested(events: readonly ObjectEvent[], nodeIdsGone: readonly number[]): boolean {
    const { record } = this.parts;
    if (nodeIdsGone.includes(record.id)) return true;
    return events.some((event) => {
      if (event.type === 'delete' || event.object.kind !== 'NodeRecord') return false;
      const { id, addresses, metadata } = event.object;
      // Asked whether we live: claiming anew is the answer.
      if (metadata.name === this.#node) return metadata.annotations[RELEASE_ANNOTATION] !== undefined;
      return id === record.id || addresses.some((address) => record.addresses.includes(address));
    });
  }

  close(): void {
    this.#heartbeat.close();
    this.#twin.close();
  }
}
