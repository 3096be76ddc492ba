/** What judges the pods wired here: a policy that changes is looked at for the pods it selects or selected, and no other. */
import { getOrMake } from '../../model/label-index.js';
import { requirementsOf } from '../../model/selector.js';
import { SelectorIndex } from '../../model/selector-index.js';
import type { ClusterNetworkPolicy, NetworkPolicy, Pod } from '../../objects/types.js';
import type { EndpointItem, Key, PodRef, PolicyItem, PolicyRule } from '../../ruleset/types.js';
import {
  type AnyPolicy,
  comparePolicies,
  isSubject,
  namespaceLabels,
  untilPodIsKnown,
} from '../cluster-policies.js';
import { refText } from '../context.js';
import { endpointItem, judgedBy } from '../policies.js';
import { type NamedPort, resolvePort } from '../ports.js';
import { askForPeers, type Direction, judges, ownPortNames, peersOfPolicy, rulesOf } from '../rules.js';
import type { Asked, LiveSets } from './live-sets.js';
import type { Output } from './output.js';
import { PortGroup } from './port-group.js';

const DIRECTIONS = ['ingress', 'egress'] as const;

/** What of a version of a policy is worked out once. */
interface Known {
  readonly id: number;
  readonly ownNames: Readonly<Record<Direction, readonly NamedPort[]>>;
  /** Direction and numbers -> the rules made of it, where no numbers of other pods are in them. */
  readonly made: Map<string, Variant>;
}

/** Rules of a policy, with an id of their own. */
interface Variant {
  readonly id: number;
  readonly rules: readonly PolicyRule[];
}

/** So many items that nobody needs any more are kept, and so many namespaces that have no pods here any more: pods come back. */
const MOST_PARKED_ITEMS = 1024;
const MOST_PARKED_NAMESPACES = 64;

/** One policy in one direction, while it judges a pod wired here. */
interface Part {
  readonly policy: AnyPolicy;
  readonly direction: Direction;
  readonly ownNames: readonly NamedPort[];
  readonly endpoints: Set<LiveEndpoint>;
  /** Numbers that a pod gives to `ownNames` -> its rules. */
  readonly variants: Map<string, Variant>;
  asked: Asked | null;
}

/** One direction of a pod: the parts that judge it, and the name under which their item is held. */
interface Side {
  readonly parts: readonly Part[];
  readonly composition: string | null;
}

interface LiveEndpoint {
  readonly ref: PodRef;
  readonly sides: Map<Direction, Side>;
  item: EndpointItem | null;
}

interface LiveNamespace {
  readonly endpoints: Set<LiveEndpoint>;
  readonly policies: SelectorIndex<NetworkPolicy>;
}

/** An item made of certain parts; many pods are judged by the same. */
interface Composition {
  readonly key: Key;
  uses: number;
}

export class Judging {
  private readonly endpoints = new Map<string, LiveEndpoint>();
  /** Namespaces of pods wired here. */
  private readonly namespaces = new Map<string, LiveNamespace>();
  private readonly parts = new Map<Direction, Map<AnyPolicy, Part>>(DIRECTIONS.map((d) => [d, new Map()]));
  private readonly partsByGroup = new Map<PortGroup, Set<Part>>();
  private readonly compositions = new Map<string, Composition>();
  private readonly items = new Map<Key, { readonly item: PolicyItem; uses: number }>();
  private dirty = new Set<LiveEndpoint>();
  /** Policies that may come to judge a pod here, and whose peers nobody has looked at for that. */
  private readonly ahead = new Set<AnyPolicy>();
  /** Composition -> its item, let go of; the longest so first. */
  private readonly parkedItems = new Map<string, PolicyItem>();
  /** Namespaces without pods here, the longest so first; their policies are kept up to date. */
  private readonly parkedNamespaces = new Set<string>();
  /** Objects are never changed in place, so an object is a version of a policy. */
  private readonly known = new WeakMap<AnyPolicy, Known>();
  private ids = 0;

  constructor(
    private readonly sets: LiveSets,
    private readonly output: Output,
  ) {
    for (const policy of sets.context.model.all('ClusterNetworkPolicy')) this.ahead.add(policy);
  }

  attach(ref: PodRef): void {
    const endpoint: LiveEndpoint = { ref, sides: new Map(), item: null };
    this.endpoints.set(refText(ref), endpoint);
    let namespace = this.namespaces.get(ref.namespace);
    if (namespace === undefined) {
      namespace = { endpoints: new Set(), policies: new SelectorIndex() };
      for (const policy of this.sets.context.model.policiesOf(ref.namespace)) {
        file(namespace, policy);
        this.ahead.add(policy);
      }
      this.namespaces.set(ref.namespace, namespace);
    }
    namespace.endpoints.add(endpoint);
    this.parkedNamespaces.delete(ref.namespace);
    this.dirty.add(endpoint);
  }

  detach(ref: PodRef): void {
    const endpoint = this.endpoints.get(refText(ref));
    if (endpoint === undefined) return;
    for (const side of endpoint.sides.values()) this.releaseSide(endpoint, side, new Set());
    if (endpoint.item !== null) this.output.remove(endpoint.item.key);
    this.endpoints.delete(refText(ref));
    this.dirty.delete(endpoint);
    const namespace = this.namespaces.get(ref.namespace);
    namespace?.endpoints.delete(endpoint);
    if (namespace?.endpoints.size !== 0) return;
    this.parkedNamespaces.add(ref.namespace);
    if (this.parkedNamespaces.size <= MOST_PARKED_NAMESPACES) return;
    for (const longest of this.parkedNamespaces) {
      this.parkedNamespaces.delete(longest);
      this.namespaces.delete(longest);
      break;
    }
  }

  podChanged(ref: PodRef): void {
    const endpoint = this.endpoints.get(refText(ref));
    if (endpoint !== undefined) this.dirty.add(endpoint);
  }

  /** Its pods may be subjects of other cluster policies. */
  namespaceChanged(name: string): void {
    for (const endpoint of this.namespaces.get(name)?.endpoints ?? []) this.dirty.add(endpoint);
  }

  /**
   * Sees to it that the sets of one more policy, of a namespace that has pods here, are followed: when a pod comes, or gets other
   * labels, they need not be listed then. False if there is none left to look at.
   */
  anticipate(): boolean {
    const [policy] = this.ahead;
    if (policy === undefined) return false;
    this.ahead.delete(policy);
    const { namespace } = policy.metadata;
    if (policy.kind === 'ClusterNetworkPolicy' || this.namespaces.has(namespace ?? '')) {
      for (const peer of peersOfPolicy(policy)) this.sets.anticipate(namespace ?? '', peer);
    }
    return this.ahead.size > 0;
  }

  /** A policy is new (`old` undefined), changed, or gone (`now` undefined). */
  policyChanged(old: AnyPolicy | undefined, now: AnyPolicy | undefined): void {
    const some = now ?? old;
    if (old !== undefined) this.ahead.delete(old);
    if (some?.kind === 'ClusterNetworkPolicy') {
      if (now !== undefined) this.ahead.add(now);
      this.dirtySubjects(this.endpoints.values(), old, now);
      return;
    }
    const namespace = this.namespaces.get(some?.metadata.namespace ?? '');
    if (namespace === undefined) return;
    if (old?.kind === 'NetworkPolicy') namespace.policies.delete(old);
    if (now?.kind === 'NetworkPolicy') {
      file(namespace, now);
      this.ahead.add(now);
    }
    this.dirtySubjects(namespace.endpoints, old, now);
  }

  /** The numbers that destinations give to a port name are others now. */
  renumbered(group: PortGroup): void {
    for (const part of this.partsByGroup.get(group) ?? []) {
      part.variants.clear();
      for (const endpoint of part.endpoints) this.dirty.add(endpoint);
    }
  }

  /** Judges the pods anew for which something changed. */
  settle(): void {
    const cluster = [...this.sets.context.model.all('ClusterNetworkPolicy')];
    for (const endpoint of this.dirty) this.judge(endpoint, cluster);
    this.dirty = new Set();
  }

  private dirtySubjects(
    endpoints: Iterable<LiveEndpoint>,
    old: AnyPolicy | undefined,
    now: AnyPolicy | undefined,
  ): void {
    const { model } = this.sets.context;
    for (const endpoint of endpoints) {
      const { namespace, name } = endpoint.ref;
      const pod = model.get('Pod', namespace, name);
      const labels = namespaceLabels(namespace, model.get('Namespace', null, namespace));
      const concerns = (policy: AnyPolicy | undefined): boolean =>
        policy !== undefined && isSubject(policy, namespace, labels, pod);
      if (concerns(old) || concerns(now)) this.dirty.add(endpoint);
    }
  }

  private judge(endpoint: LiveEndpoint, cluster: readonly ClusterNetworkPolicy[]): void {
    const { namespace, name } = endpoint.ref;
    const { model } = this.sets.context;
    const pod = model.get('Pod', namespace, name);
    const policies = this.namespaces.get(namespace)?.policies;
    const own = pod === undefined ? policies?.ids() : policies?.matching(pod.metadata.labels);
    const labels = namespaceLabels(namespace, model.get('Namespace', null, namespace));
    const selecting = [
      ...(own ?? []),
      ...cluster.filter((policy) => isSubject(policy, namespace, labels, pod)),
    ].sort(comparePolicies);
    const [ingress, egress] = DIRECTIONS.map((direction) => {
      const side = this.holdSide(
        endpoint,
        direction,
        pod,
        selecting.filter((policy) => judges(policy, direction)),
      );
      const old = endpoint.sides.get(direction);
      endpoint.sides.set(direction, side);
      if (old !== undefined) this.releaseSide(endpoint, old, new Set(side.parts));
      return side.composition === null ? null : (this.compositions.get(side.composition)?.key ?? null);
    });
    const { item } = endpoint;
    if (item !== null && item.ingress === ingress && item.egress === egress) return;
    endpoint.item = endpointItem(endpoint.ref, ingress ?? null, egress ?? null);
    this.output.put(endpoint.item);
  }

  private holdSide(
    endpoint: LiveEndpoint,
    direction: Direction,
    pod: Pod | undefined,
    policies: readonly AnyPolicy[],
  ): Side {
    // Rules are not made for a pod that is not known, so no set is asked for either.
    if (pod === undefined) {
      const id = policies.map((policy) => this.knownOf(policy).id).join();
      return {
        parts: [],
        composition: this.hold(`${direction} unknown ${id}`, () =>
          judgedBy(policies, direction, untilPodIsKnown(policies, direction)),
        ),
      };
    }
    const parts = policies.map((policy) => this.holdPart(endpoint, policy, direction));
    const variants = parts.map((part) => this.variantOf(part, pod));
    const composition = this.hold(`${direction} ${variants.map(({ id }) => id).join()}`, () =>
      judgedBy(
        policies,
        direction,
        variants.flatMap(({ rules }) => rules),
      ),
    );
    return { parts, composition };
  }

  /** Lets go of a side, but for the parts that the side in its place has too. */
  private releaseSide(endpoint: LiveEndpoint, side: Side, kept: ReadonlySet<Part>): void {
    for (const part of side.parts) if (!kept.has(part)) this.releasePart(endpoint, part);
    if (side.composition !== null) this.release(side.composition);
  }

  private holdPart(endpoint: LiveEndpoint, policy: AnyPolicy, direction: Direction): Part {
    const ofDirection = getOrMake(this.parts, direction, () => new Map<AnyPolicy, Part>());
    const part = getOrMake(ofDirection, policy, (): Part => {
      return {
        policy,
        direction,
        ownNames: this.knownOf(policy).ownNames[direction],
        endpoints: new Set(),
        variants: new Map(),
        asked: null,
      };
    });
    part.endpoints.add(endpoint);
    return part;
  }

  private releasePart(endpoint: LiveEndpoint, part: Part): void {
    part.endpoints.delete(endpoint);
    if (part.endpoints.size > 0) return;
    this.parts.get(part.direction)?.delete(part.policy);
    if (part.asked === null) return;
    this.sets.release(part.asked);
    for (const group of part.asked) {
      if (!(group instanceof PortGroup)) continue;
      const parts = this.partsByGroup.get(group);
      parts?.delete(part);
      if (parts?.size === 0) this.partsByGroup.delete(group);
    }
  }

  private variantOf(part: Part, pod: Pod): Variant {
    const numbers = part.ownNames.map((name) => resolvePort(pod, name)).join();
    return getOrMake(part.variants, numbers, () => {
      const { made } = this.knownOf(part.policy);
      const known = made.get(`${part.direction} ${numbers}`);
      if (known !== undefined && part.asked !== null) return known;
      const { result, asked } = this.sets.recording(() =>
        known === undefined
          ? rulesOf(part.policy, part.direction, pod, this.sets)
          : askForPeers(part.policy, part.direction, this.sets),
      );
      if (part.asked === null) {
        part.asked = asked;
        this.sets.hold(asked);
        for (const group of asked) {
          if (group instanceof PortGroup) getOrMake(this.partsByGroup, group, () => new Set()).add(part);
        }
      }
      if (known !== undefined) return known;
      const variant = { id: ++this.ids, rules: result };
      if (!asked.some((used) => used instanceof PortGroup)) {
        made.set(`${part.direction} ${numbers}`, variant);
      }
      return variant;
    });
  }

  /** Holds the item of a composition, made if it is new; null if there is none. */
  private hold(id: string, make: () => PolicyItem | null): string | null {
    let composition = this.compositions.get(id);
    if (composition === undefined) {
      const made = this.parkedItems.get(id) ?? make();
      if (made === null) return null;
      this.parkedItems.delete(id);
      const item = getOrMake(this.items, made.key, () => {
        this.output.put(made);
        return { item: made, uses: 0 };
      });
      item.uses++;
      composition = { key: made.key, uses: 0 };
      this.compositions.set(id, composition);
    }
    composition.uses++;
    return id;
  }

  private release(id: string): void {
    const composition = this.compositions.get(id);
    if (composition === undefined || --composition.uses > 0) return;
    this.compositions.delete(id);
    const item = this.items.get(composition.key);
    if (item === undefined) return;
    this.parkedItems.set(id, item.item);
    for (const longest of this.parkedItems.keys()) {
      if (this.parkedItems.size <= MOST_PARKED_ITEMS) break;
      this.parkedItems.delete(longest);
    }
    if (--item.uses > 0) return;
    this.items.delete(composition.key);
    this.output.remove(composition.key);
  }

  private knownOf(policy: AnyPolicy): Known {
    return getOrMake(this.known, policy, () => {
      const [ingress, egress] = [ownPortNames(policy, 'ingress'), ownPortNames(policy, 'egress')];
      return { id: ++this.ids, ownNames: { ingress, egress }, made: new Map() };
    });
  }
}

function file({ policies }: LiveNamespace, policy: NetworkPolicy): void {
  policies.put(policy, requirementsOf(policy.spec.podSelector));
}
