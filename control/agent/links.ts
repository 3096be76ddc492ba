/**
 * What the agent needs of the machine: links between the data plane and pods, and between it and the host's own stack.
 * Implementations: links-native.ts (veth pairs through netlink) and the simulator's in-memory one.
 */
import { createHash } from 'node:crypto';
import type { ClusterConfig } from '../compiler/input.js';
import type { NodePlan } from '../ipam/arithmetic.js';
import type { Ip, Mac, TapEnd } from '../ruleset/types.js';
import type { PodFeed } from './pod-feed.js';

export interface NodeLinkSpec {
  readonly node: string;
  readonly plan: NodePlan;
  readonly config: ClusterConfig;
  /** Underlay addresses of this node, shared by the data plane and the host's stack. */
  readonly addresses: readonly Ip[];
}

/** The node's own links as the compiler is told of them (NodeLocal). */
export interface NodeLinks {
  readonly uplink: { readonly link: string; readonly mac: Mac };
  readonly host: { readonly link: string; readonly mac: Mac; readonly peerMac: Mac } | null;
}

export interface PodLinkSpec {
  /** Path of the sandbox's network namespace (or whatever names it, in memory). */
  readonly netns: string;
  /** Name of the link inside the sandbox. */
  readonly ifname: string;
  /** Name of the link on the node's side; of a TAP, which has no such side, no more than a name. */
  readonly link: string;
  /** Absent: afxdp. A driver without TAPs makes its usual link. */
  readonly feed?: PodFeed;
  /** MAC of the data plane on this link, and of the pod. */
  readonly mac: Mac;
  readonly podMac: Mac;
  readonly addresses: readonly Ip[];
  /** The pod's default gateways, one of each family: the data plane, at `mac`. */
  readonly gateways: readonly Ip[];
  /** Largest IP packet, bytes. */
  readonly mtu: number;
}

/** A pod's link as it is on the machine. */
export interface FoundLink {
  readonly link: string;
  readonly netns: string;
  readonly ifname: string;
  readonly mac: Mac;
  readonly podMac: Mac;
  /** All of the pod's end, its own link-local one too. */
  readonly addresses: readonly Ip[];
}

/** A pod's link as `detachPod` is told of it. */
export interface PodEnd {
  readonly link: string;
  readonly tap: TapEnd | undefined;
}

export interface LinkDriver {
  /** Brings the uplink up and makes the interconnect with the host's stack; what is there already is kept or mended. */
  setupNode(spec: NodeLinkSpec): Promise<NodeLinks>;
  /** Makes both ends and configures the pod's. On failure nothing of it stays. Throws LinkExistsError, SandboxError. */
  attachPod(spec: PodLinkSpec): Promise<void>;
  /** Removes the link; absent is fine, and so is a sandbox that is gone. `tap`: it is this TAP. */
  detachPod(link: string, tap?: TapEnd): Promise<void>;
  /** The same for several at once; which of them could not be removed, and why. */
  detachPods(pods: readonly PodEnd[]): Promise<ReadonlyMap<string, Error>>;
  /**
   * Removes what an ADD that was cut short left of a sandbox: the link on the node, or the TAP of this MAC in the sandbox. Absent
   * is fine, and so is a sandbox that is gone or not told ('').
   */
  sweepPod(spec: Pick<PodLinkSpec, 'link' | 'netns' | 'ifname' | 'podMac'>): Promise<void>;
  /** Names of all pod links that are really there: on the node, and TAPs of those in `known`. */
  podLinks(known?: readonly PodLinkSpec[]): Promise<readonly string[]>;
  /** What is at the other end of these pod links of the node, of those where that can be found. Links may come up twice. */
  findPods(links: readonly string[]): Promise<readonly FoundLink[]>;
  /**
   * Makes a link that an earlier release or configuration made what it would be today: MTU at both ends, deaf to the kernel. True: the
   * MTU was another one. Throws SandboxError, NativeError.
   */
  renewPod(spec: PodLinkSpec): Promise<boolean>;
  /** What differs from the specification, in words; [] = all as it was made. */
  checkPod(spec: PodLinkSpec): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** `detachPods` for a driver that gains nothing by doing several at once. */
export async function detachEach(
  driver: Pick<LinkDriver, 'detachPod'>,
  pods: readonly PodEnd[],
): Promise<ReadonlyMap<string, Error>> {
  const failed = new Map<string, Error>();
  for (const { link, tap } of pods) {
    try {
      await driver.detachPod(link, tap);
    } catch (error) {
      failed.set(link, error instanceof Error ? error : new Error(String(error)));
    }
  }
  return failed;
}

/** Where a pod's TAP is; undefined: it has none. */
export function tapOf({
  feed,
  netns,
  ifname,
}: Pick<PodLinkSpec, 'feed' | 'netns' | 'ifname'>): TapEnd | undefined {
  return feed === 'tap' ? { netns, ifname } : undefined;
}

/** Start of every pod link's name on the node's side. */
export const POD_LINK_PREFIX = 'pt';

/**
 * The node-side name of a pod's link: `pt` and 13 hex digits (52 bits) of a hash, so that it fits the kernel's 15
 * characters and no two sandboxes meet as cut-off names would.
 */
export function podLinkName(containerId: string, ifname: string): string {
  const hash = createHash('sha256').update(`${containerId}/${ifname}`, 'utf8').digest('hex');
  return POD_LINK_PREFIX + hash.slice(0, 13);
}
