/** Interfaces as ports, the policies that judge the pods behind them, and the header words that name special ports. */
import * as L from '../../../dataplane-as/layout/index.js';
import type { EndpointItem, InterfaceItem, Key, NodeItem } from '../../ruleset/types.js';
import { DanglingReferenceError } from '../errors.js';
import { type Ledger, TrackedMap } from '../ledger.js';
import { firstIp4, macBytes } from './bytes.js';
import { firstIp6, type Words6 } from './bytes6.js';
import type { CellStore } from './cells.js';
import { isLimited, limitWords } from './limits.js';
import { IndexPool } from './pools.js';

const ROLES = { pod: L.ROLE_POD, uplink: L.ROLE_UPLINK, host: L.ROLE_HOST } as const;

export class Ports {
  readonly #indexes: IndexPool;
  readonly #items: TrackedMap<Key, InterfaceItem>;
  /** Interface and ingress policy of each endpoint; endpoint of each interface. */
  readonly #judged: TrackedMap<Key, { readonly interface: Key; readonly ingress: number }>;
  readonly #endpointOf: TrackedMap<Key, Key>;

  constructor(
    ledger: Ledger,
    readonly cells: CellStore,
    /** Told of each port index that begins to mean something new. */
    readonly onFreshPort: (port: number) => void,
  ) {
    this.#items = new TrackedMap(ledger);
    this.#judged = new TrackedMap(ledger);
    this.#endpointOf = new TrackedMap(ledger);
    this.#indexes = new IndexPool(ledger, 'interfaces', 0, L.MAX_PORTS);
  }

  indexOf(key: Key): number | undefined {
    return this.#indexes.get(key);
  }

  itemOf(key: Key): InterfaceItem | undefined {
    return this.#items.get(key);
  }

  itemAt(port: number): InterfaceItem | undefined {
    const key = this.#indexes.nameOf(port);
    return key === undefined ? undefined : this.#items.get(key);
  }

  indexes(): IterableIterator<[number, Key]> {
    return this.#indexes.entries();
  }

  remove(key: Key): void {
    this.#items.delete(key);
    this.#indexes.release(key);
    this.cells.set(`port ${key}`, null);
    this.cells.set(`target ${key}`, null);
  }

  /** Takes the item and an index for it; the row is written by `write` when the routes are known. */
  put(item: InterfaceItem): void {
    if (!this.#items.has(item.key)) {
      const { index, fresh } = this.#indexes.acquire(item.key, item.key);
      if (fresh) this.onFreshPort(index);
    }
    this.#items.set(item.key, item);
  }

  /** Writes the port's row. `onLink` and `onLink6` are the prefix lengths of the link's own subnets. */
  write(key: Key, onLink: number, onLink6: number): void {
    const item = this.#items.get(key);
    const port = this.#indexes.get(key);
    if (item === undefined || port === undefined) return;
    const row = new Uint8Array(L.PORT_SIZE);
    const view = new DataView(row.buffer);
    row[L.PORT_ROLE] = ROLES[item.role];
    row[L.PORT_VRF] = item.role === 'pod' ? L.SPACE_POD : L.SPACE_MAIN;
    view.setUint32(L.PORT_MTU, item.mtu, true);
    row.set(macBytes(item.mac, key), L.PORT_MAC);
    if (item.peerMac !== null) row.set(macBytes(item.peerMac, key), L.PORT_PEER_MAC);
    const own = firstIp4(item.ownAddresses);
    view.setUint32(L.PORT_IP4, item.role === 'uplink' ? own : firstIp4(item.peerAddresses), true);
    view.setUint32(L.PORT_GATEWAY4, own, true);
    row[L.PORT_IP4_LENGTH] = onLink;
    const own6 = firstIp6(item.ownAddresses);
    const put6 = (at: number, words: Words6): void => {
      for (const [i, word] of words.entries()) view.setUint32(at + i * 4, word, true);
    };
    put6(L.PORT_IP6, item.role === 'uplink' ? own6 : firstIp6(item.peerAddresses));
    put6(L.PORT_GATEWAY6, own6);
    row[L.PORT_IP6_LENGTH] = onLink6;
    const words = new Uint32Array(row.buffer);
    const at = this.cells.plan.ports + port * L.PORT_SIZE;
    // The two words of the policies between them are the endpoint's.
    this.cells.set(`port ${key}`, {
      owner: key,
      rows: [
        { at, words: words.slice(0, L.PORT_INGRESS_POLICY / 4) },
        { at: at + L.PORT_IP4_LENGTH, words: words.slice(L.PORT_IP4_LENGTH / 4) },
        { at: this.cells.plan.limits + port * L.LIMIT_SIZE, words: limitWords(item) },
      ],
    });
    this.#writeTarget(item);
  }

  /** Writes which policy judges packets to a pod's address, by which many packets at once are judged. */
  #writeTarget(item: InterfaceItem): void {
    if (item.role !== 'pod') return;
    const address = firstIp4(item.peerAddresses);
    const value = this.#judged.get(this.#endpointOf.get(item.key) ?? '')?.ingress ?? 0;
    const b = (L.LPM_USED | (L.SPACE_TARGET << 8) | 32) >>> 0;
    const entries = address === 0 ? [] : [{ table: 'addresses', a: address, b, value } as const];
    this.cells.set(`target ${item.key}`, { owner: item.key, entries });
  }

  /** Writes which policies judge a pod; `policy` gives a policy's index. */
  putEndpoint(item: EndpointItem, policy: (key: Key) => number | undefined): void {
    const port = this.#indexes.get(item.interface);
    if (port === undefined) throw new DanglingReferenceError(item.key, 'interface', item.interface);
    const index = (field: 'ingress' | 'egress'): number => {
      const key = item[field];
      if (key === null) return 0;
      const found = policy(key);
      if (found === undefined) throw new DanglingReferenceError(item.key, field, key);
      return found;
    };
    const words = [index('ingress'), index('egress')];
    const at = this.cells.plan.ports + port * L.PORT_SIZE + L.PORT_INGRESS_POLICY;
    this.cells.set(`endpoint ${item.key}`, { owner: item.key, rows: [{ at, words }] });
    this.#judged.set(item.key, { interface: item.interface, ingress: words[0] ?? 0 });
    this.#endpointOf.set(item.interface, item.key);
    const behind = this.#items.get(item.interface);
    if (behind !== undefined) this.#writeTarget(behind);
  }

  removeEndpoint(key: Key): void {
    this.cells.set(`endpoint ${key}`, null);
    const judged = this.#judged.get(key);
    if (judged === undefined) return;
    this.#judged.delete(key);
    if (this.#endpointOf.get(judged.interface) !== key) return;
    this.#endpointOf.delete(judged.interface);
    const behind = this.#items.get(judged.interface);
    if (behind !== undefined) this.#writeTarget(behind);
  }

  /** Writes the header words that name the host's port, the uplink and the node's address. */
  writeSpecial(node: NodeItem | undefined): void {
    const port = (role: InterfaceItem['role']): number => {
      for (const item of this.#items.values()) {
        if (item.role === role) return this.#indexes.get(item.key) ?? L.PORT_NONE;
      }
      return L.PORT_NONE;
    };
    const words = [port('host'), port('uplink'), firstIp4(node?.addresses ?? [])];
    const rows = [
      { at: L.IMG_HOST_PORT, words },
      { at: L.IMG_NODE6, words: firstIp6(node?.addresses ?? []) },
      { at: L.IMG_LIMITED, words: [[...this.#items.values()].filter(isLimited).length] },
    ];
    this.cells.set('special', { owner: 'node', rows });
  }
}
