/**
 * Links through netlink: for each pod a veth pair, its end made straight in the pod's namespace, or a TAP there, and the node's own
 * (host-links.ts). The data plane's ends carry no address: AF_XDP takes all their packets. The kernel itself is made deaf on them.
 */
import type { Native, Netns } from '../../native/index.js';
import type { TapEnd } from '../ruleset/types.js';
import { SandboxError } from './errors.js';
import { findPodLinks } from './found-links.js';
import { HostLinks, type HostLinksOptions } from './host-links.js';
import { quiet, SOFTWARE_CHECKSUMS } from './kernel-settings.js';
import {
  detachEach,
  type FoundLink,
  type LinkDriver,
  type NodeLinkSpec,
  type NodeLinks,
  POD_LINK_PREFIX,
  type PodEnd,
  type PodLinkSpec,
  tapOf,
} from './links.js';
import { sameNamespace } from './netns.js';
import { configureEnd, differencesOf, makePair, makeTap, removeLink } from './pod-ends.js';
import { hasTap, removeTap } from './taps.js';

export interface NativeLinksOptions extends HostLinksOptions {
  /** Namespace of the node's host stack: `/proc/self/ns/net`, or a named one. */
  readonly netns: string;
}

/** Throws NativeError if the node's namespace cannot be opened. */
export function openNativeLinks(native: Native, options: NativeLinksOptions): LinkDriver {
  return new NativeLinks(native, options, native.openNetns(options.netns));
}

class NativeLinks implements LinkDriver {
  readonly #host: HostLinks;
  /** Of every link: one for each worker. */
  readonly #queues: number;
  readonly #vpp: boolean;

  constructor(
    private readonly native: Native,
    private readonly options: NativeLinksOptions,
    private readonly node: Netns,
  ) {
    this.#host = new HostLinks(node, options);
    this.#queues = options.workers ?? 1;
    this.#vpp = options.vpp !== undefined;
  }

  async setupNode(spec: NodeLinkSpec): Promise<NodeLinks> {
    return await this.#host.setup(spec);
  }

  async attachPod(spec: PodLinkSpec): Promise<void> {
    const pod = this.#openSandbox(spec.netns);
    try {
      if (spec.feed === 'tap') makeTap(this.native, spec, pod, this.#vpp || this.#queues > 1);
      else makePair(this.node, spec, pod, this.#queues);
      try {
        if (spec.feed !== 'tap') this.#readyPair(spec, pod);
        configureEnd(spec, pod);
      } catch (error) {
        await this.detachPod(spec.link, tapOf(spec));
        throw error;
      }
    } finally {
      pod.close();
    }
  }

  /** Silent before it is up, so that the kernel never says a word on it. */
  #readyPair({ link, ifname }: PodLinkSpec, pod: Netns): void {
    quiet(this.node, link, this.#vpp);
    this.node.setLink(link, { up: true });
    pod.setOffloads(ifname, SOFTWARE_CHECKSUMS);
  }

  async detachPod(link: string, tap?: TapEnd): Promise<void> {
    if (tap === undefined) removeLink(this.node, link);
    else removeTap(this.native, tap);
  }

  async detachPods(pods: readonly PodEnd[]): Promise<ReadonlyMap<string, Error>> {
    try {
      this.node.deleteLinks(pods.filter(({ tap }) => tap === undefined).map(({ link }) => link));
    } catch {
      // One by one, then, to see which it is.
    }
    return detachEach(this, pods);
  }

  async sweepPod({
    link,
    netns,
    ifname,
    podMac,
  }: Pick<PodLinkSpec, 'link' | 'netns' | 'ifname' | 'podMac'>): Promise<void> {
    await this.detachPod(link);
    if (netns === '') return;
    removeTap(this.native, { netns, ifname: link });
    removeTap(this.native, { netns, ifname }, podMac);
  }

  async podLinks(known: readonly PodLinkSpec[] = []): Promise<readonly string[]> {
    const veths = this.node
      .links()
      .filter(({ name, type }) => type === 'veth' && name.startsWith(POD_LINK_PREFIX) && name.length === 15)
      .map(({ name }) => name);
    const taps = known.filter((spec) => {
      const tap = tapOf(spec);
      return tap !== undefined && hasTap(this.native, tap);
    });
    return [...veths, ...taps.map(({ link }) => link)];
  }

  async findPods(links: readonly string[]): Promise<readonly FoundLink[]> {
    return findPodLinks(this.native, this.node, links);
  }

  async renewPod({ netns, ifname, link, feed, mtu }: PodLinkSpec): Promise<boolean> {
    if (feed !== 'tap') quiet(this.node, link, this.#vpp);
    const pod = this.#openSandbox(netns);
    try {
      const ends = [{ at: pod, name: ifname }, ...(feed === 'tap' ? [] : [{ at: this.node, name: link }])];
      const other = ends.filter((end) => end.at.links().some((l) => l.name === end.name && l.mtu !== mtu));
      for (const { at, name } of other) at.setLink(name, { mtu });
      return other.length > 0;
    } finally {
      pod.close();
    }
  }

  async checkPod(spec: PodLinkSpec): Promise<readonly string[]> {
    const problems: string[] = [];
    if (spec.feed !== 'tap') {
      const near = this.node.links().find(({ name }) => name === spec.link);
      if (near === undefined) return [`link ${spec.link} is gone`];
      if (!near.up) problems.push(`link ${spec.link} is down`);
    }
    let pod: Netns;
    try {
      pod = this.#openSandbox(spec.netns);
    } catch (error) {
      return [...problems, String(error)];
    }
    try {
      return [...problems, ...differencesOf(spec, pod)];
    } finally {
      pod.close();
    }
  }

  async close(): Promise<void> {
    this.node.close();
  }

  #openSandbox(path: string): Netns {
    try {
      if (sameNamespace(path, this.options.netns)) {
        throw new SandboxError('is the node’s own namespace, not a sandbox', { object: path });
      }
      return this.native.openNetns(path);
    } catch (cause) {
      if (cause instanceof SandboxError) throw cause;
      throw new SandboxError('the sandbox’s namespace cannot be opened', { object: path, cause });
    }
  }
}
