/** A node with two pods and another node's end of the wire, for both sides: links, addresses, and what happens to what arrives. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { loadNative, type Native, type Netns } from '../../native/index.js';
import {
  gateway,
  gatewayMac,
  podAddress,
  podLink,
  podMac,
  uplinkLink,
  uplinkMac,
} from '../../test/backends/items.js';
import { NODE, REMOTE_ADDRESSES, REMOTE_MAC } from './cases.js';

export const PODS = ['a', 'b'] as const;
export const POD_MTU = 1450;

/** Namespaces by role. */
export type Place = 'node' | 'client' | 'server' | 'remote';
const PLACES: readonly Place[] = ['node', 'client', 'server', 'remote'];

export class Wires {
  readonly native: Native = loadNative();
  readonly netns: Readonly<Record<Place, Netns>>;
  readonly #label: string;
  readonly #sinks = new Map<Place, { readonly watcher: ChildProcess; readonly link: string }>();

  /** @param taps pods' ends are TAPs, and nothing on the node leads to them */
  constructor(
    label: string,
    readonly taps = false,
  ) {
    this.#label = label;
    const made = PLACES.map((place) => [place, this.native.createNetns(this.name(place))] as const);
    this.netns = Object.fromEntries(made) as Record<Place, Netns>;
    const { node, client, server, remote } = this.netns;
    [client, server].forEach((pod, n) => {
      const [link, mac] = [podLink(NODE, PODS[n]!), podMac(NODE, n + 1)];
      if (taps) {
        pod.createTap('eth0');
        pod.setLink('eth0', { mac, mtu: POD_MTU });
      } else {
        const near = { name: link, mac: gatewayMac(NODE), mtu: POD_MTU };
        node.createVeth(near, { name: 'eth0', mac, mtu: POD_MTU, netns: pod });
        node.setLink(link, { up: true });
      }
      this.#plain(pod);
      pod.addAddress('eth0', `${podAddress(NODE, n + 1)}/32`);
      pod.addRoute({ destination: `${gateway(NODE)}/32`, link: 'eth0', scope: 'link' });
      pod.addRoute({ destination: 'default', link: 'eth0', gateway: gateway(NODE) });
    });
    const uplink = { name: uplinkLink(NODE), mac: uplinkMac(NODE) };
    node.createVeth(uplink, { name: 'eth0', mac: REMOTE_MAC, netns: remote });
    node.setLink(uplink.name, { up: true });
    this.#plain(remote);
    for (const address of REMOTE_ADDRESSES) remote.addAddress('eth0', `${address}/24`);
    for (const place of ['client', 'server', 'remote'] as const) this.#sink(place);
  }

  name(place: Place): string {
    return `pterF-${process.pid}-${this.#label}-${place}`;
  }

  path(place: Place): string {
    return this.netns[place].path;
  }

  /** Runs a program in a namespace; its standard output. */
  run(place: Place, ...argv: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name(place), ...argv], { encoding: 'utf8' });
  }

  /** Loads nftables rules. */
  nft(place: Place, rules: string): void {
    execFileSync('ip', ['netns', 'exec', this.name(place), 'nft', '-f', '-'], { input: rules });
  }

  /** Packets that came in at a pod's or the remote end, or at the node that is a sink; reading it costs the cores next to nothing. */
  received(place: Place): number {
    const { watcher, link } = this.#sinks.get(place)!;
    const text = readFileSync(`/proc/${watcher.pid}/net/dev`, 'utf8');
    // Interface: bytes packets ...
    return Number(new RegExp(`${link}: *\\d+ +(\\d+)`).exec(text)?.[1]);
  }

  /** The node is no more than a receiver of what the client sends. */
  sinkAtNode(): void {
    this.#sink('node', podLink(NODE, PODS[0]));
  }

  close(): void {
    for (const { watcher } of this.#sinks.values()) watcher.kill();
    for (const place of PLACES) this.netns[place].close();
    for (const place of PLACES) this.native.deleteNetns(this.name(place));
  }

  #plain(netns: Netns): void {
    netns.setSysctl('net/ipv6/conf/eth0/disable_ipv6', '1');
    netns.setLink('eth0', { up: true });
  }

  /** What a receiver costs is the same everywhere, and little: UDP is dropped as it comes in. */
  #sink(place: Place, link = 'eth0'): void {
    this.nft(
      place,
      `table netdev sink {
        chain in { type filter hook ingress device ${link} priority 0; ip protocol udp drop; }
      }`,
    );
    // A process in the namespace: its part of /proc has the link's statistics.
    const watcher = spawn('ip', ['netns', 'exec', this.name(place), 'sleep', 'infinity'], {
      stdio: 'ignore',
    });
    this.#sinks.set(place, { watcher, link });
  }
}

export interface Side {
  readonly name: string;
  /** Nothing passes: packets are counted as they reach the node, which says what sending them costs. */
  readonly sink?: boolean;
  readonly wires: Wires;
  close(): Promise<void>;
}
