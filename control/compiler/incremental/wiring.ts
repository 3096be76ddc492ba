/** The node itself, its links, its tunnels and routes: what NodeRecords and pods wired here decide. */
import type { Item, Key } from '../../ruleset/types.js';
import type { Context, NodeView } from '../context.js';
import type { Attachment } from '../input.js';
import { nodeInterfaces, podInterface } from '../interfaces.js';
import { compileNode } from '../node.js';
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
  /** Items of the pods wired here come before equal keys of the others. */
  private pods: Items = new Map();
  private others: Items = new Map();

  constructor(private readonly output: Output) {}

  /** Pods were wired or unwired. */
  settlePods(context: Context): void {
    const pods = [...context.attached.values()].flatMap((attachment) => this.itemsOfPod(context, attachment));
    this.giveOut(firstOfEach(pods), this.others);
  }

  /** Anything may have changed. */
  settle(context: Context): void {
    const pods = [...context.attached.values()].flatMap((attachment) => this.itemsOfPod(context, attachment));
    const peers = reachablePeers(context).flatMap((reachable) => {
      let items = this.ofPeer.get(reachable.peer);
      if (items === undefined) {
        items = [tunnelTo(context, reachable), ...peerRoutes(context, reachable.peer)];
        this.ofPeer.set(reachable.peer, items);
      }
      return items;
    });
    const others = firstOfEach([
      compileNode(context),
      ...nodeInterfaces(context),
      ...nodeRoutes(context),
      ...peers,
      ...rangeRoutes(context),
      compileSnat(context),
    ]);
    this.giveOut(firstOfEach(pods), others);
  }

  private itemsOfPod(context: Context, attachment: Attachment): readonly Item[] {
    let items = this.ofPod.get(attachment);
    if (items === undefined) {
      items = [podInterface(context, attachment), ...podRoutes(attachment)];
      this.ofPod.set(attachment, items);
    }
    return items;
  }

  private giveOut(pods: Items, others: Items): void {
    const before = { pods: this.pods, others: this.others };
    const look = (key: Key): void => {
      const old = before.pods.get(key) ?? before.others.get(key);
      const now = pods.get(key) ?? others.get(key);
      if (old === now) return;
      if (now === undefined) this.output.remove(key);
      else this.output.put(now);
    };
    this.pods = pods;
    this.others = others;
    for (const key of before.pods.keys()) look(key);
    for (const key of pods.keys()) look(key);
    if (before.others === others) return;
    for (const key of before.others.keys()) look(key);
    for (const key of others.keys()) look(key);
  }
}

function firstOfEach(items: readonly Item[]): Items {
  const first = new Map<Key, Item>();
  for (const item of items) if (!first.has(item.key)) first.set(item.key, item);
  return first;
}
