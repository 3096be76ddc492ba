/** Wires and unwires pods: each step with its undoing, and the reply only after the pod's policies are in force. */
import { hostPortKeys } from '../compiler/host-ports.js';
import type { HostPort } from '../compiler/input.js';
import { podInterfaceKey } from '../compiler/interfaces.js';
import { podMacs } from '../ipam/arithmetic.js';
import { canonical } from '../ruleset/canonical.js';
import type { Ip, Key, PodRef, RateLimits } from '../ruleset/types.js';
import { checkHostPorts } from './cni-ports.js';
import type { Applied, Dataplane } from './dataplane.js';
import { JournalWriteError, PodBusyError } from './errors.js';
import type { Journal, PodRecord } from './journal.js';
import { type LinkDriver, podLinkName, tapOf } from './links.js';
import type { Transaction } from './loop.js';
import { changeMarks } from './marks.js';
import { type NodeState, podKey } from './node-state.js';
import { feedOf, type PodFeed } from './pod-feed.js';

/** One sandbox, as ADD names it. */
export interface Sandbox {
  readonly pod: PodRef;
  readonly uid: string | null;
  readonly containerId: string;
  /** Name of the network configuration. */
  readonly network: string;
  readonly netns: string;
  readonly ifname: string;
  /** Absent: none. */
  readonly hostPorts?: readonly HostPort[];
  /** Absent: no limit. */
  readonly limits?: RateLimits;
}

export interface WiringParts {
  readonly state: NodeState;
  readonly links: LinkDriver;
  readonly dataplane: Dataplane;
  /** Feed of pods that do not choose theirs. */
  readonly podFeed: PodFeed;
  /** null: nothing outlives the process (a simulation in memory). */
  readonly journal: Journal | null;
  /** The data plane is behind what the agent knows; it has to be brought up to it. */
  readonly behind: (reason: string) => void;
  /** The journal still has a pod that is gone. */
  readonly unkept: (reason: string) => void;
}

type Undo = () => Promise<void> | void;

export class Wiring {
  constructor(private readonly parts: WiringParts) {}

  /**
   * Makes way for the sandbox: another one of the same pod, or what is left of this very one, is removed.
   * A step of its own, so that an ADD that fails afterwards does not bring a dead sandbox back.
   */
  async makeWay(tx: Transaction, sandbox: Sandbox): Promise<void> {
    const { state, links } = this.parts;
    const old = state.pod(sandbox.pod);
    if (old === undefined) return;
    if (isSame(old, sandbox) && (await links.checkPod(state.linkSpec(old))).length === 0) return;
    await this.remove(tx, old);
  }

  /**
   * Wires the sandbox. Asked again for the same one, answers the same. Throws PodBusyError, PoolExhaustedError,
   * LinkExistsError, SandboxError, InvalidInputError (its annotation), ApplyError, DataplaneUnavailableError, JournalWriteError; then nothing of it stays.
   */
  async add(tx: Transaction, sandbox: Sandbox): Promise<PodRecord> {
    const { state } = this.parts;
    const old = state.pod(sandbox.pod);
    if (old !== undefined) {
      if (!isSame(old, sandbox)) {
        throw new PodBusyError('another sandbox of it was wired meanwhile', {
          object: `pod ${podKey(sandbox.pod)}`,
          value: old.containerId,
          retryable: true,
        });
      }
      await this.#enforce(tx, [old]);
      return old;
    }
    const record = await this.#make(sandbox, (undo) => tx.onRevert(undo));
    await this.#enforce(tx, [record]);
    await this.#keep();
    return record;
  }

  /**
   * Wires several sandboxes by one change of the data plane and one entry of the journal. null for each that has to be added by itself,
   * which then says why. Throws what `add` throws of the data plane and the journal; then nothing of any stays.
   */
  async addAll(tx: Transaction, sandboxes: readonly Sandbox[]): Promise<readonly (PodRecord | null)[]> {
    const records: (PodRecord | null)[] = [];
    for (const sandbox of sandboxes) records.push(await this.#tryMake(tx, sandbox));
    const made = records.filter((record) => record !== null);
    if (made.length > 0) {
      await this.#enforce(tx, made);
      await this.#keep();
    }
    return records;
  }

  async #tryMake(tx: Transaction, sandbox: Sandbox): Promise<PodRecord | null> {
    if (this.parts.state.pod(sandbox.pod) !== undefined) return null;
    const undos: Undo[] = [];
    try {
      const record = await this.#make(sandbox, (undo) => undos.push(undo));
      for (const undo of undos) tx.onRevert(undo);
      return record;
    } catch {
      for (const undo of undos.reverse()) await undo();
      return null;
    }
  }

  /** Address and link; from here on the ruleset has it. */
  async #make(sandbox: Sandbox, onRevert: (undo: Undo) => void): Promise<PodRecord> {
    const { state, links } = this.parts;
    checkHostPorts(sandbox, state.pods(), state.nodeAddresses);
    const { namespace, name } = sandbox.pod;
    const feed = feedOf(state.model.get('Pod', namespace, name), this.parts.podFeed);
    const owner = podKey(sandbox.pod);
    const addresses = state.addresses.allocate(owner);
    onRevert(() => {
      state.addresses.release(owner);
    });
    const macs = podMacs(sandbox.containerId, sandbox.ifname);
    const record: PodRecord = {
      ...sandbox,
      link: podLinkName(sandbox.containerId, sandbox.ifname),
      feed,
      mac: macs.dataplane,
      podMac: macs.pod,
      addresses,
    };
    await links.attachPod(state.linkSpec(record));
    onRevert(() => links.detachPod(record.link, tapOf(record)));
    state.attach(record);
    onRevert(async () => {
      state.detach(record);
      // Before the link goes, the data plane lets go of it; one that is away is refilled without it anyway.
      await this.#apply().catch((error: unknown) => this.parts.behind(String(error)));
    });
    return record;
  }

  /** Unwires the sandbox and frees its addresses. */
  async remove(tx: Transaction, record: PodRecord): Promise<void> {
    await this.#unwire(tx, record);
    await this.#forget();
    this.parts.state.addresses.release(podKey(record.pod));
  }

  /** Unwires several by one change of the data plane. False for each that has to be removed by itself, which then says why. */
  async removeAll(tx: Transaction, records: readonly PodRecord[]): Promise<readonly boolean[]> {
    const { state, links } = this.parts;
    for (const record of records) {
      state.detach(record);
      tx.onRevert(() => state.attach(record));
    }
    await this.#settle(tx);
    const failed = await links.detachPods(
      records.map((record) => ({ link: record.link, tap: tapOf(record) })),
    );
    const kept = records.filter(({ link }) => failed.has(link));
    for (const record of kept) state.attach(record);
    if (kept.length > 0) await this.#settle(tx);
    await this.#forget();
    const gone = records.filter(({ link }) => !failed.has(link));
    for (const { pod } of gone) state.addresses.release(podKey(pod));
    return records.map(({ link }) => !failed.has(link));
  }

  /** Out of the data plane, then the link. A data plane that is away or refuses does not hold it up. */
  async #unwire(tx: Transaction, record: PodRecord): Promise<void> {
    const { state, links } = this.parts;
    state.detach(record);
    tx.onRevert(() => state.attach(record));
    await this.#settle(tx);
    await links.detachPod(record.link, tapOf(record));
  }

  /** As the state has it, as far as the data plane takes it; the rest is made up for later. */
  async #settle(tx: Transaction): Promise<void> {
    try {
      const { changes } = await this.#apply();
      tx.changed(changeMarks(changes));
    } catch (error) {
      this.parts.behind(String(error));
    }
  }

  /** Everything of the pods is in force, or this throws. */
  async #enforce(tx: Transaction, records: readonly PodRecord[]): Promise<void> {
    const addresses = this.parts.state.nodeAddresses;
    const must = new Set(records.flatMap((record) => keysOf(record, addresses)));
    const { changes, refused } = await this.#apply(must);
    tx.changed(changeMarks(changes));
    if (refused.size > 0) this.parts.behind('the data plane refused a part');
  }

  #apply(must?: ReadonlySet<Key>): Promise<Applied> {
    const { ruleset, changes } = this.parts.state.wanted();
    return this.parts.dataplane.apply(ruleset, must, changes);
  }

  /**
   * A full disk does not hold a DEL up, since evicted pods are what makes room on it. Should the agent die before the journal can be
   * written, its audit finds that the pod's link is gone; until then no ADD is answered that could give the address away.
   */
  async #forget(): Promise<void> {
    try {
      await this.#keep();
    } catch (error) {
      if (!(error instanceof JournalWriteError)) throw error;
      this.parts.unkept(error.message);
    }
  }

  #keep(): Promise<void> {
    return this.parts.journal?.save(this.parts.state.journal()) ?? Promise.resolve();
  }
}

function isSame(record: PodRecord, sandbox: Sandbox): boolean {
  return (
    record.containerId === sandbox.containerId &&
    record.netns === sandbox.netns &&
    record.ifname === sandbox.ifname &&
    canonical([record.hostPorts, record.limits]) === canonical([sandbox.hostPorts, sandbox.limits])
  );
}

/** What has to be in force before the pod may start: its interface, its policies, and the ways to it. */
function keysOf(record: PodRecord, nodeAddresses: readonly Ip[]): readonly Key[] {
  const { pod, addresses } = record;
  const routes = addresses.flatMap((ip) => {
    const prefix = `${ip}/${ip.includes(':') ? 128 : 32}`;
    return [`route/main/${prefix}`, `route/pod/${prefix}`];
  });
  const ports = hostPortKeys(record, nodeAddresses);
  return [podInterfaceKey(pod), `endpoint/${pod.namespace}/${pod.name}`, ...routes, ...ports];
}
