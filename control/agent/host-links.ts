/**
 * The node's own links: the uplink, and a pair (`ptero0`, `ptero1`), or with VPP a TAP, between the host's own stack and the data plane,
 * with the host's addresses and routes on its end.
 */
import type { Netns } from '../../native/index.js';
import { PteropusError } from '../common/errors.js';
import { parseCidr, parseIp } from '../common/ip.js';
import { rangesOf } from '../compiler/input.js';
import { TUNNEL_OVERHEAD } from '../compiler/interfaces.js';
import { type FamilyPlan, plansOf } from '../ipam/arithmetic.js';
import type { Mac } from '../ruleset/types.js';
import {
  disableIpv6,
  quiet,
  SOFTWARE_CHECKSUMS,
  single,
  speakIpv6,
  trustSources,
  VLAN_TAGS_STAY,
} from './kernel-settings.js';
import type { NodeLinkSpec, NodeLinks } from './links.js';
import { TAP_TYPE } from './taps.js';

/** The host stack's end of the interconnect, and the data plane's. */
export const HOST_LINK = 'ptero0';
export const HOST_PORT = 'ptero1';

/** A route that the host has by another link, default or to the underlay's network, goes before the one through the data plane. */
const LAST_RESORT_METRIC = 4096;

/** How VPP has its interfaces. */
export interface VppLinks {
  /** MAC of a NIC that VPP drives, and for which there is no Linux link; null: there is one. */
  readonly uplinkMac: (() => Promise<Mac>) | null;
  /** The host's stack is reached by a TAP (`ptero0`) and no pair of links. */
  readonly hostTap: boolean;
}

export interface HostLinksOptions {
  /** The node's own link to the underlay. */
  readonly uplink: string;
  /** Workers of the data plane, each of which has a queue of every link (default 1). */
  readonly workers?: number;
  /** Absent: the data plane is not VPP. */
  readonly vpp?: VppLinks;
}

/** The node's uplink does not exist. */
export class UplinkError extends PteropusError {}

export class HostLinks {
  constructor(
    private readonly node: Netns,
    private readonly options: HostLinksOptions,
  ) {}

  /** Makes what is missing and keeps what is there. Throws UplinkError, NativeError. */
  async setup(spec: NodeLinkSpec): Promise<NodeLinks> {
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
    quiet(node, uplink, this.options.vpp !== undefined);
    if (this.options.vpp === undefined) node.setOffloads(uplink, VLAN_TAGS_STAY);
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
    // Other nodes at their underlay addresses, NodePorts there above all.
    const underlay = ranges.nodeInterconnectCIDR;
    for (const destination of [...(underlay === null ? [] : [underlay]), 'default'])
      node.addRoute({ ...via, destination, metric: LAST_RESORT_METRIC });
  }

  /** The pair that is there is kept, since the data plane may have its end open; not one that it cannot open, of fewer queues. */
  #interconnect(mac: string, peerMac: string, mtu: number): void {
    const { node } = this;
    const { workers: queues = 1 } = this.options;
    const links = node.links();
    const host = links.find(({ name }) => name === HOST_LINK);
    const port = links.find(({ name }) => name === HOST_PORT);
    const paired = host !== undefined && port !== undefined && host.peerIndex === port.index;
    if (!paired || port.rxQueues < queues) {
      if (host !== undefined) node.deleteLink(HOST_LINK);
      if (port !== undefined && host?.peerIndex !== port.index) node.deleteLink(HOST_PORT);
      node.createVeth({ name: HOST_LINK, mac: peerMac, mtu, queues }, { name: HOST_PORT, mac, mtu, queues });
    }
    quiet(node, HOST_PORT, this.options.vpp !== undefined);
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
}
