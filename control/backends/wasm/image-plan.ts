/** Where each table lies inside an image, and how much it holds. */
import * as L from '../../../dataplane-as/layout/index.js';

/**
 * The most that one image's tables may hold. Addresses are set aside for all of it; memory is taken by what lies there, as hash tables
 * grow with their entries (image.ts) and the others are filled from their start on. `…Log2` and the span tables (portLines, backends, slots,
 * ranges) are powers of two.
 */
export interface ImageSize {
  readonly adjacencies: number;
  readonly lpm4Log2: number;
  /** IPv6 prefixes and single addresses; absent: hardly any. */
  readonly lpm6Log2?: number;
  readonly pairsLog2: number;
  readonly policies: number;
  /** Lines of tries of prefixes shorter than /32: one for each four bits in which neighbours differ. */
  readonly trieLines: number;
  /** Lines of port sets: four port ranges each. */
  readonly portLines: number;
  readonly frontendsLog2: number;
  readonly services: number;
  readonly backends: number;
  readonly slots: number;
  readonly ranges: number;
}

/**
 * Room for 1,022 pods, 32,000 services with 49,000 frontends, 255 different maglev tables, 780,000 IPv4 and 196,000 IPv6 addresses and
 * prefixes of policies and routes, 8,000 peers: 64 MiB of addresses an image.
 */
export const DEFAULT_IMAGE_SIZE: ImageSize = {
  adjacencies: 8192,
  lpm4Log2: 20,
  lpm6Log2: 18,
  pairsLog2: 20,
  policies: 4096,
  trieLines: 131072,
  portLines: 65536,
  frontendsLog2: 16,
  services: 32768,
  backends: 131072,
  slots: 2097152,
  ranges: 16384,
};

export type HashName = 'addresses' | 'addresses6' | 'pairs' | 'frontends';

export interface HashPlan {
  /** Byte offset from the image's start. */
  readonly at: number;
  /** Of the most slots it may have. */
  readonly log2: number;
  /** Byte offset of the header's word that says how many it has. */
  readonly log2At: number;
  /** The word of a slot that is 0 when the slot is empty. */
  readonly emptyWord: number;
  /** Most entries: three quarters of the slots, so that probing stays short. */
  readonly limit: number;
}

export interface ImagePlan {
  readonly size: ImageSize;
  /** Bytes of one image, a multiple of 64 KiB. */
  readonly bytes: number;
  readonly ports: number;
  readonly limits: number;
  readonly adjacencies: number;
  readonly policies: number;
  readonly trie: number;
  readonly portSets: number;
  readonly services: number;
  readonly backends: number;
  readonly slots: number;
  readonly ranges: number;
  readonly hashes: Readonly<Record<HashName, HashPlan>>;
  /** The header words that never change: section offsets and counts, as [byte offset, value]. */
  readonly header: readonly (readonly [number, number])[];
}

const LEAST_LPM6_LOG2 = 4;

/** Lays the tables of an image out behind its header. */
export function planImage(size: ImageSize = DEFAULT_IMAGE_SIZE): ImagePlan {
  let end = L.IMG_HEADER_SIZE;
  const take = (bytes: number): number => {
    const at = end;
    end = align(end + bytes, 64);
    return at;
  };
  const ports = take(L.MAX_PORTS * L.PORT_SIZE);
  const limits = take(L.MAX_PORTS * L.LIMIT_SIZE);
  const adjacencies = take(size.adjacencies * L.ADJ_SIZE);
  const lpm4 = take(L.LPM4_SIZE << size.lpm4Log2);
  const lpm6Log2 = size.lpm6Log2 ?? LEAST_LPM6_LOG2;
  const lpm6 = take(L.LPM6_SIZE << lpm6Log2);
  const pairs = take(L.PAIR_SIZE << size.pairsLog2);
  const policies = take(size.policies * L.POLICY_SIZE);
  const trieLines = L.SPACE_COUNT * L.TRIE_ROOT_LINES + size.trieLines;
  const trie = take(trieLines * L.TRIE_LINE_SIZE);
  const portSets = take(size.portLines * L.PORTSET_SIZE);
  const frontends = take(L.FRONTEND_SIZE << size.frontendsLog2);
  const services = take(size.services * L.SERVICE_SIZE);
  const backends = take(size.backends * L.BACKEND_SIZE);
  const slots = take(size.slots * 2);
  const ranges = take(size.ranges * 8);
  const hash = (at: number, log2: number, log2At: number, emptyWord: number): HashPlan => {
    return { at, log2, log2At, emptyWord, limit: (1 << log2) * 0.75 };
  };
  return {
    size,
    bytes: align(end, 65536),
    ...{ ports, limits, adjacencies, policies, trie, portSets, services, backends, slots, ranges },
    hashes: {
      addresses: hash(lpm4, size.lpm4Log2, L.IMG_LPM4_LOG2, L.LPM4_META / 4),
      addresses6: hash(lpm6, lpm6Log2, L.IMG_LPM6_LOG2, L.LPM6_META / 4),
      pairs: hash(pairs, size.pairsLog2, L.IMG_PAIRS_LOG2, L.PAIR_POLICY / 4),
      frontends: hash(frontends, size.frontendsLog2, L.IMG_FRONTENDS4_LOG2, L.FRONTEND_SERVICE / 4),
    },
    header: [
      [L.IMG_PORTS, ports],
      [L.IMG_LIMITS, limits],
      [L.IMG_ADJACENCIES, adjacencies],
      [L.IMG_ADJACENCIES_COUNT, size.adjacencies],
      [L.IMG_LPM4, lpm4],
      [L.IMG_LPM6, lpm6],
      [L.IMG_PAIRS, pairs],
      [L.IMG_POLICIES, policies],
      [L.IMG_POLICIES_COUNT, size.policies],
      [L.IMG_PORTSETS, portSets],
      [L.IMG_PORTSETS_COUNT, size.portLines],
      [L.IMG_TRIE4, trie],
      [L.IMG_TRIE4_LINES, trieLines],
      [L.IMG_FRONTENDS4, frontends],
      [L.IMG_SERVICES, services],
      [L.IMG_SERVICES_COUNT, size.services],
      [L.IMG_BACKENDS, backends],
      [L.IMG_BACKENDS_COUNT, size.backends],
      [L.IMG_SLOTS, slots],
      [L.IMG_SLOTS_COUNT, size.slots],
      [L.IMG_RANGES, ranges],
      [L.IMG_RANGES_COUNT, size.ranges],
    ],
  };
}

export function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
