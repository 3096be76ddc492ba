/** Address sets that follow their pods: a pod that changes touches the sets it enters or leaves, and no other. */
import { sameList } from '../../common/ends.js';
import { getOrMake } from '../../model/label-index.js';
import type { Model, PodSlot } from '../../model/model.js';
import { ReverseIndex } from '../../model/reverse-index.js';
import { type Labels, requirementsOf } from '../../model/selector.js';
import { SelectorIndex } from '../../model/selector-index.js';
import type { LabelSelector, NetworkPolicyPeer, Pod } from '../../objects/types.js';
import type { AddressBlock, AddressSetItem, Ip, Key, Origin } from '../../ruleset/types.js';
import { blockContains, blockSet, EVERYTHING, peerSetKey } from '../address-sets.js';
import { type Context, podAddresses } from '../context.js';
import type { NamedPort } from '../ports.js';
import type { PeerSets } from '../rules.js';
import { AddressBag } from './address-bag.js';
import { combinedLabels, combinedRequirements } from './combined-labels.js';
import type { Output } from './output.js';
import { ParkedSets } from './parked-sets.js';
import { type PeerList, readPeers } from './peer-list.js';
import { PortGroup } from './port-group.js';
import { PortGroups } from './port-groups.js';

/** A set given by selectors. */
interface SelectorSet {
  readonly kind: 'selector';
  readonly key: Key;
  readonly bag: AddressBag;
  readonly pods: LabelSelector;
  /** The one namespace, or those that match. */
  readonly namespaces: string | LabelSelector;
  uses: number;
  /** Of the last pod looked at: see `place`. */
  mark: number;
}

/** A set given by an ipBlock: it never changes. */
interface BlockSet {
  readonly kind: 'block';
  readonly key: Key;
  readonly item: AddressSetItem;
  /** Ways in which policies write it. */
  readonly texts: Set<string>;
  uses: number;
}

type LiveSet = SelectorSet | BlockSet;

/** What a pod brings into the sets it is in. */
interface Place {
  /** Distinct. */
  readonly addresses: readonly Ip[];
  readonly sets: SelectorSet[];
}

/** What rules asked for while they were made; it has to be held as long as they are in use. */
export type Asked = readonly Used[];

type Used = LiveSet | LiveList | PortGroup;

/** A list of this many peers or more is remembered, to be read faster when the policy changes. */
const LONG = 32;

/** Of a set that nobody uses so many changes gather before they are taken in. */
const MOST_UNSETTLED = 256;

/** A long list of peers; it holds their sets. */
class LiveList {
  uses = 0;

  constructor(
    readonly name: string,
    readonly read: PeerList<LiveSet>,
  ) {}
}

export class LiveSets implements PeerSets {
  private readonly sets = new Map<Key, LiveSet>();
  private readonly blocks = new Map<string, BlockSet>();
  private readonly groups: PortGroups;
  /** Pods that are in a set. */
  private readonly places = new Map<PodSlot, Place>();
  /** Address -> the pods in a set that bring it: usually one; two while one of them is on its way out. */
  private readonly bringers = new ReverseIndex<PodSlot>();
  /** By the labels of pod and namespace together: see combined-labels.ts. */
  private readonly byLabels = new SelectorIndex<SelectorSet>();
  /** Sets with a namespaceSelector, by the labels of the namespace. */
  private readonly byNamespaceLabels = new SelectorIndex<SelectorSet>();
  private changed = new Set<SelectorSet>();
  private readonly untidy = new Set<AddressBag>();
  private readonly parked = new ParkedSets<SelectorSet>();
  /** Made, or let go of, since the last sweep: may be in nobody's use. */
  private idle = new Set<Used>();
  /** By the rule: as it was read last. */
  private readonly lists = new Map<string, LiveList>();
  /** Of short lists of peers, which are never changed in place: the keys of their sets. */
  private readonly keysOf = new WeakMap<readonly NetworkPolicyPeer[], readonly Key[]>();
  private asked: Used[] = [];
  private marks = 0;

  constructor(
    /** The one in force: it is replaced when what is wired here changes. */
    public context: Context,
    private readonly output: Output,
  ) {
    this.groups = new PortGroups(output, (peers, slot) =>
      this.isThere(slot) ? this.addressesIn(peers, slot) : [],
    );
  }

  private get model(): Context['model'] {
    return this.context.model;
  }

  /** What `make` makes, and all it asked for. */
  recording<T>(make: () => T): { readonly result: T; readonly asked: Asked } {
    this.asked = [];
    const result = make();
    return { result, asked: this.asked };
  }

  hold(asked: Asked): void {
    for (const used of asked) used.uses++;
  }

  release(asked: Asked): void {
    for (const used of asked) if (--used.uses === 0) this.idle.add(used);
  }

  ofPeers(peers: readonly NetworkPolicyPeer[], origin: Origin): readonly Key[] {
    const setOf = (peer: NetworkPolicyPeer): LiveSet =>
      peer.ipBlock === undefined
        ? this.selectorSet(origin.namespace ?? '', peer)
        : this.blockSet(peer.ipBlock);
    if (peers.length < LONG) {
      const first = this.asked.length;
      for (const peer of peers) this.asked.push(setOf(peer));
      return getOrMake(this.keysOf, peers, () => {
        return [...new Set(this.asked.slice(first).flatMap((set) => ('key' in set ? set.key : [])))].sort();
      });
    }
    const name = `${origin.kind}/${origin.namespace}/${origin.name}/${origin.field}`;
    // Whoever holds the list the rule was before lets go of it only after this one is made: its sets are there.
    let list = this.lists.get(name);
    if (list?.read.peers !== peers) {
      list = new LiveList(name, readPeers(peers, list?.read, setOf));
      for (const set of list.read.sets) set.uses++;
      this.lists.set(name, list);
      this.idle.add(list);
    }
    this.asked.push(list);
    return list.read.keys.toArray();
  }

  ofPort(peers: readonly Key[] | null, named: NamedPort): readonly (readonly [number, Key])[] {
    const group = this.groups.get(peers, named, this.model);
    if (group.uses === 0) this.idle.add(group);
    this.asked.push(group);
    return group.numbers;
  }

  /**
   * Brings all sets in line with pods that came, changed or went, and with namespaces that had other labels before. Returns the
   * groups whose numbers are others now: rules made of them have to be made anew.
   */
  settle(touched: Set<PodSlot>, namespaces: ReadonlyMap<string, Labels | undefined>): readonly PortGroup[] {
    for (const slot of touched) this.place(slot);
    for (const [name, before] of namespaces) this.placeNamespace(name, before, touched);
    const groups = this.groups.place(touched);
    for (const { key, bag } of this.changed) {
      if (this.parked.has(key)) {
        if (bag.unsettled > MOST_UNSETTLED) bag.settle();
        continue;
      }
      const old = bag.item;
      const delta = bag.settle();
      if (bag.isUntidy) this.untidy.add(bag);
      if (delta !== null) this.output.updateSet(old, bag.item, delta);
    }
    this.changed = new Set();
    return groups.filter((group) => group.settle());
  }

  /** Forgets what nobody uses. */
  sweep(): void {
    // Sets last: the others look at them, and lists hold them.
    for (const used of this.idle) {
      if (used.uses > 0) continue;
      if (used instanceof PortGroup) this.groups.drop(used);
      else if (used instanceof LiveList) this.dropList(used);
    }
    for (const used of this.idle) if ('kind' in used && used.uses === 0) this.dropSet(used);
    this.idle = new Set();
    for (const set of this.parked.takeSurplus(this.model.podCount)) this.forget(set);
  }

  /** Follows the pods of a set that nobody uses yet, so that it need not be listed when somebody does. Nobody is told. */
  anticipate(namespace: string, peer: NetworkPolicyPeer): void {
    if (peer.ipBlock !== undefined || this.parked.isFull(this.model.podCount)) return;
    const key = peerSetKey(namespace, peer);
    if (this.sets.has(key) || this.parked.has(key)) return;
    this.parked.add(this.newSelectorSet(key, namespace, peer));
  }

  /** Does a piece of what changes of sets leave for later. False if there is nothing. */
  tidy(): boolean {
    for (const bag of this.untidy) {
      this.untidy.delete(bag);
      bag.tidy();
      return true;
    }
    return false;
  }

  private selectorSet(namespace: string, peer: NetworkPolicyPeer): LiveSet {
    const key = peerSetKey(namespace, peer);
    const known = this.sets.get(key);
    if (known !== undefined) return known;
    const parked = this.parked.take(key);
    parked?.bag.settle();
    return this.added(parked ?? this.newSelectorSet(key, namespace, peer));
  }

  private blockSet(block: AddressBlock): LiveSet {
    // Policies list blocks by the thousand: a key is a hash, and is not made again for each.
    const text = blockText(block);
    const known = this.blocks.get(text);
    if (known !== undefined) return known;
    const item = blockSet(block);
    let set = this.sets.get(item.key);
    set ??= this.added({ kind: 'block', key: item.key, item, texts: new Set(), uses: 0 });
    if (set.kind === 'block') {
      set.texts.add(text);
      this.blocks.set(text, set);
    }
    return set;
  }

  private added(set: LiveSet): LiveSet {
    this.sets.set(set.key, set);
    this.idle.add(set);
    this.output.put(set.kind === 'block' ? set.item : set.bag.item);
    return set;
  }

  private newSelectorSet(key: Key, namespace: string, peer: NetworkPolicyPeer): SelectorSet {
    const pods = peer.podSelector ?? EVERYTHING;
    const namespaces = peer.namespaceSelector ?? namespace;
    const addresses: Ip[] = [];
    const members: Place[] = [];
    for (const slot of membersOf(this.model, namespaces, pods)) {
      let place = this.places.get(slot);
      if (place === undefined) {
        place = { addresses: this.addressesOf(slot), sets: [] };
        if (place.addresses.length === 0) continue;
        this.settleIn(slot, place);
      }
      for (const ip of place.addresses) addresses.push(ip);
      members.push(place);
    }
    const bag = new AddressBag(key, this.bringers.shared > 0 ? [...new Set(addresses)] : addresses);
    const set: SelectorSet = { kind: 'selector', key, bag, pods, namespaces, uses: 0, mark: 0 };
    for (const { sets } of members) sets.push(set);
    this.byLabels.put(set, combinedRequirements(namespaces, pods));
    if (typeof namespaces !== 'string') this.byNamespaceLabels.put(set, requirementsOf(namespaces));
    return set;
  }

  private dropSet(set: LiveSet): void {
    this.sets.delete(set.key);
    this.output.remove(set.key);
    if (set.kind === 'block') {
      for (const text of set.texts) this.blocks.delete(text);
      return;
    }
    this.parked.add(set);
  }

  /** Its pods are followed no longer. */
  private forget(set: SelectorSet): void {
    this.changed.delete(set);
    this.byLabels.delete(set);
    this.byNamespaceLabels.delete(set);
    for (const slot of membersOf(this.model, set.namespaces, set.pods)) {
      const place = this.places.get(slot);
      if (place === undefined) continue;
      drop(place.sets, set);
      if (place.sets.length === 0) this.moveOut(slot, place);
    }
  }

  private dropList(list: LiveList): void {
    if (this.lists.get(list.name) === list) this.lists.delete(list.name);
    this.release(list.read.sets);
  }

  private isThere(slot: PodSlot): boolean {
    return this.model.slot(slot.key) === slot;
  }

  /** Moves a pod from the sets it was in to those it belongs to now. */
  private place(slot: PodSlot): void {
    const addresses = this.isThere(slot) ? this.addressesOf(slot) : [];
    const old = this.places.get(slot);
    const wanted = addresses.length === 0 ? [] : this.byLabels.matching(this.labelsOf(slot.pod));
    if (old === undefined) {
      for (const set of wanted) this.enter(set, slot, addresses);
      if (wanted.length > 0) this.settleIn(slot, { addresses, sets: wanted });
      return;
    }
    const mark = ++this.marks;
    for (const set of old.sets) set.mark = mark;
    const moved = !sameList(old.addresses, addresses);
    for (const set of wanted) {
      if (set.mark === mark) {
        set.mark = -mark;
        if (!moved) continue;
        this.leave(set, slot, old.addresses);
      }
      this.enter(set, slot, addresses);
    }
    for (const set of old.sets) if (set.mark === mark) this.leave(set, slot, old.addresses);
    if (moved || wanted.length === 0) this.moveOut(slot, old);
    const place = { addresses, sets: wanted };
    if (wanted.length === 0) return;
    if (moved) this.settleIn(slot, place);
    else this.places.set(slot, place);
  }

  private settleIn(slot: PodSlot, place: Place): void {
    this.places.set(slot, place);
    for (const ip of place.addresses) this.bringers.add(ip, slot);
  }

  private moveOut(slot: PodSlot, { addresses }: Place): void {
    this.places.delete(slot);
    for (const ip of addresses) this.bringers.delete(ip, slot);
  }

  /** Pods of a namespace that was relabelled, in the sets that this made a difference to. Pods of `touched` are right already. */
  private placeNamespace(name: string, before: Labels | undefined, touched: Set<PodSlot>): void {
    const now = this.model.namespaceLabels(name);
    const were = new Set(before === undefined ? [] : this.byNamespaceLabels.matching(before));
    const are = new Set(now === undefined ? [] : this.byNamespaceLabels.matching(now));
    const moved: PodSlot[] = [];
    for (const set of new Set([...were, ...are])) {
      const enters = are.has(set);
      if (enters === were.has(set)) continue;
      for (const slot of this.model.slotsOf(name, set.pods)) {
        if (touched.has(slot)) continue;
        const place = this.places.get(slot);
        const addresses = place?.addresses ?? this.addressesOf(slot);
        if (addresses.length === 0) continue;
        moved.push(slot);
        if (enters) {
          this.enter(set, slot, addresses);
          if (place === undefined) this.settleIn(slot, { addresses, sets: [set] });
          else place.sets.push(set);
        } else if (place !== undefined) {
          this.leave(set, slot, addresses);
          drop(place.sets, set);
          if (place.sets.length === 0) this.moveOut(slot, place);
        }
      }
    }
    for (const slot of moved) touched.add(slot);
  }

  /** The addresses of a pod that any of the sets holds. */
  private addressesIn(peers: readonly Key[] | null, slot: PodSlot): readonly Ip[] {
    const addresses = podAddresses(this.context, slot.pod);
    if (peers === null || addresses.length === 0) return addresses;
    const mine = this.places.get(slot)?.sets ?? [];
    const sets = peers.map((peer) => this.sets.get(peer));
    if (sets.some((set) => set?.kind === 'selector' && mine.includes(set))) return addresses;
    const blocks = sets.flatMap((set) => (set?.kind === 'block' ? set.item.blocks : []));
    return addresses.filter((ip) => blocks.some((block) => blockContains(block, ip)));
  }

  private enter(set: SelectorSet, slot: PodSlot, addresses: readonly Ip[]): void {
    for (const ip of addresses) if (!this.isBrought(set, ip, slot)) set.bag.add(ip);
    this.changed.add(set);
  }

  private leave(set: SelectorSet, slot: PodSlot, addresses: readonly Ip[]): void {
    for (const ip of addresses) if (!this.isBrought(set, ip, slot)) set.bag.remove(ip);
    this.changed.add(set);
  }

  /** Whether another pod in the set has the address too. */
  private isBrought(set: SelectorSet, ip: Ip, slot: PodSlot): boolean {
    if (!this.bringers.hasOther(ip, slot)) return false;
    for (const other of this.bringers.get(ip)) {
      if (other !== slot && this.places.get(other)?.sets.includes(set)) return true;
    }
    return false;
  }

  private labelsOf(pod: Pod): Labels {
    return combinedLabels(pod, this.model.namespaceLabels(pod.metadata.namespace ?? ''));
  }

  private addressesOf(slot: PodSlot): readonly Ip[] {
    const addresses = podAddresses(this.context, slot.pod);
    return addresses.length > 1 ? [...new Set(addresses)] : addresses;
  }
}

function blockText({ cidr, except }: AddressBlock): string {
  return `${cidr} ${except.join()}`;
}

function* membersOf(
  model: Model,
  namespaces: string | LabelSelector,
  pods: LabelSelector,
): Iterable<PodSlot> {
  const names = typeof namespaces === 'string' ? [namespaces] : model.namespacesMatching(namespaces);
  for (const name of names) yield* model.slotsOf(name, pods);
}

/** Takes one out; order has no meaning. */
function drop<T>(list: T[], member: T): void {
  const at = list.indexOf(member);
  if (at < 0) return;
  const last = list.pop();
  if (at < list.length && last !== undefined) list[at] = last;
}
