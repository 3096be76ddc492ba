/** Routes, and the adjacencies they lead to: interfaces, tunnels, drop and reject. */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Key, Mac, RouteItem, RouteTarget, TunnelItem } from '../../ruleset/types.js';
import { DanglingReferenceError } from '../errors.js';
import { type Ledger, TrackedMap } from '../ledger.js';
import { contains4, ip4Host, ip4Word, mask4 } from './bytes.js';
import {
  ip6Words,
  isPrefix6,
  NO_ADDRESS6,
  type Prefix,
  parsePrefix,
  prefixName,
  type Words6,
  widen,
} from './bytes6.js';
import type { CellStore } from './cells.js';
import { encapTemplate } from './encap.js';
import type { LongestPrefix } from './lpm.js';
import { IndexPool } from './pools.js';
import type { Ports } from './ports.js';

/** A next hop whose MAC address must be learned, by ARP or neighbor discovery, before the first packet goes there. */
export interface Neighbor {
  readonly port: number;
  /** Table word, or the four of an IPv6 address. */
  readonly address: number | Words6;
}

interface Placed {
  readonly item: RouteItem;
  readonly prefix: Prefix;
  readonly adjacency: string;
}

interface Tunnel {
  readonly item: TunnelItem;
  /** Outer destination, host order; null = IPv6. */
  readonly remote: number | null;
}

export class Routes {
  readonly #routes: TrackedMap<Key, Placed>;
  readonly #tunnels: TrackedMap<Key, Tunnel>;
  /** Tunnel -> the interface its packets leave by; null = there is no way to the peer. */
  readonly #leaveBy: TrackedMap<Key, Key | null>;
  readonly #adjacencies: IndexPool;
  /** Name of an adjacency -> what it is. */
  readonly #targets: TrackedMap<string, RouteTarget>;
  /** The main table by prefix, for finding the way to tunnels' peers: host * 64 + length; IPv6: its name. */
  readonly #main: TrackedMap<number | string, Placed>;
  #neighbors: readonly Neighbor[] | null = null;
  #dirtyTunnels = new Set<Key>();
  #dirtyPorts = new Set<Key>();

  constructor(
    ledger: Ledger,
    readonly cells: CellStore,
    readonly lpm: LongestPrefix,
    readonly ports: Ports,
  ) {
    this.#routes = new TrackedMap(ledger);
    this.#tunnels = new TrackedMap(ledger);
    this.#leaveBy = new TrackedMap(ledger);
    this.#adjacencies = new IndexPool(ledger, 'adjacencies', 1, cells.plan.size.adjacencies);
    this.#targets = new TrackedMap(ledger);
    this.#main = new TrackedMap(ledger);
  }

  targetAt(adjacency: number): RouteTarget | undefined {
    const name = this.#adjacencies.nameOf(adjacency);
    return name === undefined ? undefined : this.#targets.get(name);
  }

  removeRoute(key: Key): void {
    const placed = this.#routes.get(key);
    if (placed === undefined) return;
    this.#routes.delete(key);
    if (placed.item.vrf === 'main') this.#main.delete(mainKeyOf(placed.prefix));
    this.lpm.delete(`route ${key}`, spaceOf(placed.item), placed.prefix);
    this.#release(placed.adjacency);
    this.#routeChanged(placed);
  }

  putRoute(item: RouteItem): void {
    const prefix = parsePrefix(item.prefix);
    const old = this.#routes.get(item.key);
    const placed: Placed = { item, prefix, adjacency: nameOf(item.target) };
    const index = this.#acquire(item.target, item.key);
    if (old !== undefined) this.#release(old.adjacency);
    this.#routes.set(item.key, placed);
    if (item.vrf === 'main') this.#main.set(mainKeyOf(prefix), placed);
    this.lpm.set(`route ${item.key}`, item.key, spaceOf(item), prefix, index);
    this.#routeChanged(placed);
  }

  removeTunnel(key: Key): void {
    if (!this.#tunnels.has(key)) return;
    this.#tunnels.delete(key);
    this.#leaveBy.delete(key);
    this.#release(`tunnel ${key}`);
    this.#dirtyTunnels.add(key);
  }

  putTunnel(item: TunnelItem): void {
    if (!this.#tunnels.has(item.key)) this.#acquire({ type: 'tunnel', tunnel: item.key }, item.key);
    this.#tunnels.set(item.key, { item, remote: ip4Host(item.remote) });
    this.#dirtyTunnels.add(item.key);
  }

  /** An interface changed, came or went: what leads over it is written again. */
  interfaceChanged(key: Key): void {
    this.#dirtyPorts.add(key);
  }

  /** Forgets what was noted since the last `settle` (the transaction was rolled back). */
  discard(): void {
    this.#dirtyTunnels = new Set();
    this.#dirtyPorts = new Set();
    this.#neighbors = null;
  }

  /** Writes the rows of ports and adjacencies that the changes since the last call touch. Throws for dangling references. */
  settle(): void {
    for (const key of this.#dirtyPorts)
      this.ports.write(key, this.#onLinkLength(key), this.#onLinkLength6(key));
    if (this.#dirtyPorts.size > 0) this.#rewriteOver(this.#dirtyPorts);
    for (const key of this.#dirtyTunnels) this.#writeTunnel(key);
    if (this.#dirtyPorts.size > 0 || this.#dirtyTunnels.size > 0) this.discard();
  }

  /** Next hops to be resolved before packets need them: those of tunnels, and gateways on links without a known station. */
  neighbors(): readonly Neighbor[] {
    this.#neighbors ??= this.#findNeighbors();
    return this.#neighbors;
  }

  #findNeighbors(): Neighbor[] {
    const found = new Map<string, Neighbor>();
    const add = (port: number | undefined, address: number | Words6 | null): void => {
      if (port !== undefined && address !== null) found.set(`${port} ${address}`, { port, address });
    };
    for (const target of this.#targets.values()) {
      if (target.type === 'tunnel') {
        const way = this.#wayTo(this.#tunnels.get(target.tunnel));
        if (way !== null) add(way.port, ip4Word(way.nextHop));
      } else if (target.type === 'interface' && target.nextHop !== null) {
        const item = this.ports.itemOf(target.interface);
        const address = ip4Word(target.nextHop) ?? ip6Words(target.nextHop);
        if (item?.peerMac === null) add(this.ports.indexOf(item.key), address);
      }
    }
    return [...found.values()];
  }

  /** The units of a route, for reading it back. */
  unitsOfRoute(key: Key): string[] {
    const placed = this.#routes.get(key);
    if (placed === undefined) return [];
    const found = this.lpm.unitsOf(spaceOf(placed.item), placed.prefix);
    return [`route ${key}`, ...found, `adjacency ${placed.adjacency}`];
  }

  unitsOfTunnel(key: Key): string[] {
    return this.#tunnels.has(key) ? [`adjacency tunnel ${key}`] : [];
  }

  #routeChanged({ item, prefix }: Placed): void {
    if (item.vrf !== 'main') return;
    for (const [key, { remote }] of isPrefix6(prefix) ? [] : this.#tunnels) {
      if (this.#dirtyTunnels.has(key)) continue;
      if (remote !== null && !isPrefix6(prefix) && contains4(prefix, remote)) this.#dirtyTunnels.add(key);
    }
    if (item.target.type === 'interface' && item.target.nextHop === null) {
      this.#dirtyPorts.add(item.target.interface);
    }
  }

  #acquire(target: RouteTarget, owner: Key): number {
    const name = nameOf(target);
    const { index, fresh } = this.#adjacencies.acquire(name, owner);
    if (fresh) {
      this.#neighbors = null;
      this.#targets.set(name, target);
      if (target.type === 'tunnel') this.#dirtyTunnels.add(target.tunnel);
      else this.#writePlain(name, target, owner);
    }
    return index;
  }

  #release(name: string): void {
    if (!this.#adjacencies.release(name)) return;
    this.#neighbors = null;
    this.#targets.delete(name);
    this.cells.set(`adjacency ${name}`, null);
  }

  #rewriteOver(interfaces: ReadonlySet<Key>): void {
    for (const [name, target] of this.#targets) {
      if (target.type === 'tunnel') {
        const over = this.#leaveBy.get(target.tunnel);
        if (typeof over !== 'string' || interfaces.has(over)) this.#dirtyTunnels.add(target.tunnel);
      } else if (target.type === 'interface' && interfaces.has(target.interface)) {
        this.#writePlain(name, target, this.cells.get(`adjacency ${name}`)?.owner ?? target.interface);
      }
    }
  }

  #writePlain(name: string, target: RouteTarget, owner: Key): void {
    const row = new Uint8Array(L.ADJ_SIZE);
    const view = new DataView(row.buffer);
    if (target.type === 'interface') {
      const item = this.ports.itemOf(target.interface);
      const port = this.ports.indexOf(target.interface);
      if (item === undefined || port === undefined) {
        throw new DanglingReferenceError(owner, 'target.interface', target.interface);
      }
      row[L.ADJ_TYPE] = L.ADJ_TYPE_PORT;
      view.setUint32(L.ADJ_PORT, port, true);
      view.setUint32(L.ADJ_MTU, item.mtu, true);
      const { nextHop } = target;
      view.setUint32(L.ADJ_NEXT_HOP4, nextHop === null ? 0 : (ip4Word(nextHop) ?? 0), true);
      const six = nextHop === null ? NO_ADDRESS6 : (ip6Words(nextHop) ?? NO_ADDRESS6);
      for (const [i, word] of six.entries()) view.setUint32(L.ADJ_NEXT_HOP6 + i * 4, word, true);
    } else {
      row[L.ADJ_TYPE] = target.type === 'reject' ? L.ADJ_TYPE_REJECT : L.ADJ_TYPE_DROP;
    }
    this.#writeRow(name, owner, row);
  }

  #writeTunnel(key: Key): void {
    const name = `tunnel ${key}`;
    if (!this.#targets.has(name)) return;
    const tunnel = this.#tunnels.get(key);
    if (tunnel === undefined) {
      const route = [...this.#routes.values()].find(({ adjacency }) => adjacency === name);
      throw new DanglingReferenceError(route?.item.key ?? key, 'target.tunnel', key);
    }
    const row = new Uint8Array(L.ADJ_SIZE);
    const view = new DataView(row.buffer);
    const way = this.#wayTo(tunnel);
    this.#leaveBy.set(key, way?.interface ?? null);
    // Without a way to the peer its packets are dropped; they are counted as such.
    row[L.ADJ_TYPE] = way === null ? L.ADJ_TYPE_DROP : L.ADJ_TYPE_TUNNEL;
    if (way !== null) {
      view.setUint32(L.ADJ_PORT, way.port, true);
      view.setUint32(L.ADJ_MTU, tunnel.item.mtu, true);
      view.setUint32(L.ADJ_NEXT_HOP4, ip4Word(way.nextHop) ?? 0, true);
      row[L.ADJ_HIDES_CLIENTS] = tunnel.item.hidesClients === true ? 1 : 0;
      encapTemplate(row, view, tunnel.item, way.mac);
    }
    this.#writeRow(name, key, row);
  }

  #writeRow(name: string, owner: Key, row: Uint8Array): void {
    const index = this.#adjacencies.get(name);
    if (index === undefined) return;
    const at = this.cells.plan.adjacencies + index * L.ADJ_SIZE;
    this.cells.set(`adjacency ${name}`, { owner, rows: [{ at, words: new Uint32Array(row.buffer) }] });
  }

  /** How the outer packet leaves for a tunnel's peer: the longest route of the main table, if it leads out of an interface. */
  #wayTo(
    tunnel: Tunnel | undefined,
  ): { readonly interface: Key; readonly port: number; readonly mac: Mac; readonly nextHop: string } | null {
    const host = tunnel?.remote ?? null;
    if (tunnel === undefined || host === null) return null;
    let best: Placed | undefined;
    for (let length = 32; length >= 0 && best === undefined; length--) {
      best = this.#main.get(mainKey(host, length));
    }
    const target = best?.item.target;
    if (target?.type !== 'interface') return null;
    const port = this.ports.indexOf(target.interface);
    const item = this.ports.itemOf(target.interface);
    if (port === undefined || item === undefined) return null;
    return { interface: item.key, port, mac: item.mac, nextHop: target.nextHop ?? tunnel.item.remote };
  }

  /** Prefix length of the subnet on an interface's own link, by its route; 32 when there is none. */
  #onLinkLength(key: Key): number {
    const own = this.ports.itemOf(key)?.ownAddresses ?? [];
    for (const address of own) {
      const host = ip4Host(address);
      if (host === null) continue;
      for (let length = 31; length >= 1; length--) {
        const target = this.#main.get(mainKey(host, length))?.item.target;
        if (target?.type === 'interface' && target.interface === key && target.nextHop === null)
          return length;
      }
    }
    return 32;
  }

  /** Same for its IPv6 subnet; 128 when there is none. */
  #onLinkLength6(key: Key): number {
    const own = this.ports.itemOf(key)?.ownAddresses.find((address) => address.includes(':'));
    if (own === undefined) return 128;
    const address = parsePrefix(own);
    for (let length = 127; length >= 1; length--) {
      const target = this.#main.get(prefixName(widen(address, length)))?.item.target;
      if (target?.type === 'interface' && target.interface === key && target.nextHop === null) return length;
    }
    return 128;
  }
}

function mainKeyOf(prefix: Prefix): number | string {
  return isPrefix6(prefix) ? prefixName(prefix) : mainKey(prefix.host, prefix.length);
}

function mainKey(host: number, length: number): number {
  return ((host & mask4(length)) >>> 0) * 64 + length;
}

function spaceOf(item: RouteItem): number {
  return item.vrf === 'pod' ? L.SPACE_POD : L.SPACE_MAIN;
}

function nameOf(target: RouteTarget): string {
  if (target.type === 'interface') return `interface ${target.interface} ${target.nextHop ?? ''}`;
  return target.type === 'tunnel' ? `tunnel ${target.tunnel}` : target.type;
}
