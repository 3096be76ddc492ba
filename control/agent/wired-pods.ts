/** Pods wired here against the links that are there: at a start, and in each audit. */
import { auditPods, restorePods } from './audit.js';
import type { Journal, JournalState, PodRecord } from './journal.js';
import type { LinkDriver } from './links.js';
import type { Transaction } from './loop.js';
import { type NodeState, podKey } from './node-state.js';
import { recoverLinks } from './recovery.js';
import type { Wiring } from './wiring.js';

export interface WiredPodsParts {
  readonly links: LinkDriver;
  readonly state: NodeState;
  readonly wiring: Wiring;
  readonly journal: Journal | null;
  readonly log: (line: string) => void;
}

export class WiredPods {
  constructor(private readonly parts: WiredPodsParts) {}

  /** Takes pods that were wired by an earlier agent into the state, but for those whose link is gone; the links of no pod. */
  async restore(records: readonly PodRecord[], journaled: JournalState | null): Promise<readonly string[]> {
    const { links, state, log } = this.parts;
    const { gone, strays } = await auditPods(links, state, records);
    for (const record of gone) this.#sayGone(record);
    const there = records.filter((record) => !gone.includes(record));
    restorePods(state, there, log);
    if (journaled !== null) state.addresses.restoreCursors(journaled.cursors);
    return strays;
  }

  /**
   * Takes pods found behind these links into the state: the data plane does not know them, and the journal that would have is lost, but
   * pods may run there. The links of those that were found.
   */
  async rediscover(strays: readonly string[]): Promise<readonly string[]> {
    const { links, state, log } = this.parts;
    const records = recoverLinks(await links.findPods(strays), state);
    for (const { pod, link } of records) log(`pod ${podKey(pod)} was found by its link ${link}`);
    restorePods(state, records, log);
    return records.map(({ link }) => link);
  }

  async removeStrays(strays: readonly string[]): Promise<void> {
    const { links, log } = this.parts;
    for (const link of strays) {
      log(`removing link ${link}: it belongs to no pod in the journal`);
      await links.detachPod(link);
    }
  }

  /** Frees what pods left that ended without a DEL, removes links nobody knows, and writes a journal that could not be written. */
  async audit(tx: Transaction): Promise<void> {
    const { links, state, wiring, journal } = this.parts;
    const { gone, strays } = await auditPods(links, state, state.pods());
    for (const record of gone) {
      this.#sayGone(record);
      await wiring.remove(tx, record);
    }
    await this.removeStrays(strays);
    if ((journal?.problem ?? null) !== null) await journal?.save(state.journal());
  }

  #sayGone({ pod, link }: PodRecord): void {
    this.parts.log(`pod ${podKey(pod)} is gone with its link ${link}`);
  }
}
