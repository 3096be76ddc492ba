/**
 * Writes a data-plane image by hand, as small as a test needs it. Independent of the real image writer: both follow dataplane-as/layout,
 * so that a mistake of one shows against the other.
 */
import * as L from '../../dataplane-as/layout/index.js';
import { ip, ip6, mac, mask, swap16 } from './words.js';

export interface PortSpec {
  readonly role: 'pod' | 'uplink' | 'host';
  readonly mac: string;
  readonly peerMac?: string;
  readonly ip?: string;
  readonly gateway?: string;
  readonly mtu?: number;
  readonly ingress?: number;
  readonly egress?: number;
  readonly onLink?: number;
  readonly ip6?: string;
  readonly gateway6?: string;
  readonly onLink6?: number;
  /** Bytes a second, bytes at once; of what the pod receives, and of what it sends. */
  readonly toPod?: readonly [number, number];
  readonly fromPod?: readonly [number, number];
}

export type AdjacencySpec =
  | { readonly type: 'port'; readonly port: number; readonly nextHop?: string; readonly mtu?: number }
  | { readonly type: 'drop' }
  | { readonly type: 'reject' }
  | {
      readonly type: 'tunnel';
      readonly port: number;
      readonly local: string;
      readonly remote: string;
      readonly outerMac: string;
      readonly localMac: string;
      readonly remoteMac: string;
      readonly localBvi: string;
      readonly remoteBvi: string;
      readonly localBvi6?: string;
      readonly vni?: number;
      readonly mtu?: number;
      readonly nextHop?: string;
    };

/** Ports end included; protocol number. */
export interface IntervalSpec {
  readonly protocol: number;
  readonly from: number;
  readonly to: number;
  readonly allow: boolean;
  readonly rule: number;
}

export interface PortSetSpec {
  readonly intervals: readonly IntervalSpec[];
  readonly allow: boolean;
  readonly rule: number;
}

export interface ServiceSpec {
  readonly frontends: readonly { readonly ip: string; readonly port: number; readonly protocol: number }[];
  readonly backends: readonly { readonly ip: string; readonly port: number; readonly id: number }[];
  readonly affinity?: number;
  readonly ranges?: readonly string[];
}

export interface ImageSpec {
  /** IMG_TUNNELS; absent: as the generation, so the index of tunnels is made anew with each image. */
  readonly tunnels?: number;
  readonly generation: number;
  readonly ports: readonly (PortSpec | null)[];
  /** Index 1 is the first. */
  readonly adjacencies: readonly AdjacencySpec[];
  /** Space -> prefix -> value. */
  readonly prefixes: readonly { readonly space: number; readonly prefix: string; readonly value: number }[];
  readonly portSets?: readonly PortSetSpec[];
  /** Index 1 is the first; each with the port set for identities without a pair. */
  readonly policies?: readonly number[];
  readonly pairs?: readonly {
    readonly policy: number;
    readonly identity: number;
    readonly portSet: number;
  }[];
  /** Index 1 is the first. */
  readonly services?: readonly ServiceSpec[];
  readonly snat?: { readonly ip: string; readonly first: number; readonly last: number };
  readonly hairpin?: string;
  readonly snat6?: string;
  readonly hairpin6?: string;
  readonly node6?: string;
  readonly node?: string;
  /** log2 of the slots of each hash table. */
  readonly tableLog2?: number;
}

/** Same as the comment at HASH_A in dataplane-as/layout says. */
function hash(a: number, b: number): number {
  return (Math.imul(a, L.HASH_A) ^ Math.imul((b + L.HASH_B) | 0, L.HASH_C)) >>> 0;
}

/** The second of them. */
function mixed(a: number, b: number): number {
  let h = Math.imul(a, L.HASH_A) ^ Math.imul((b + L.HASH_B) | 0, L.HASH_C);
  h ^= h >>> 15;
  h = Math.imul(h, L.HASH_D);
  return (h ^ (h >>> 13)) >>> 0;
}

/** IPv6 addresses of frontends, each once. */
function frontends6(services: readonly ServiceSpec[]): readonly string[] {
  const all = services.flatMap(({ frontends }) => frontends.map((frontend) => frontend.ip));
  return [...new Set(all.filter((address) => address.includes(':')))];
}

function hostMask(length: number): number {
  return length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
}

function verdict({ allow, rule }: { readonly allow: boolean; readonly rule: number }): number {
  return ((allow ? L.VERDICT_ALLOW : 0) | rule) >>> 0;
}

/** log2 of the slots of each hash table, unless the image says otherwise. */
const TABLE_LOG2 = 10;

export class ImageWriter {
  readonly #view: DataView;
  #tableLog2 = TABLE_LOG2;
  readonly #bytes: Uint8Array;
  readonly #base: number;
  readonly #end: number;
  #at: number;

  constructor(memory: WebAssembly.Memory, base: number, size: number) {
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#base = base;
    this.#end = base + size;
    this.#at = base + L.IMG_HEADER_SIZE;
  }

  write(spec: ImageSpec): void {
    this.#bytes.fill(0, this.#base, this.#end);
    this.#at = this.#base + L.IMG_HEADER_SIZE;
    this.#tableLog2 = spec.tableLog2 ?? TABLE_LOG2;
    this.#header(L.IMG_GENERATION, spec.generation);
    this.#header(L.IMG_TUNNELS, spec.tunnels ?? spec.generation);
    this.#ports(spec.ports);
    this.#limits(spec.ports);
    this.#adjacencies(spec.adjacencies);
    this.#prefixes(spec.prefixes.filter(({ prefix }) => !prefix.includes(':')));
    this.#prefixes6(spec);
    this.#policies(spec);
    this.#services(spec.services ?? []);
    const { snat } = spec;
    this.#header(L.IMG_SNAT4, snat === undefined ? 0 : ip(snat.ip));
    this.#header(L.IMG_SNAT_FIRST_PORT, snat?.first ?? 0);
    this.#header(L.IMG_SNAT_LAST_PORT, snat?.last ?? 0);
    this.#header(L.IMG_HAIRPIN4, spec.hairpin === undefined ? 0 : ip(spec.hairpin));
    this.#header(L.IMG_NODE4, spec.node === undefined ? 0 : ip(spec.node));
    this.#address6(this.#base + L.IMG_SNAT6, spec.snat6);
    this.#address6(this.#base + L.IMG_HAIRPIN6, spec.hairpin6);
    this.#address6(this.#base + L.IMG_NODE6, spec.node6);
    const indexOf = (role: string): number => {
      const index = spec.ports.findIndex((port) => port?.role === role);
      return index < 0 ? L.PORT_NONE : index;
    };
    this.#header(L.IMG_HOST_PORT, indexOf('host'));
    this.#header(L.IMG_UPLINK_PORT, indexOf('uplink'));
  }

  #header(word: number, value: number): void {
    this.#view.setUint32(this.#base + word, value, true);
  }

  /** A new section; returns its address. */
  #section(word: number, bytes: number): number {
    const at = this.#at;
    this.#at += Math.ceil(bytes / 64) * 64;
    if (this.#at > this.#end) throw new RangeError('the test image is too small');
    this.#header(word, at - this.#base);
    return at;
  }

  #address6(at: number, text: string | undefined): void {
    if (text !== undefined) this.#bytes.set(ip6(text), at);
  }

  #u32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  #ports(ports: ImageSpec['ports']): void {
    const base = this.#section(L.IMG_PORTS, L.PORT_SIZE * L.MAX_PORTS);
    const roles = { pod: L.ROLE_POD, uplink: L.ROLE_UPLINK, host: L.ROLE_HOST };
    for (const [index, port] of ports.entries()) {
      if (port === null) continue;
      const at = base + index * L.PORT_SIZE;
      this.#bytes[at + L.PORT_ROLE] = roles[port.role];
      this.#bytes[at + L.PORT_VRF] = port.role === 'pod' ? L.SPACE_POD : L.SPACE_MAIN;
      this.#bytes[at + L.PORT_IP4_LENGTH] = port.onLink ?? 0;
      this.#u32(at + L.PORT_MTU, port.mtu ?? 1500);
      this.#bytes.set(mac(port.mac), at + L.PORT_MAC);
      if (port.peerMac !== undefined) this.#bytes.set(mac(port.peerMac), at + L.PORT_PEER_MAC);
      this.#u32(at + L.PORT_IP4, port.ip === undefined ? 0 : ip(port.ip));
      this.#u32(at + L.PORT_GATEWAY4, port.gateway === undefined ? 0 : ip(port.gateway));
      this.#address6(at + L.PORT_IP6, port.ip6);
      this.#address6(at + L.PORT_GATEWAY6, port.gateway6);
      this.#bytes[at + L.PORT_IP6_LENGTH] = port.onLink6 ?? 0;
      this.#u32(at + L.PORT_INGRESS_POLICY, port.ingress ?? 0);
      this.#u32(at + L.PORT_EGRESS_POLICY, port.egress ?? 0);
    }
  }

  #limits(ports: ImageSpec['ports']): void {
    const limited = ports.filter((port) => (port?.toPod ?? port?.fromPod) !== undefined);
    this.#header(L.IMG_LIMITED, limited.length);
    if (limited.length === 0) return;
    const base = this.#section(L.IMG_LIMITS, L.LIMIT_SIZE * L.MAX_PORTS);
    for (const [index, port] of ports.entries()) {
      const words = [...(port?.toPod ?? [0, 0]), ...(port?.fromPod ?? [0, 0])];
      for (const [i, word] of words.entries()) this.#u32(base + index * L.LIMIT_SIZE + i * 4, word);
    }
  }

  #adjacencies(adjacencies: readonly AdjacencySpec[]): void {
    const base = this.#section(L.IMG_ADJACENCIES, L.ADJ_SIZE * (adjacencies.length + 1));
    this.#header(L.IMG_ADJACENCIES_COUNT, adjacencies.length + 1);
    for (const [i, adjacency] of adjacencies.entries()) {
      const at = base + (i + 1) * L.ADJ_SIZE;
      if (adjacency.type === 'drop' || adjacency.type === 'reject') {
        this.#bytes[at] = adjacency.type === 'drop' ? L.ADJ_TYPE_DROP : L.ADJ_TYPE_REJECT;
        continue;
      }
      this.#bytes[at] = adjacency.type === 'port' ? L.ADJ_TYPE_PORT : L.ADJ_TYPE_TUNNEL;
      this.#u32(at + L.ADJ_PORT, adjacency.port);
      this.#u32(at + L.ADJ_MTU, adjacency.mtu ?? (adjacency.type === 'port' ? 1500 : 1450));
      const { nextHop } = adjacency;
      if (nextHop?.includes(':')) this.#address6(at + L.ADJ_NEXT_HOP6, nextHop);
      else if (nextHop !== undefined) this.#u32(at + L.ADJ_NEXT_HOP4, ip(nextHop));
      if (adjacency.type === 'tunnel') this.#tunnel(at, adjacency);
    }
  }

  #tunnel(at: number, tunnel: Extract<AdjacencySpec, { type: 'tunnel' }>): void {
    const t = at + L.ADJ_TEMPLATE;
    const vni = tunnel.vni ?? 10;
    this.#bytes.set(mac(tunnel.outerMac), t + 6);
    this.#view.setUint16(t + 12, 0x0800);
    this.#bytes.set([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17], t + 14);
    this.#u32(t + 26, ip(tunnel.local));
    this.#u32(t + 30, ip(tunnel.remote));
    this.#view.setUint16(t + 36, L.VXLAN_PORT);
    this.#bytes[t + 42] = 8;
    this.#view.setUint32(t + 46, vni << 8);
    this.#bytes.set(mac(tunnel.remoteMac), t + 50);
    this.#bytes.set(mac(tunnel.localMac), t + 56);
    this.#view.setUint16(t + 62, 0x0800);
    this.#u32(at + L.ADJ_REMOTE4, ip(tunnel.remote));
    this.#u32(at + L.ADJ_LOCAL4, ip(tunnel.local));
    this.#u32(at + L.ADJ_VNI, vni);
    this.#u32(at + L.ADJ_LOCAL_BVI4, ip(tunnel.localBvi));
    this.#u32(at + L.ADJ_REMOTE_BVI4, ip(tunnel.remoteBvi));
    this.#address6(at + L.ADJ_LOCAL_BVI6, tunnel.localBvi6);
    this.#bytes.set(mac(tunnel.localMac), at + L.ADJ_LOCAL_MAC);
  }

  /** Finds the slot of an open-addressing table whose `used` word is 0. */
  #slot(base: number, size: number, used: number, h: number): number {
    for (let i = 0; ; i++) {
      const at = base + (((h >>> (32 - this.#tableLog2)) + i) & ((1 << this.#tableLog2) - 1)) * size;
      if (this.#view.getUint32(at + used, true) === 0) return at;
    }
  }

  #prefixes(prefixes: ImageSpec['prefixes']): void {
    const base = this.#section(L.IMG_LPM4, L.LPM4_SIZE << this.#tableLog2);
    this.#header(L.IMG_LPM4_LOG2, this.#tableLog2);
    for (const { space, prefix, value } of prefixes) {
      const [address = '', text = '32'] = prefix.split('/');
      const length = Number(text);
      const word = (ip(address) & mask(length)) >>> 0;
      const meta = (L.LPM_USED | (space << 8) | length) >>> 0;
      const at = this.#slot(base, L.LPM4_SIZE, L.LPM4_META, hash(word, meta));
      this.#u32(at + L.LPM4_ADDRESS, word);
      this.#u32(at + L.LPM4_META, meta);
      this.#u32(at + L.LPM4_VALUE, value);
    }
    this.#tries(prefixes);
  }

  /** IPv6 prefixes, and the addresses of frontends: each stands for the number of its place among them, from 1 on. */
  #prefixes6({ prefixes, services = [] }: ImageSpec): void {
    const base = this.#section(L.IMG_LPM6, L.LPM6_SIZE << this.#tableLog2);
    this.#header(L.IMG_LPM6_LOG2, this.#tableLog2);
    const frontends = frontends6(services).map((address, i) => {
      return { space: L.SPACE_FRONTEND, prefix: `${address}/128`, value: i + 1 };
    });
    for (const { space, prefix, value } of [...prefixes, ...frontends]) {
      if (!prefix.includes(':')) continue;
      const [address = '', text = '128'] = prefix.split('/');
      const length = Number(text);
      const bytes = ip6(address).map(
        (byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, length - i * 8))),
      );
      const words = new DataView(bytes.buffer);
      const meta = (L.LPM_USED | (space << 8) | length) >>> 0;
      let h = mixed(words.getUint32(0, true), meta);
      for (let i = 4; i < 16; i += 4) h = mixed(h, words.getUint32(i, true));
      let at = base;
      for (let i = 0; ; i++) {
        at = base + ((h + i) & ((1 << this.#tableLog2) - 1)) * L.LPM6_SIZE;
        if (this.#view.getUint32(at + L.LPM6_META, true) === 0) break;
      }
      this.#bytes.set(bytes, at + L.LPM6_ADDRESS);
      this.#u32(at + L.LPM6_META, meta);
      this.#u32(at + L.LPM6_VALUE, value);
      const lengths = this.#base + L.IMG_LENGTHS6 + space * 24 + (length >> 3);
      this.#bytes[lengths] = (this.#bytes[lengths] ?? 0) | (1 << (length & 7));
    }
  }

  /** The tries of all spaces: every word gets the longest prefix that covers it, or a line of its own where a longer one lies inside. */
  #tries(prefixes: ImageSpec['prefixes']): void {
    const known = prefixes.map(({ space, prefix, value }) => {
      const [address = '', text = '32'] = prefix.split('/');
      const length = Number(text);
      const host = Buffer.from(address.split('.').map(Number)).readUInt32BE() & hostMask(length);
      return { space, host: host >>> 0, length, value };
    });
    let lines = L.SPACE_COUNT * L.TRIE_ROOT_LINES;
    const fill = (
      words: number[],
      at: number,
      count: number,
      own: typeof known,
      base: number,
      depth: number,
    ): void => {
      for (let i = 0; i < count; i++) {
        const host = (base + i * 2 ** (32 - depth)) >>> 0;
        const inside = own.some((p) => p.length > depth && (p.host & hostMask(depth)) >>> 0 === host);
        const over = own.filter((p) => p.length <= depth && (host & hostMask(p.length)) >>> 0 === p.host);
        const longest = over.sort((a, b) => b.length - a.length)[0];
        const leaf =
          longest === undefined ? 0 : ((longest.length + 1) << L.TRIE_LENGTH_SHIFT) | longest.value;
        words[at + i] = leaf;
        if (!inside) continue;
        const line = lines++;
        words[at + i] = (L.TRIE_CHILD | line) >>> 0;
        fill(words, line * 16, 16, own, host, depth + 4);
      }
    };
    const words: number[] = [];
    for (let space = 0; space < L.SPACE_COUNT; space++) {
      const own = known.filter((p) => p.space === space && p.length < 32);
      const root = space * L.TRIE_ROOT_LINES * 16;
      if (own.length > 0) fill(words, root, 2 ** L.TRIE_ROOT_BITS, own, 0, L.TRIE_ROOT_BITS);
    }
    const base = this.#section(L.IMG_TRIE4, lines * L.TRIE_LINE_SIZE);
    this.#header(L.IMG_TRIE4_LINES, lines);
    words.forEach((word, i) => {
      this.#u32(base + i * 4, word);
    });
  }

  #policies(spec: ImageSpec): void {
    const portSets = spec.portSets ?? [];
    const policies = spec.policies ?? [];
    const linesOf = ({ intervals }: PortSetSpec) => Math.max(1, Math.ceil(intervals.length / 4));
    const total = portSets.reduce((n, set) => n + linesOf(set), 0);
    const sets = this.#section(L.IMG_PORTSETS, L.PORTSET_SIZE * Math.max(total, 1));
    this.#header(L.IMG_PORTSETS_COUNT, total);
    const places: number[] = [];
    let line = 0;
    for (const set of portSets) {
      places.push(line);
      this.#u32(sets + line * L.PORTSET_SIZE + L.PORTSET_LINES, linesOf(set));
      const sorted = [...set.intervals].sort((a, b) => a.protocol - b.protocol || a.from - b.from);
      for (let i = 0; i < linesOf(set) * 4; i++) {
        const interval = sorted[i];
        const at = sets + (line + (i >> 2)) * L.PORTSET_SIZE + (i & 3) * 4;
        const from = interval === undefined ? L.PORTSET_NO_FROM : (interval.protocol << 16) | interval.from;
        this.#u32(at + L.PORTSET_FROM, from);
        this.#u32(at + L.PORTSET_TO, interval === undefined ? 0 : (interval.protocol << 16) | interval.to);
        this.#u32(at + L.PORTSET_VERDICT, interval === undefined ? 0 : verdict(interval));
        if ((i & 3) === 0) this.#u32(at + L.PORTSET_VERDICT + 16, verdict(set));
      }
      line += linesOf(set);
    }
    const placeOf = (set: number) => places[set] ?? set;
    const rows = this.#section(L.IMG_POLICIES, L.POLICY_SIZE * (policies.length + 1));
    this.#header(L.IMG_POLICIES_COUNT, policies.length + 1);
    for (const [i, portSet] of policies.entries())
      this.#u32(rows + (i + 1) * L.POLICY_SIZE, placeOf(portSet));
    const pairs = this.#section(L.IMG_PAIRS, L.PAIR_SIZE << this.#tableLog2);
    this.#header(L.IMG_PAIRS_LOG2, this.#tableLog2);
    for (const { policy, identity, portSet } of spec.pairs ?? []) {
      const at = this.#slot(pairs, L.PAIR_SIZE, L.PAIR_POLICY, hash(policy, identity));
      this.#u32(at + L.PAIR_POLICY, policy);
      this.#u32(at + L.PAIR_IDENTITY, identity);
      this.#u32(at + L.PAIR_PORTSET, placeOf(portSet));
    }
  }

  #services(services: readonly ServiceSpec[]): void {
    const backendCount = services.reduce((n, { backends }) => n + backends.length, 0);
    const rangeCount = services.reduce((n, { ranges }) => n + (ranges?.length ?? 0), 0);
    const rows = this.#section(L.IMG_SERVICES, L.SERVICE_SIZE * (services.length + 1));
    const backends = this.#section(L.IMG_BACKENDS, L.BACKEND_SIZE * Math.max(backendCount, 1));
    const slots = this.#section(L.IMG_SLOTS, 2 * Math.max(backendCount, 1));
    const ranges = this.#section(L.IMG_RANGES, 8 * Math.max(rangeCount, 1));
    const frontends = this.#section(L.IMG_FRONTENDS4, L.FRONTEND_SIZE << this.#tableLog2);
    this.#header(L.IMG_SERVICES_COUNT, services.length + 1);
    this.#header(L.IMG_BACKENDS_COUNT, backendCount);
    this.#header(L.IMG_SLOTS_COUNT, backendCount);
    this.#header(L.IMG_RANGES_COUNT, rangeCount);
    this.#header(L.IMG_FRONTENDS4_LOG2, this.#tableLog2);
    let backend = 0;
    let range = 0;
    for (const [i, service] of services.entries()) {
      const at = rows + (i + 1) * L.SERVICE_SIZE;
      this.#u32(at + L.SERVICE_FLAGS, service.ranges === undefined ? 0 : L.SVF_RANGES);
      this.#u32(at + L.SERVICE_AFFINITY, service.affinity ?? 0);
      this.#u32(at + L.SERVICE_SLOTS, backend);
      this.#u32(at + L.SERVICE_SLOT_COUNT, service.backends.length);
      this.#u32(at + L.SERVICE_BACKENDS, backend);
      this.#u32(at + L.SERVICE_BACKEND_COUNT, service.backends.length);
      this.#u32(at + L.SERVICE_RANGES, range);
      this.#u32(at + L.SERVICE_RANGE_COUNT, service.ranges?.length ?? 0);
      for (const prefix of service.ranges ?? []) {
        const [address = '', length = '32'] = prefix.split('/');
        this.#u32(ranges + range * 8, ip(address));
        this.#u32(ranges + range++ * 8 + 4, mask(Number(length)));
      }
      for (const [place, { ip: address, port, id }] of service.backends.entries()) {
        const row = backends + backend * L.BACKEND_SIZE;
        if (address.includes(':')) this.#address6(row + L.BACKEND_IP6, address);
        else this.#u32(row + L.BACKEND_IP4, ip(address));
        this.#view.setUint16(row + L.BACKEND_PORT, port);
        this.#u32(row + L.BACKEND_ID, id);
        this.#view.setUint16(slots + backend++ * 2, place, true);
      }
      for (const { ip: address, port, protocol } of service.frontends) {
        const six = address.includes(':');
        const key = (swap16(port) | (protocol << 16) | (six ? L.FRONTEND_IP6 : 0)) >>> 0;
        const word = six ? frontends6(services).indexOf(address) + 1 : ip(address);
        const slot = this.#slot(frontends, L.FRONTEND_SIZE, L.FRONTEND_SERVICE, hash(word, key));
        this.#u32(slot + L.FRONTEND_ADDRESS, word);
        this.#u32(slot + L.FRONTEND_KEY, key);
        this.#u32(slot + L.FRONTEND_SERVICE, i + 1);
      }
    }
  }
}
