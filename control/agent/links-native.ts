/**
 * Links through netlink: for each pod a veth pair, its end made straight in the pod's namespace, or a TAP there, and one pair (`ptero0`,
 * `ptero1`) between the data plane and the host's own stack. The data plane's ends carry no address: AF_XDP takes all
 * their packets. The kernel itself is made deaf on them.
 */
import { type Native, NativeError, type Netns } from '../../native/index.js';
import { PteropusError } from '../common/errors.js';
import { bitsOf, parseCidr, parseIp } from '../common/ip.js';
import { rangesOf } from '../compiler/input.js';
import { TUNNEL_OVERHEAD } from '../compiler/interfaces.js';
import { type FamilyPlan, plansOf } from '../ipam/arithmetic.js';
import type { Ip, Mac, TapEnd } from '../ruleset/types.js';
import { LinkExistsError, SandboxError } from './errors.js';
import { findPodLinks } from './found-links.js';
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
import { hasTap, removeTap, TAP_TYPE } from './taps.js';

/** The host stack's end of the interconnect, and the data plane's. */
export const HOST_LINK = 'ptero0';
export const HOST_PORT = 'ptero1';

/** The host's own default route, of another link, goes before the one through the data plane. */
const LAST_RESORT_METRIC = 4096;

export interface NativeLinksOptions {
  /** Namespace of the node's host stack: `/proc/self/ns/net`, or a named one. */
  readonly netns: string;
  /** The node's own link to the underlay. */
  readonly uplink: string;
  /** Workers of the data plane, each of which has a queue of every link (default 1). */
  readonly workers?: number;
  /** Absent: the data plane is not VPP. */
  readonly vpp?: VppLinks;
}

/** How VPP has its interfaces. */
export interface VppLinks {
  /** MAC of a NIC that VPP drives, and for which there is no Linux link; null: there is one. */
  readonly uplinkMac: (() => Promise<Mac>) | null;
  /** The host's stack is reached by a TAP (`ptero0`) and no pair of links. */
  readonly hostTap: boolean;
}

/** The node's uplink does not exist. */
export class UplinkError extends PteropusError {}

/** Throws NativeError if the node's namespace cannot be opened. */
export function openNativeLinks(native: Native, options: NativeLinksOptions): LinkDriver {
  return new NativeLinks(native, options, native.openNetns(options.netns));
}

class NativeLinks implements LinkDriver {
  constructor(
    private readonly native: Native,
    private readonly options: NativeLinksOptions,
    private readonly node: Netns,
  ) {}

  async setupNode(spec: NodeLinkSpec): Promise<NodeLinks> {
    const { plan, config, addresses } = spec;
    const { node } = this;
    const { uplink, vpp } = this.options;
    const uplinkMac = (await vpp?.uplinkMac?.()) ?? this.#uplink(uplink, config.underlayMtu);
    const { hostMac: mac, hostLinuxMac: peerMac } = plan;
    const { underlayMtu: mtu } = config;
    if (vpp?.hostTap === true) this.#hostTap(peerMac, mtu);
    else this.#interconnect(mac, peerMac, mtu);
    this.#hostLink(peerMac, mtu, plan.ipv6 !== null);
    for (const address of addresses) node.addAddress(HOST_LINK, single(address));
    for (const [i, family] of plansOf(plan).entries()) this.#routeHost(spec, family, i, mac);
    this.#forgetAddresses(spec);
    const link = vpp?.hostTap === true ? HOST_LINK : HOST_PORT;
    return { uplink: { link: uplink, mac: uplinkMac }, host: { link, mac, peerMac } };
  }

  /** Brings the uplink up; its MAC. */
  #uplink(uplink: string, mtu: number): Mac {
    const { node } = this;
    const found = node.links().find(({ name }) => name === uplink);
    if (found === undefined) throw new UplinkError('no such link', { object: uplink });
    this.#quiet(uplink);
    node.setLink(uplink, { mtu, up: true });
    return found.mac;
  }

  /** What the node had before it got another id or address may be another node's now. */
  #forgetAddresses({ plan, addresses }: NodeLinkSpec): void {
    const { node } = this;
    const own = new Set(addresses.map(single));
    for (const { hostSubnet, hostLinuxAddress } of plansOf(plan))
      own.add(`${hostLinuxAddress}/${parseCidr(hostSubnet).length}`);
    for (const address of node.addresses(HOST_LINK))
      if (!own.has(address) && !address.startsWith('fe80:')) node.removeAddress(HOST_LINK, address);
  }

  /** The host's own way into the cluster, and out of it, in one family. */
  #routeHost({ config, addresses }: NodeLinkSpec, family: FamilyPlan, index: number, mac: Mac): void {
    const { node } = this;
    const subnet = parseCidr(family.hostSubnet);
    node.addAddress(HOST_LINK, `${family.hostLinuxAddress}/${subnet.length}`);
    node.addNeighbor(HOST_LINK, family.hostDataplaneAddress, mac);
    const source = addresses.find((address) => parseIp(address).family === subnet.family);
    const via = {
      link: HOST_LINK,
      gateway: family.hostDataplaneAddress,
      ...(source === undefined ? {} : { source }),
    };
    const ranges = rangesOf(config)[index] ?? config;
    // What may go through a tunnel has to fit into it.
    const mtu = config.underlayMtu - TUNNEL_OVERHEAD;
    for (const destination of [ranges.podSubnetCIDR, ranges.hostSubnetCIDR, ranges.serviceCIDR]) {
      node.addRoute({ ...via, destination, mtu });
    }
    node.addRoute({ ...via, destination: 'default', metric: LAST_RESORT_METRIC });
  }

  async attachPod(spec: PodLinkSpec): Promise<void> {
    const pod = this.#openSandbox(spec.netns);
    try {
      if (spec.feed === 'tap') this.#makeTap(spec, pod);
      else await this.#makePair(spec, pod);
      try {
        this.#configure(spec, pod);
      } catch (error) {
        await this.detachPod(spec.link, tapOf(spec));
        throw error;
      }
    } finally {
      pod.close();
    }
  }

  async detachPod(link: string, tap?: TapEnd): Promise<void> {
    if (tap !== undefined) {
      removeTap(this.native, tap);
      return;
    }
    try {
      this.node.deleteLink(link);
    } catch (error) {
      if (!(error instanceof NativeError) || error.code !== 'ENODEV') throw error;
    }
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
    if (feed !== 'tap') this.#quiet(link);
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
      const far = pod.links().find(({ name }) => name === spec.ifname);
      if (far === undefined) return [...problems, `${spec.ifname} is gone from the sandbox`];
      if (spec.feed === 'tap' && far.type !== TAP_TYPE) problems.push(`${spec.ifname} is not a TAP`);
      if (!far.up) problems.push(`${spec.ifname} is down`);
      if (far.mac !== spec.podMac) problems.push(`${spec.ifname} has MAC ${far.mac}, not ${spec.podMac}`);
      if (far.mtu !== spec.mtu) problems.push(`${spec.ifname} has MTU ${far.mtu}, not ${spec.mtu}`);
      const there = pod.addresses(spec.ifname);
      for (const address of spec.addresses) {
        if (!there.includes(single(address))) problems.push(`${spec.ifname} has lost its address ${address}`);
      }
    } finally {
      pod.close();
    }
    return problems;
  }

  async close(): Promise<void> {
    this.node.close();
  }

  get #queues(): number {
    return this.options.workers ?? 1;
  }

  /** The pair that is there is kept, since the data plane may have its end open; not one that it cannot open, of fewer queues. */
  #interconnect(mac: string, peerMac: string, mtu: number): void {
    const { node } = this;
    const links = node.links();
    const host = links.find(({ name }) => name === HOST_LINK);
    const port = links.find(({ name }) => name === HOST_PORT);
    const paired = host !== undefined && port !== undefined && host.peerIndex === port.index;
    if (!paired || port.rxQueues < this.#queues) {
      if (host !== undefined) node.deleteLink(HOST_LINK);
      if (port !== undefined && host?.peerIndex !== port.index) node.deleteLink(HOST_PORT);
      node.createVeth(
        { name: HOST_LINK, mac: peerMac, mtu, queues: this.#queues },
        { name: HOST_PORT, mac, mtu, queues: this.#queues },
      );
    }
    this.#quiet(HOST_PORT);
    node.setOffloads(HOST_LINK, SOFTWARE_CHECKSUMS);
    node.setLink(HOST_PORT, { mac, mtu, up: true });
  }

  /** The one that is there is kept, as above. */
  #hostTap(mac: string, mtu: number): void {
    const { node } = this;
    const there = node.links().find(({ name }) => name === HOST_LINK);
    if (there?.type === TAP_TYPE) return;
    if (there !== undefined) node.deleteLink(HOST_LINK);
    node.createTap(HOST_LINK, { multiQueue: true });
    node.setLink(HOST_LINK, { mac, mtu });
  }

  /** The host's own end. */
  #hostLink(mac: string, mtu: number, dual: boolean): void {
    const { node } = this;
    // Switched off and on again it would lose its addresses, which connections may be using.
    if (dual) speakIpv6(node, HOST_LINK);
    else disableIpv6(node, HOST_LINK);
    trustSources(node, HOST_LINK);
    node.setLink(HOST_LINK, { mac, mtu, up: true });
  }

  /** The kernel says, believes and answers nothing on a link that the data plane serves. */
  #quiet(link: string): void {
    disableIpv6(this.node, link);
    trustSources(this.node, link);
    this.#deafen(link);
    if (this.options.vpp === undefined) return;
    // What the driver joined would be longer than the frames VPP has room for.
    this.node.setOffloads(link, { gro: false });
  }

  /**
   * VPP reads by packet sockets, which leave packets to the kernel as well. Of our own data plane nothing is left, but only while it runs:
   * while it starts again, pods would reach the host and what it forwards to, past all policies, and the kernel would reset connections
   * it knows nothing of. There it is a second bolt, and a kernel without tc's BPF classifier does without.
   */
  #deafen(link: string): void {
    try {
      this.node.deafen(link);
    } catch (error) {
      const missing = error instanceof NativeError && ['ENOENT', 'EOPNOTSUPP'].includes(error.code);
      if (!missing || this.options.vpp !== undefined) throw error;
    }
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

  /**
   * The data plane attaches to it when its interface is in force. It is made under the name that no other sandbox gives, so that what a
   * crash leaves half made can be told from other plugins' links.
   */
  #makeTap({ netns, link, ifname, podMac, mtu }: PodLinkSpec, pod: Netns): void {
    removeTap(this.native, { netns, ifname: link });
    if (pod.links().some(({ name }) => name === ifname)) {
      throw new LinkExistsError('is in the sandbox already', { object: ifname });
    }
    pod.createTap(link, { multiQueue: this.options.vpp !== undefined || this.#queues > 1 });
    try {
      pod.setLink(link, { mac: podMac, mtu });
      pod.setLink(link, { newName: ifname });
    } catch (error) {
      removeTap(this.native, { netns, ifname: link });
      throw error;
    }
  }

  async #makePair({ link, ifname, mac, podMac, mtu }: PodLinkSpec, pod: Netns): Promise<void> {
    const taken = (): boolean => pod.links().some(({ name }) => name === ifname);
    const make = (): void =>
      this.node.createVeth(
        { name: link, mac, mtu, queues: this.#queues },
        { name: ifname, mac: podMac, mtu, queues: this.#queues, netns: pod },
      );
    // A leftover of an ADD that a crash cut short: its name belongs to this sandbox alone.
    if (taken()) await this.detachPod(link);
    if (taken()) throw new LinkExistsError('is in the sandbox already', { object: ifname });
    try {
      make();
    } catch (error) {
      if (!(error instanceof NativeError) || error.code !== 'EEXIST') throw error;
      await this.detachPod(link);
      make();
    }
  }

  /** The pod's address has no subnet; everything else is behind the gateway, whose MAC it knows. */
  #configure(spec: PodLinkSpec, pod: Netns): void {
    const { link, ifname, addresses, gateways, mac } = spec;
    if (spec.feed !== 'tap') {
      this.#quiet(link);
      this.node.setLink(link, { up: true });
      pod.setOffloads(ifname, SOFTWARE_CHECKSUMS);
    }
    noRouterAdvertisements(pod, ifname);
    if (addresses.some((address) => parseIp(address).family === 6)) {
      speakIpv6(pod, 'lo');
      speakIpv6(pod, ifname);
    }
    pod.setLink('lo', { up: true });
    for (const address of addresses) pod.addAddress(ifname, single(address));
    pod.setLink(ifname, { up: true });
    for (const gateway of gateways) {
      pod.addNeighbor(ifname, gateway, mac);
      pod.addRoute({ destination: single(gateway), link: ifname, scope: 'link' });
      pod.addRoute({ destination: 'default', link: ifname, gateway });
    }
  }
}

/**
 * Packets reach an AF_XDP socket as the sender's stack leaves them: with offloads on, checksums would be missing and TCP
 * segments larger than any frame. Receive offloads do no harm.
 */
const SOFTWARE_CHECKSUMS = { txChecksum: false, tso: false } as const;

function single(address: Ip): string {
  return `${address}/${bitsOf(parseIp(address).family)}`;
}

function disableIpv6(netns: Netns, link: string): void {
  trySysctl(netns, `net/ipv6/conf/${link}/disable_ipv6`, '1');
}

/** The data plane's check of source addresses stands in; the kernel takes the larger of the two settings. */
function trustSources(netns: Netns, link: string): void {
  netns.setSysctl(`net/ipv4/conf/${link}/rp_filter`, '0');
  netns.setSysctl('net/ipv4/conf/all/rp_filter', '0');
}

/** Runtimes make sandboxes with IPv6 switched off. Throws NativeError (ENOENT) where the kernel has none. */
function speakIpv6(netns: Netns, link: string): void {
  netns.setSysctl(`net/ipv6/conf/${link}/disable_ipv6`, '0');
  noRouterAdvertisements(netns, link);
}

/** A neighbor must not become the pod's router (CVE-2020-10749). */
function noRouterAdvertisements(netns: Netns, link: string): void {
  trySysctl(netns, `net/ipv6/conf/${link}/accept_ra`, '0');
}

/** A kernel without IPv6 has no such setting. */
function trySysctl(netns: Netns, name: string, value: string): void {
  try {
    netns.setSysctl(name, value);
  } catch (error) {
    if (!(error instanceof NativeError) || error.code !== 'ENOENT') throw error;
  }
}
