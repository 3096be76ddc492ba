/** Services, each compiled again when something it depends on changed; and who holds a frontend that two of them claim. */

import { ReverseIndex } from '../../model/reverse-index.js';
import { SERVICE_NAME_LABEL } from '../../objects/slice.js';
import type { EndpointSlice, Pod, Service } from '../../objects/types.js';
import type { Frontend, HealthCheckItem, Key, ServiceItem } from '../../ruleset/types.js';
import type { Context } from '../context.js';
import { parseWeight, type Remembered, ServiceEndpoints, WEIGHT_ANNOTATION } from '../endpoints.js';
import { compileHealthCheck } from '../health-check.js';
import { compileService, isProxied, withoutStolenFrontends } from '../services.js';
import { Claims, claimTwice } from './claims.js';
import type { Output } from './output.js';

/** `NAMESPACE/NAME` */
type ServiceName = string;

interface LiveService {
  /** As if it were the only Service. */
  readonly items: readonly ServiceItem[];
  readonly health: readonly HealthCheckItem[];
  readonly usesPeers: boolean;
  /** Names of pods whose weight counts. */
  readonly pods: readonly string[];
  /** Nodes whose zone counts. */
  readonly nodes: readonly string[];
  readonly remembered: Remembered | null;
}

interface Given {
  /** Of the items given out. */
  readonly keys: readonly Key[];
  /** What was asked for: items of `LiveService`. */
  readonly asked: readonly ServiceItem[];
  /** The frontends that each of them got, null = none, so it is left out; null: all got what they asked for. */
  readonly got: readonly (readonly Frontend[] | null)[] | null;
}

const NOTHING: LiveService = {
  items: [],
  health: [],
  usesPeers: false,
  pods: [],
  nodes: [],
  remembered: null,
};

export class Serving {
  private readonly services = new Map<ServiceName, LiveService>();
  private readonly given = new Map<ServiceName, Given>();
  /** Pod's name (in any namespace) -> services it is behind. */
  private readonly byPod = new ReverseIndex<ServiceName>();
  private readonly byNode = new ReverseIndex<ServiceName>();
  private readonly usingPeers = new Set<ServiceName>();
  private readonly claims = new Claims();
  private dirty = new Set<ServiceName>();

  constructor(
    /** The one in force: it is replaced when what is wired here, or a node, changes. */
    public context: Context,
    private readonly output: Output,
  ) {}

  serviceChanged({ metadata }: Service): void {
    this.dirty.add(`${metadata.namespace ?? ''}/${metadata.name}`);
  }

  sliceChanged({ metadata }: EndpointSlice): void {
    this.dirty.add(`${metadata.namespace ?? ''}/${metadata.labels[SERVICE_NAME_LABEL] ?? ''}`);
  }

  podChanged(old: Pod | undefined, now: Pod | undefined): void {
    const name = (now ?? old)?.metadata.name;
    if (name === undefined || weightOf(old) === weightOf(now)) return;
    for (const service of this.byPod.get(name)) this.dirty.add(service);
  }

  /** The labels of a Node changed. */
  nodeChanged(name: string): void {
    // Which endpoints are near depends on where this node is.
    const services = name === this.context.self.name ? this.services.keys() : this.byNode.get(name);
    for (const service of services) this.dirty.add(service);
  }

  /** The records of other nodes changed. */
  peersChanged(): void {
    for (const service of this.usingPeers) this.dirty.add(service);
  }

  settle(): void {
    const shared = new Set<ServiceName>();
    for (const name of this.dirty) this.compile(name, shared);
    for (const name of new Set([...this.dirty, ...shared])) this.giveOut(name, shared.has(name));
    this.dirty = new Set();
  }

  /** Compiles one service; `shared` gets the others whose frontends may be won or lost by that. */
  private compile(name: ServiceName, shared: Set<ServiceName>): void {
    const old = this.services.get(name) ?? NOTHING;
    const now = this.made(name, old);
    this.claims.change(name, old.items, now.items, shared);
    if (old.pods !== now.pods) {
      for (const pod of old.pods) this.byPod.delete(pod, name);
      for (const pod of now.pods) this.byPod.add(pod, name);
    }
    if (old.nodes !== now.nodes) {
      for (const node of old.nodes) this.byNode.delete(node, name);
      for (const node of now.nodes) this.byNode.add(node, name);
    }
    if (now.usesPeers) this.usingPeers.add(name);
    else this.usingPeers.delete(name);
    if (now === NOTHING) this.services.delete(name);
    else this.services.set(name, now);
  }

  private made(name: ServiceName, old: LiveService): LiveService {
    const { model } = this.context;
    const slash = name.indexOf('/');
    const service = model.get('Service', name.slice(0, slash), name.slice(slash + 1));
    if (service === undefined || !isProxied(service)) return NOTHING;
    const context = new WatchedContext(this.context);
    const seen = new ServiceEndpoints(context, service, old.remembered);
    const items = compileService(context, service, seen);
    const pods: string[] = [];
    const nodes = new Set<string>();
    for (const { endpoints } of model.slicesOf(service.metadata.namespace ?? '', service.metadata.name)) {
      for (const { targetRef, nodeName, zone } of endpoints) {
        if (targetRef?.kind === 'Pod') pods.push(targetRef.name);
        if (zone === null && nodeName !== null) nodes.add(nodeName);
      }
    }
    return {
      items,
      health: compileHealthCheck(context, service, seen),
      usesPeers: context.usesPeers,
      pods: kept(old.pods, pods),
      nodes: kept(old.nodes, [...nodes]),
      remembered: seen.remembered(),
    };
  }

  private giveOut(name: ServiceName, contested: boolean): void {
    const { items, health } = this.services.get(name) ?? NOTHING;
    const old = this.given.get(name);
    // Endpoints come and go far more often than frontends, of which there may be as many as nodes.
    const asBefore =
      !contested &&
      old?.asked.length === items.length &&
      items.every(({ key, frontends }, i) => {
        return old.asked[i]?.frontends === frontends && old.asked[i].key === key;
      });
    const got = asBefore ? old.got : this.settleClaims(name, items);
    const out: (ServiceItem | HealthCheckItem)[] = [...health];
    for (const [i, item] of items.entries()) {
      const frontends = got === null ? item.frontends : (got[i] ?? null);
      if (frontends !== null) out.push(frontends === item.frontends ? item : { ...item, frontends });
    }
    const keys = out.map(({ key }) => key);
    const given = new Set(keys);
    for (const key of old?.keys ?? []) if (!given.has(key)) this.output.remove(key);
    for (const item of out) this.output.put(item);
    if (items.length === 0 && keys.length === 0) this.given.delete(name);
    else this.given.set(name, { keys, asked: items, got });
  }

  private settleClaims(name: ServiceName, items: readonly ServiceItem[]): Given['got'] {
    if (this.claims.peaceful && !claimTwice(items)) return null;
    const won = items.map((item) => {
      const frontends = item.frontends.filter((frontend) => this.claims.wins(name, item, frontend));
      return frontends.length === item.frontends.length ? item : { ...item, frontends };
    });
    const kept = new Map(withoutStolenFrontends(won).map((item) => [item.key, item.frontends]));
    return items.map(({ key }) => kept.get(key) ?? null);
  }
}

/** Tells whether anybody asked for the other nodes. */
class WatchedContext implements Context {
  readonly model: Context['model'];
  readonly local: Context['local'];
  readonly config: Context['config'];
  readonly self: Context['self'];
  readonly attached: Context['attached'];
  readonly holders: Context['holders'];
  usesPeers = false;

  constructor(private readonly context: Context) {
    this.model = context.model;
    this.local = context.local;
    this.config = context.config;
    this.self = context.self;
    this.attached = context.attached;
    this.holders = context.holders;
  }

  get peers(): Context['peers'] {
    this.usesPeers = true;
    return this.context.peers;
  }
}

function weightOf(pod: Pod | undefined): number {
  return parseWeight(pod?.metadata.annotations[WEIGHT_ANNOTATION]) ?? 1;
}

/** The old list where the new one says the same. */
function kept(old: readonly string[], now: readonly string[]): readonly string[] {
  return old.length === now.length && old.every((text, i) => text === now[i]) ? old : now;
}
