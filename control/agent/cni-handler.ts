/** The agent's answers to CNI commands: each call one event, each failure a code and a text. */

import { CNI } from '../cni/codes.js';
import { CniError } from '../cni/errors.js';
import { type CniReply, type CniRequest, type CniService, DONE, failureReply } from '../cni/messages.js';
import { errorText, PteropusError } from '../common/errors.js';
import { bitsOf, parseIp } from '../common/ip.js';
import { podInterfaceKey, podMtu } from '../compiler/interfaces.js';
import type { PodRef, Ruleset } from '../ruleset/types.js';
import { Batch } from './cni-batch.js';
import { missingItems } from './cni-check.js';
import { type PendingAdd, PendingAdds } from './cni-pending.js';
import { BARE_NAMESPACE, sandboxKey, sandboxOf } from './cni-sandbox.js';
import { sweepSandbox } from './cni-sweep.js';
import type { PodRecord } from './journal.js';
import type { LinkDriver } from './links.js';
import type { EventLoop, Transaction } from './loop.js';
import { type NodeState, podKey } from './node-state.js';
import type { Sandbox, Wiring } from './wiring.js';

export { BARE_NAMESPACE };

export interface CniParts {
  readonly state: NodeState;
  readonly links: LinkDriver;
  readonly wiring: Wiring;
  readonly loop: EventLoop;
  readonly ready: () => boolean;
  /** Who else claims what is this node's, so that no pod may get an address now; null = nobody. */
  readonly conflict: () => string | null;
  /** Why ADD could not be served; null = it could. */
  readonly problem: () => string | null;
  /** False: the pods that run may not reach each other either. */
  readonly serving: () => boolean;
  readonly inForce: () => Ruleset | null;
  /** Waits for the pod's object; false: only an earlier pod of that name is known. */
  readonly podKnown: (pod: PodRef, uid: string | null) => Promise<boolean>;
}

interface Add {
  readonly sandbox: Sandbox;
  readonly pending: PendingAdd;
}

type Delete = Pick<Sandbox, 'containerId' | 'ifname' | 'netns' | 'pod'>;

export class CniHandler implements CniService {
  readonly #pending = new PendingAdds();
  readonly #adds: Batch<Add, PodRecord>;
  readonly #deletes: Batch<Delete, true>;

  constructor(private readonly parts: CniParts) {
    const { loop, wiring } = parts;
    this.#adds = new Batch(loop, {
      name: 'CNI ADD',
      check: ({ pending }) => pending.check(),
      together: (tx, adds) =>
        wiring.addAll(
          tx,
          adds.map(({ sandbox }) => sandbox),
        ),
      alone: (tx, { sandbox }) => wiring.add(tx, sandbox),
    });
    this.#deletes = new Batch(loop, {
      name: 'CNI DEL',
      check: () => undefined,
      together: (tx, deletes) => this.#removeAll(tx, deletes),
      alone: async (tx, sandbox): Promise<true> => {
        const record = this.#recordOf(sandbox);
        if (record !== undefined) await wiring.remove(tx, record);
        // What an ADD left that neither ended nor could be undone.
        else await sweepSandbox(parts.links, sandbox);
        return true;
      },
    });
  }

  /** Wires a sandbox. The pod's policies are in force when it resolves. */
  add(request: CniRequest): Promise<CniReply> {
    return answer(async () => {
      const sandbox = sandboxOf(request);
      if (sandbox.netns === '') throw new CniError(CNI.invalidEnvironment, 'CNI_NETNS is missing');
      this.#checkReady();
      const conflict = this.parts.conflict();
      if (conflict !== null) throw new CniError(CNI.tryAgainLater, conflict);
      const pending = this.#pending.begin(sandboxKey(sandbox), sandbox.network);
      try {
        const { pod, uid } = sandbox;
        if (pod.namespace !== BARE_NAMESPACE && !(await this.parts.podKnown(pod, uid))) {
          throw new CniError(CNI.tryAgainLater, `only an earlier pod ${podKey(pod)} is known yet`);
        }
        const object = podKey(pod);
        const { loop, state, wiring } = this.parts;
        if (state.pod(pod) !== undefined) {
          const run = async (tx: Transaction): Promise<void> => {
            pending.check();
            this.#checkInterface(sandbox);
            await wiring.makeWay(tx, sandbox);
          };
          await loop.push({ name: 'CNI ADD make way', object, run });
        }
        return this.#reply(await this.#adds.push(object, { sandbox, pending }));
      } finally {
        pending.end();
      }
    });
  }

  /** Unwires a sandbox; one that is not known is fine. */
  delete(request: CniRequest): Promise<CniReply> {
    return answer(async () => {
      const { containerId, ifname, netns, pod } = sandboxOf(request);
      this.#checkReady();
      this.#pending.callOff(sandboxKey(request));
      await this.#deletes.push(podKey(pod), { containerId, ifname, netns, pod });
      return DONE;
    });
  }

  /** Says whether a sandbox is as ADD left it. */
  check(request: CniRequest): Promise<CniReply> {
    return answer(async () => {
      const { containerId, ifname, pod, netns } = sandboxOf(request);
      this.#checkReady();
      const { state, links, inForce } = this.parts;
      const record = state.sandbox(containerId, ifname, pod);
      if (record === undefined) throw new CniError(CNI.unknownContainer, 'no such sandbox is wired here');
      const problems = [...(await links.checkPod(state.linkSpec({ ...record, netns, ifname })))];
      const there = inForce();
      if (there?.has(podInterfaceKey(record.pod)) !== true) problems.push('the data plane does not have it');
      else problems.push(...missingItems(there, record, state.nodeAddresses));
      if (problems.length > 0) throw new CniError(CNI.differs, problems.join('; '));
      return this.#reply({ ...record, netns, ifname });
    });
  }

  status(_request: CniRequest): Promise<CniReply> {
    return answer(async () => {
      const problem = this.parts.problem();
      if (problem !== null) throw new CniError(this.parts.serving() ? CNI.unavailable : CNI.limited, problem);
      return DONE;
    });
  }

  /** Unwires what the runtime no longer knows of one network; all failures are told at the end. */
  gc({ conf: { name, validAttachments } }: CniRequest): Promise<CniReply> {
    return answer(async () => {
      this.#checkReady();
      if (validAttachments === null) return DONE;
      this.#pending.callOffOthers(name, validAttachments);
      const stale = this.parts.state.pods().filter((record) => {
        const { containerId, ifname, network } = record;
        return network === name && !validAttachments.has(`${containerId}/${ifname}`);
      });
      const failures: string[] = [];
      const remove = async ({ containerId, ifname, netns, pod }: PodRecord): Promise<void> => {
        const sandbox = { containerId: containerId ?? '', ifname, netns, pod };
        await this.#deletes
          .push(podKey(pod), sandbox)
          .catch((error: unknown) => failures.push(`${podKey(pod)}: ${errorText(error)}`));
      };
      await Promise.all(stale.map(remove));
      if (failures.length > 0) throw new CniError(CNI.failed, failures.join('; '));
      return DONE;
    });
  }

  #recordOf({ containerId, ifname, pod }: Delete): PodRecord | undefined {
    return this.parts.state.sandbox(containerId, ifname, pod);
  }

  /** null for those that nobody knows, and those that could not be removed. */
  async #removeAll(tx: Transaction, deletes: readonly Delete[]): Promise<readonly (true | null)[]> {
    const found = deletes.map((each) => this.#recordOf(each));
    const records = [...new Set(found.filter((record) => record !== undefined))];
    const gone = await this.parts.wiring.removeAll(tx, records);
    return found.map((record) =>
      record !== undefined && gone[records.indexOf(record)] === true ? true : null,
    );
  }

  /** A pod has one interface; a second one of the same sandbox is another network's business. */
  #checkInterface({ pod, containerId, ifname }: Sandbox): void {
    const other = this.parts.state.pod(pod);
    if (other?.containerId === containerId && other.ifname !== ifname) {
      throw new CniError(CNI.invalidConfig, `pod ${podKey(pod)} has its interface already: ${other.ifname}`);
    }
  }

  #checkReady(): void {
    if (!this.parts.ready()) throw new CniError(CNI.tryAgainLater, 'the agent is not ready yet');
  }

  #reply(record: PodRecord): CniReply {
    const { state } = this.parts;
    const mtu = podMtu(state.config);
    const gateways = state.gateways(record.addresses);
    const ipAddresses = record.addresses.map((address) => {
      const { family } = parseIp(address);
      const version = family === 4 ? ('IPV4' as const) : ('IPV6' as const);
      const gateway = gateways.find((own) => parseIp(own).family === family) ?? '';
      return { version, address: `${address}/${bitsOf(family)}`, gateway };
    });
    return {
      ...DONE,
      interfaces: [
        { name: record.ifname, mac: record.podMac, sandbox: record.netns, ipAddresses, mtu },
        // A TAP has no end on the node.
        ...(record.feed === 'tap'
          ? []
          : [{ name: record.link, mac: record.mac, sandbox: '', ipAddresses: [], mtu }]),
      ],
      routes: gateways.map((gw) => ({ dst: parseIp(gw).family === 4 ? '0.0.0.0/0' : '::/0', gw })),
    };
  }
}

/** What `work` says, or its failure as a code and a text. */
export async function answer(work: () => Promise<CniReply>): Promise<CniReply> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CniError) return failureReply(error.code, error.message);
    const retryable = error instanceof PteropusError && error.retryable;
    return failureReply(retryable ? CNI.tryAgainLater : CNI.failed, errorText(error));
  }
}
