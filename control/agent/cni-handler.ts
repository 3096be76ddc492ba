/** The agent's answers to the CNI program (rows CNI-03..10): each call one event, each failure a code and a text. */

import { CNI } from '../cni/codes.js';
import { type CniReply, type CniRequest, failureReply } from '../cni/messages.js';
import { isContainerId, isInterfaceName, parseArguments } from '../cni/names.js';
import { errorText, PteropusError } from '../common/errors.js';
import { bitsOf, parseIp } from '../common/ip.js';
import { podInterfaceKey, podMtu } from '../compiler/interfaces.js';
import type { PodRef, Ruleset } from '../ruleset/types.js';
import type { PodRecord } from './journal.js';
import type { LinkDriver } from './links.js';
import type { EventLoop, Transaction } from './loop.js';
import { type NodeState, podKey } from './node-state.js';
import type { Sandbox, Wiring } from './wiring.js';

/** Namespace of sandboxes that no Kubernetes pod owns; the dot keeps it apart from every namespace of Kubernetes. */
export const BARE_NAMESPACE = 'cni.sandbox';

const VALID_ATTACHMENTS = 'cni.dev/valid-attachments';
const EMPTY: CniReply = { result: 0, error: '', interfaces: [], routes: [], dns: [] };

export interface CniParts {
  readonly state: NodeState;
  readonly links: LinkDriver;
  readonly wiring: Wiring;
  readonly loop: EventLoop;
  readonly ready: () => boolean;
  /** Why ADD could not be served; null = it could. */
  readonly problem: () => string | null;
  readonly inForce: () => Ruleset | null;
  /** Waits for the pod's object; false: only an earlier pod of that name is known. */
  readonly podKnown: (pod: PodRef, uid: string | null) => Promise<boolean>;
}

/** A request that cannot be served, with its CNI code. */
class RequestError extends PteropusError {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export class CniHandler {
  constructor(private readonly parts: CniParts) {}

  /** Wires a sandbox. Never throws: a failure is in the reply. The pod's policies are in force when it resolves. */
  add(request: CniRequest): Promise<CniReply> {
    return answer(async () => {
      const sandbox = this.#sandbox(request);
      if (sandbox.netns === '') throw new RequestError(CNI.invalidEnvironment, 'CNI_NETNS is missing');
      this.#checkReady();
      const { pod, uid } = sandbox;
      if (pod.namespace !== BARE_NAMESPACE && !(await this.parts.podKnown(pod, uid))) {
        throw new RequestError(CNI.tryAgainLater, `only an earlier pod ${podKey(pod)} is known yet`);
      }
      const object = podKey(pod);
      const { loop, state, wiring } = this.parts;
      if (state.pod(pod) !== undefined) {
        const run = (tx: Transaction): Promise<void> => {
          this.#checkInterface(sandbox);
          return wiring.makeWay(tx, sandbox);
        };
        await loop.push({ name: 'CNI ADD make way', object, run });
      }
      const record = await loop.push({ name: 'CNI ADD', object, run: (tx) => wiring.add(tx, sandbox) });
      return this.#reply(record);
    });
  }

  /** Unwires a sandbox; one that is not known is fine. */
  delete(request: CniRequest): Promise<CniReply> {
    return answer(async () => {
      const { containerId, ifname, pod } = this.#sandbox(request);
      this.#checkReady();
      await this.parts.loop.push({
        name: 'CNI DEL',
        object: podKey(pod),
        run: async (tx) => {
          const record = this.parts.state.sandbox(containerId, ifname, pod);
          if (record !== undefined) await this.parts.wiring.remove(tx, record);
        },
      });
      return EMPTY;
    });
  }

  /** Says whether a sandbox is as ADD left it. */
  check(request: CniRequest): Promise<CniReply> {
    return answer(async () => {
      const { containerId, ifname, pod, netns } = this.#sandbox(request);
      this.#checkReady();
      const { state, links, inForce } = this.parts;
      const record = state.sandbox(containerId, ifname, pod);
      if (record === undefined) throw new RequestError(CNI.unknownContainer, 'no such sandbox is wired here');
      const problems = [...(await links.checkPod(state.linkSpec({ ...record, netns, ifname })))];
      if (inForce()?.has(podInterfaceKey(record.pod)) !== true)
        problems.push('the data plane does not have it');
      if (problems.length > 0) throw new RequestError(CNI.differs, problems.join('; '));
      return this.#reply({ ...record, netns, ifname });
    });
  }

  /** Whether ADD would be served now. */
  status(_request: CniRequest): Promise<CniReply> {
    return answer(async () => {
      const problem = this.parts.problem();
      if (problem !== null) throw new RequestError(CNI.unavailable, problem);
      return EMPTY;
    });
  }

  /** Unwires what the runtime no longer knows of one network; all failures are told at the end. */
  gc(request: CniRequest): Promise<CniReply> {
    return answer(async () => {
      const { name, validAttachments } = networkOf(request.extraNwConfig);
      if (validAttachments === null)
        throw new RequestError(CNI.invalidConfig, `${VALID_ATTACHMENTS} is missing`);
      this.#checkReady();
      const stale = this.parts.state.pods().filter((record) => {
        const { containerId, ifname, network } = record;
        return network === name && !validAttachments.has(`${containerId}/${ifname}`);
      });
      const failures: string[] = [];
      for (const { containerId, ifname, pod } of stale) {
        const run = this.parts.loop.push({
          name: 'CNI GC',
          object: podKey(pod),
          run: async (tx) => {
            const record = this.parts.state.sandbox(containerId ?? '', ifname, null);
            if (record !== undefined) await this.parts.wiring.remove(tx, record);
          },
        });
        await run.catch((error: unknown) => failures.push(`${podKey(pod)}: ${errorText(error)}`));
      }
      if (failures.length > 0) throw new RequestError(CNI.failed, failures.join('; '));
      return EMPTY;
    });
  }

  #sandbox(request: CniRequest): Sandbox {
    const { containerId, networkNamespace, interfaceName, extraArguments, ipamType } = request;
    if (!isContainerId(containerId)) throw invalid('container id', containerId);
    if (!isInterfaceName(interfaceName)) throw invalid('interface name', interfaceName);
    if (ipamType !== '')
      throw new RequestError(CNI.invalidConfig, `ipam.type ${ipamType}: addresses come from us only`);
    const args = parseArguments(extraArguments);
    if (args === null) throw invalid('CNI_ARGS', extraArguments);
    const name = args.get('K8S_POD_NAME') ?? '';
    const namespace = args.get('K8S_POD_NAMESPACE') ?? '';
    if ((name === '') !== (namespace === '')) {
      throw new RequestError(
        CNI.invalidEnvironment,
        'CNI_ARGS needs both K8S_POD_NAMESPACE and K8S_POD_NAME, or neither',
      );
    }
    const pod = name === '' ? { namespace: BARE_NAMESPACE, name: containerId } : { namespace, name };
    const uid = args.get('K8S_POD_UID') ?? '';
    const { name: network } = networkOf(request.extraNwConfig);
    return {
      pod,
      uid: uid === '' ? null : uid,
      containerId,
      network,
      netns: networkNamespace,
      ifname: interfaceName,
    };
  }

  /** A pod has one interface; a second one of the same sandbox is another network's business. */
  #checkInterface({ pod, containerId, ifname }: Sandbox): void {
    const other = this.parts.state.pod(pod);
    if (other?.containerId === containerId && other.ifname !== ifname) {
      throw new RequestError(
        CNI.invalidConfig,
        `pod ${podKey(pod)} has its interface already: ${other.ifname}`,
      );
    }
  }

  #checkReady(): void {
    if (!this.parts.ready()) throw new RequestError(CNI.tryAgainLater, 'the agent is not ready yet');
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
      result: 0,
      error: '',
      interfaces: [
        { name: record.ifname, mac: record.podMac, sandbox: record.netns, ipAddresses, mtu },
        // A TAP has no end on the node.
        ...(record.feed === 'tap'
          ? []
          : [{ name: record.link, mac: record.mac, sandbox: '', ipAddresses: [], mtu }]),
      ],
      routes: gateways.map((gw) => ({ dst: parseIp(gw).family === 4 ? '0.0.0.0/0' : '::/0', gw })),
      dns: [],
    };
  }
}

/** What is read of the network configuration: its name, and GC's list as `CONTAINERID/IFNAME`. */
function networkOf(text: string): {
  readonly name: string;
  readonly validAttachments: ReadonlySet<string> | null;
} {
  let value: unknown = null;
  try {
    value = text === '' ? null : JSON.parse(text);
  } catch {
    throw new RequestError(CNI.decodingFailure, 'the network configuration is not JSON');
  }
  const { name, [VALID_ATTACHMENTS]: list } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const valid = Array.isArray(list) ? (list as readonly unknown[]) : null;
  const keys = valid?.map((entry) => {
    const { containerID, ifname } = (entry ?? {}) as Readonly<Record<string, unknown>>;
    return `${String(containerID)}/${String(ifname)}`;
  });
  return {
    name: typeof name === 'string' ? name : '',
    validAttachments: keys === undefined ? null : new Set(keys),
  };
}

function invalid(what: string, value: string): RequestError {
  return new RequestError(CNI.invalidEnvironment, `not a valid ${what}: ${JSON.stringify(value)}`);
}

async function answer(work: () => Promise<CniReply>): Promise<CniReply> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RequestError) return failureReply(error.code, error.message);
    const retryable = error instanceof PteropusError && error.retryable;
    return failureReply(retryable ? CNI.tryAgainLater : CNI.failed, errorText(error));
  }
}
