/** The node itself, its links, its tunnels and routes: what NodeRecords and pods wired here decide. */
import type { Item, Key } from '../../ruleset/types.js';
import { allAddresses, type Context } from '../context.js';
import { compileHostPorts } from '../host-ports.js';
import type { Attachment } from '../input.js';
import { nodeInterfaces, podInterface } from '../interfaces.js';
import { compileNode } from '../node.js';
import type { NodeView } from '../node-view.js';
import { nodeRoutes, peerRoutes, podRoutes, rangeRoutes } from '../routes.js';
import { compileSnat } from '../snat.js';
import { reachablePeers, tunnelTo } from '../tunnels.js';
import type { Output } from './output.js';

type Items = ReadonlyMap<Key, Item>;

/**
 * This node's own record and the configuration stay the same for as long as this lives, so that the items of a peer or a pod are made
 * once.
 */
export class Wiring {
  private readonly ofPeer = new WeakMap<NodeView, readonly Item[]>();
  private readonly ofPod = new WeakMap<Attachment, readonly Item[]>();
  /** Key -> how many items the pods wired here have under it. */
  private readonly uses = new Map<Key, number>();
  /** Keys with several. */
  private contested = 0;
  private attached: Context['attached'] = new Map();
  /** Items of the pods wired here come before equal keys of the others. */
  private readonly pods = new Map<Key, Item>();
  private others: Items = new Map();

  constructor(private readonly output: Output) {}

  /** Pods were wired or unwired: those named in `wired`, as in `Context.attached`. */
  settlePods(context: Context, wired: Iterable<string>): void {
    const before = this.attached;
    this.attached = context.attached;
    let contested = this.contested > 0;
    const keys = new Set<Key>(contested ? this.pods.keys() : []);
    for (const name of wired) {
      const [old, now] = [before.get(name), context.attached.get(name)];
      for (const { key } of old === undefined ? [] : this.itemsOfPod(context, old)) {
        this.use(key, -1);
        this.pods.delete(key);
        keys.add(key);
      }
      for (const item of now === undefined ? [] : this.itemsOfPod(context, now)) {
        this.use(item.key, 1);
        this.pods.set(item.key, item);
        keys.add(item.key);
      }
      contested ||= this.contested > 0;
    }
    if (contested) this.holdFirsts(context);
    for (const key of keys) this.giveOut(key);
  }

  /** Anything may have changed but for what is wired here. */
  settleNodes(context: Context): void {
    const peers = reachablePeers(context).flatMap((reachable) => {
      let items = this.ofPeer.get(reachable.peer);
      if (items === undefined) {
        items = [tunnelTo(context, reachable), ...peerRoutes(context, reachable.peer)];
        this.ofPeer.set(reachable.peer, items);
      }
      return items;
    });
    const old = this.others;
    this.others = firstOfEach([
      compileNode(context),
      ...nodeInterfaces(context),
      ...nodeRoutes(context),
      ...peers,
      ...rangeRoutes(context),
      compileSnat(context),
    ]);
    for (const [key, item] of this.others) if (old.get(key) !== item) this.giveOut(key);
    for (const key of old.keys()) if (!this.others.has(key)) this.giveOut(key);
  }

  private itemsOfPod(context: Context, attachment: Attachment): readonly Item[] {
    let items = this.ofPod.get(attachment);
    if (items === undefined) {
      items = [
        podInterface(context, attachment),
        ...podRoutes(attachment),
        ...compileHostPorts(attachment, allAddresses(context.self)),
      ];
      this.ofPod.set(attachment, items);
    }
    return items;
  }

  private use(key: Key, more: 1 | -1): void {
    const before = this.uses.get(key) ?? 0;
    const uses = before + more;
    if (before < 2 && uses > 1) this.contested++;
    if (before > 1 && uses < 2) this.contested--;
    if (uses === 0) this.uses.delete(key);
    else this.uses.set(key, uses);
  }

  /** Of several pods with one address the first counts. */
  private holdFirsts(context: Context): void {
    this.pods.clear();
    for (const attachment of context.attached.values()) {
      for (const item of this.itemsOfPod(context, attachment)) {
        if (!this.pods.has(item.key)) this.pods.set(item.key, item);
      }
    }
  }

  private giveOut(key: Key): void {
    const item = this.pods.get(key) ?? this.others.get(key);
    if (item === undefined) this.output.remove(key);
    else this.output.put(item);
  }
}

function firstOfEach(items: readonly Item[]): Items {
  const first = new Map<Key, Item>();
  for (const item of items) if (!first.has(item.key)) first.set(item.key, item);
  return first;
}
