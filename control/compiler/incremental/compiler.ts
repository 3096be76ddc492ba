/** Compiles a cluster's changes: what an event costs goes with what it changes, and not with how large the cluster is. */
import type { Model, PodSlot } from '../../model/model.js';
import type { Labels } from '../../model/selector.js';
import type { KubeObject, Node, ObjectEvent } from '../../objects/types.js';
import { objectKey } from '../../objects/types.js';
import { canonical } from '../../ruleset/canonical.js';
import { diffRulesets } from '../../ruleset/diff.js';
import type { Change, PodRef, Ruleset } from '../../ruleset/types.js';
import { type Context, makeContext, refText, withLocal } from '../context.js';
import type { Attachment, ClusterConfig, NodeLocal } from '../input.js';
import { Judging } from './judging.js';
import { LiveSets } from './live-sets.js';
import { Output } from './output.js';
import { Serving } from './serving.js';
import { Wiring } from './wiring.js';

/** What events have touched, until it is settled. */
interface Touched {
  /** Also those that are gone. */
  readonly pods: Set<PodSlot>;
  /** Namespace -> the labels it had before. */
  readonly namespaces: Map<string, Labels | undefined>;
  peers: boolean;
  self: boolean;
}

/**
 * The ruleset of one node, kept up to date. At any time it is, byte for byte, what `compile` makes of the same model, node and
 * configuration, whatever events led there.
 */
export class IncrementalCompiler {
  #local: NodeLocal;
  #parts: Parts;

  /** Takes the model over: from here on it changes by `apply` only. Throws what `compile` throws. */
  constructor(
    readonly model: Model,
    local: NodeLocal,
    readonly config: ClusterConfig,
  ) {
    this.#local = local;
    this.#parts = new Parts(makeContext(model, local, config));
  }

  /** A view of the ruleset as it is: it changes with `apply`. */
  get ruleset(): Ruleset {
    return this.#parts.output.ruleset;
  }

  get local(): NodeLocal {
    return this.#local;
  }

  /**
   * Takes events in, and what is wired here if that changed too. Returns what `diffRulesets` would say of the rulesets before and
   * after; updates of address sets carry their delta. Throws what `compile` throws; the events are then taken in nevertheless, and
   * the ruleset is brought up to them by the next call that succeeds.
   */
  apply(events: readonly ObjectEvent[], local: NodeLocal = this.#local): readonly Change[] {
    const parts = this.#parts;
    const touched: Touched = { pods: new Set(), namespaces: new Map(), peers: false, self: false };
    for (const event of events) this.#take(event, touched);
    const before = this.#local;
    this.#local = local;
    if (touched.self || parts.behind || local.node !== before.node) return this.#rebuild();
    const old = parts.sets.context;
    const context = touched.peers
      ? makeContext(this.model, local, this.config)
      : local === before
        ? old
        : withLocal(old, local);
    const wired = local === before ? [] : wiringChanges(old, context);
    for (const { pod, addresses } of wired) {
      const slot = this.model.slot(objectKey('Pod', pod.namespace, pod.name));
      if (slot !== undefined) touched.pods.add(slot);
      // Whoever names these addresses too has them, or loses them, by this.
      for (const ip of addresses) {
        for (const other of this.model.slotsAt(ip)) touched.pods.add(other);
      }
    }
    parts.use(context);
    parts.settle(
      touched,
      wired.map(({ pod }) => pod),
      local === before ? 'same' : sameLinks(before, local) ? 'pods' : 'links',
    );
    return parts.output.take();
  }

  /**
   * Does a piece of what later events would have to do (it lists the pods of address sets that may come to be needed, and lays out sets
   * that changed often): for when there is nothing else to do. Changes nothing that anybody sees. False if there is nothing left to do
   * ahead.
   */
  anticipate(): boolean {
    const { behind, sets, judging } = this.#parts;
    return !behind && (sets.tidy() || judging.anticipate());
  }

  /** Compiles everything again, as after a loss of trust; the changes are those from the ruleset as it was. */
  #rebuild(): readonly Change[] {
    const old = this.#parts;
    old.behind = true;
    this.#parts = new Parts(makeContext(this.model, this.#local, this.config));
    return diffRulesets(old.output.ruleset, this.#parts.output.ruleset);
  }

  #take(event: ObjectEvent, touched: Touched): void {
    const { kind, namespace, name } =
      event.type === 'put' ? { kind: event.object.kind, ...event.object.metadata } : event;
    const { model } = this;
    const { judging, serving } = this.#parts;
    const old: KubeObject | undefined = model.get(kind, namespace, name);
    const labels = kind === 'Namespace' ? model.namespaceLabels(name) : undefined;
    const key = objectKey(kind, namespace, name);
    const slot = model.slot(key);
    model.apply(event);
    const now = event.type === 'put' ? event.object : undefined;
    const some = now ?? old;
    switch (some?.kind) {
      case 'Pod':
        for (const pod of [slot, model.slot(key)]) if (pod !== undefined) touched.pods.add(pod);
        judging.podChanged({ namespace: namespace ?? '', name });
        serving.podChanged(ofKind('Pod', old), ofKind('Pod', now));
        break;
      case 'Namespace':
        if (!touched.namespaces.has(name)) touched.namespaces.set(name, labels);
        judging.namespaceChanged(name);
        break;
      case 'NetworkPolicy':
        judging.policyChanged(ofKind('NetworkPolicy', old), ofKind('NetworkPolicy', now));
        break;
      case 'ClusterNetworkPolicy':
        judging.policyChanged(ofKind('ClusterNetworkPolicy', old), ofKind('ClusterNetworkPolicy', now));
        break;
      case 'Service':
        serving.serviceChanged(some);
        break;
      case 'EndpointSlice':
        for (const slice of [ofKind('EndpointSlice', old), ofKind('EndpointSlice', now)]) {
          if (slice !== undefined) serving.sliceChanged(slice);
        }
        break;
      case 'Node':
        serving.nodeChanged(name);
        if (!sameAddresses(ofKind('Node', old), ofKind('Node', now))) this.#nodeTouched(name, touched);
        break;
      case 'NodeRecord':
        this.#nodeTouched(name, touched);
        break;
    }
  }

  #nodeTouched(name: string, touched: Touched): void {
    if (name === this.#local.node) touched.self = true;
    else touched.peers = true;
  }
}

/** Everything that is kept up to date, around one output. */
class Parts {
  readonly output = new Output();
  readonly sets: LiveSets;
  readonly judging: Judging;
  readonly serving: Serving;
  readonly wiring: Wiring;
  /** The model has gone on without these parts: they are good for their ruleset only. */
  behind = false;

  constructor(context: Context) {
    this.sets = new LiveSets(context, this.output);
    this.judging = new Judging(this.sets, this.output);
    this.serving = new Serving(context, this.output);
    this.wiring = new Wiring(this.output);
    for (const { pod } of context.attached.values()) this.judging.attach(pod);
    for (const service of context.model.all('Service')) this.serving.serviceChanged(service);
    this.judging.settle();
    this.serving.settle();
    this.wiring.settlePods(context, context.attached.keys());
    this.wiring.settleNodes(context);
    this.output.take();
  }

  use(context: Context): void {
    this.sets.context = context;
    this.serving.context = context;
  }

  settle(touched: Touched, wired: readonly PodRef[], rewired: 'same' | 'pods' | 'links'): void {
    const { context } = this.sets;
    // Sets first, so that those made new for a policy find all pods where they belong.
    for (const group of this.sets.settle(touched.pods, touched.namespaces)) this.judging.renumbered(group);
    for (const pod of wired) {
      this.judging.detach(pod);
      if (context.attached.has(refText(pod))) this.judging.attach(pod);
    }
    this.judging.settle();
    this.sets.sweep();
    if (touched.peers) this.serving.peersChanged();
    this.serving.settle();
    if (rewired !== 'same') this.wiring.settlePods(context, wired.map(refText));
    if (touched.peers || rewired === 'links') this.wiring.settleNodes(context);
  }
}

function ofKind<K extends KubeObject['kind']>(
  kind: K,
  object: KubeObject | undefined,
): Extract<KubeObject, { kind: K }> | undefined {
  return object?.kind === kind ? (object as Extract<KubeObject, { kind: K }>) : undefined;
}

function sameAddresses(a: Node | undefined, b: Node | undefined): boolean {
  return canonical(a?.status.addresses ?? []) === canonical(b?.status.addresses ?? []);
}

/** Pods wired in one of the two and not, or otherwise, in the other; of the latter, as they were and as they are. */
function wiringChanges(before: Context, now: Context): readonly Attachment[] {
  const [was, is] = differing(before, now);
  const old = new Map(was.map((attachment) => [refText(attachment.pod), attachment]));
  const changed: Attachment[] = [];
  for (const attachment of new Map(is.map((a) => [refText(a.pod), a])).values()) {
    const name = refText(attachment.pod);
    const other = old.get(name);
    old.delete(name);
    if (other === attachment || (other !== undefined && canonical(other) === canonical(attachment))) continue;
    changed.push(attachment, ...(other === undefined ? [] : [other]));
  }
  return [...changed, ...old.values()];
}

/** The two lists without what they begin and end with alike. */
function differing(before: Context, now: Context): readonly [readonly Attachment[], readonly Attachment[]] {
  const [was, is] = [before.local.attachments, now.local.attachments];
  // Of two entries for one pod the later counts, wherever it stands.
  if (before.attached.size < was.length || now.attached.size < is.length) return [was, is];
  const shorter = Math.min(was.length, is.length);
  let front = 0;
  while (front < shorter && was[front] === is[front]) front++;
  let back = 0;
  while (back < shorter - front && was.at(-1 - back) === is.at(-1 - back)) back++;
  return [was.slice(front, was.length - back), is.slice(front, is.length - back)];
}

function sameLinks(a: NodeLocal, b: NodeLocal): boolean {
  return canonical([a.uplink, a.host]) === canonical([b.uplink, b.host]);
}
