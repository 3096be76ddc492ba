/** Address sets: who a peer of a rule is. Equal definitions share one set, whoever writes them. */
import { cidrContains, parseCidr, parseIp } from '../common/ip.js';
import { getOrMake } from '../model/label-index.js';
import { requirementsOf } from '../model/selector.js';
import type { NetworkPolicyPeer, Pod } from '../objects/types.js';
import { contentHash } from '../ruleset/canonical.js';
import type { AddressBlock, AddressSetItem, Ip, Key, Origin } from '../ruleset/types.js';
import { type Context, podAddresses, sortedSet } from './context.js';
import { type NamedPort, resolvePort } from './ports.js';
import type { PeerSets } from './rules.js';

/**
 * Sets are named by what defines them, not by what is in them: a pod that comes or goes changes one item, and no rule that
 * refers to it.
 */
export class AddressSets implements PeerSets {
  private readonly items = new Map<Key, AddressSetItem>();
  /** Pods behind a set of selectors; sets of blocks are not here. */
  private readonly members = new Map<Key, ReadonlySet<Pod>>();

  constructor(private readonly context: Context) {}

  all(): readonly AddressSetItem[] {
    return [...this.items.values()];
  }

  /** See `PeerSets`. */
  ofPeers(peers: readonly NetworkPolicyPeer[], { namespace }: Origin): readonly Key[] {
    // By code unit, as compareText does, but much faster for the thousands of blocks some rules list.
    return [...new Set(peers.map((peer) => this.ofPeer(namespace ?? '', peer)))].sort();
  }

  /** The set of a peer in a policy of `namespace`. */
  private ofPeer(namespace: string, peer: NetworkPolicyPeer): Key {
    if (peer.ipBlock !== undefined) return this.ofBlock(peer.ipBlock);
    const key = peerSetKey(namespace, peer);
    if (!this.members.has(key)) this.put(key, new Set(this.select(namespace, peer)));
    return key;
  }

  /** See `PeerSets`. */
  ofPort(peers: readonly Key[] | null, named: NamedPort): readonly (readonly [number, Key])[] {
    const byNumber = new Map<number, Ip[]>();
    for (const pod of this.context.model.podsNamingPort(named.name, named.protocol)) {
      const number = resolvePort(pod, named);
      const addresses =
        peers === null ? podAddresses(this.context, pod) : peers.flatMap((set) => this.addressesIn(set, pod));
      if (number !== null && addresses.length > 0) getOrMake(byNumber, number, () => []).push(...addresses);
    }
    return [...byNumber]
      .sort(([a], [b]) => a - b)
      .map(([number, addresses]) => [number, this.ofAddresses({ peers, named, number }, addresses)]);
  }

  private ofAddresses(definition: unknown, addresses: Iterable<Ip>): Key {
    const key = `addressset/${contentHash(definition)}`;
    this.items.set(key, { kind: 'addressset', key, addresses: sortedSet(addresses), blocks: [] });
    return key;
  }

  /** The addresses of a pod that the set holds: all where selectors chose the pod, else those inside a block. */
  private addressesIn(key: Key, pod: Pod): readonly Ip[] {
    const addresses = podAddresses(this.context, pod);
    const members = this.members.get(key);
    if (members !== undefined) return members.has(pod) ? addresses : [];
    const blocks = this.items.get(key)?.blocks ?? [];
    return addresses.filter((ip) => blocks.some((block) => blockContains(block, ip)));
  }

  private ofBlock(block: AddressBlock): Key {
    const item = blockSet(block);
    this.items.set(item.key, item);
    return item.key;
  }

  private put(key: Key, pods: ReadonlySet<Pod>): void {
    const addresses = sortedSet([...pods].flatMap((pod) => podAddresses(this.context, pod)));
    this.members.set(key, pods);
    this.items.set(key, { kind: 'addressset', key, addresses, blocks: [] });
  }

  private *select(namespace: string, peer: NetworkPolicyPeer): Iterable<Pod> {
    const { model } = this.context;
    const namespaces =
      peer.namespaceSelector === undefined ? [namespace] : model.namespacesMatching(peer.namespaceSelector);
    for (const name of namespaces) yield* model.podsOf(name, peer.podSelector ?? EVERYTHING);
  }
}

export const EVERYTHING = { matchLabels: {}, matchExpressions: [] };

/** Objects are never changed in place, so the key of a peer is worked out once for the namespace of its policy. */
const KEYS = new WeakMap<NetworkPolicyPeer, { readonly namespace: string; readonly key: Key }>();

/** The key of the set of a peer that is given by selectors. */
export function peerSetKey(namespace: string, peer: NetworkPolicyPeer): Key {
  let known = KEYS.get(peer);
  if (known?.namespace !== namespace) {
    known = { namespace, key: makePeerSetKey(namespace, peer) };
    KEYS.set(peer, known);
  }
  return known.key;
}

function makePeerSetKey(namespace: string, peer: NetworkPolicyPeer): Key {
  const definition = {
    namespaces: peer.namespaceSelector === undefined ? namespace : requirementsOf(peer.namespaceSelector),
    pods: requirementsOf(peer.podSelector ?? EVERYTHING),
  };
  return `addressset/${contentHash(definition)}`;
}

/** The set of a peer that is an ipBlock. */
export function blockSet(block: AddressBlock): AddressSetItem {
  const blocks = [{ cidr: block.cidr, except: sortedSet(block.except) }];
  return { kind: 'addressset', key: `addressset/${contentHash(blocks)}`, addresses: [], blocks };
}

export function blockContains(block: AddressBlock, address: string): boolean {
  const ip = parseIp(address);
  return (
    cidrContains(parseCidr(block.cidr), ip) &&
    !block.except.some((except) => cidrContains(parseCidr(except), ip))
  );
}
