/**
 * What lies between the ruleset and VPP's messages: objects, one for each thing VPP holds. Renderers make them of items, purely;
 * descriptors read, create, update and remove them; the engine compares what is wanted with what is there and sends the difference.
 */
import type { Item, ItemKind, Key } from '../../../ruleset/types.js';
import type { TypedVppApi } from '../api/typed.js';

/** `kind/rest`, unique among all objects of one VPP. */
export type ObjectKey = string;

/** One thing VPP holds. Plain data. */
export interface VppObject<K extends string = string, S = unknown> {
  readonly kind: K;
  readonly key: ObjectKey;
  /** Objects that must be there before this one; when one of them is made anew, so is this one. */
  readonly needs: readonly ObjectKey[];
  /** What VPP is told, canonical, so that what is read back can be compared with it. */
  readonly spec: S;
  /**
   * What only one object can have at a time, where the key does not say it (a Linux link, the ends of a tunnel): the old holder is
   * removed before the new one is created.
   */
  readonly claims?: readonly string[];
  /** Lets packets in: created after all others, and removed before them. */
  readonly late?: boolean;
  /** What is not in VPP and is not compared: where rules came from. */
  readonly notes?: unknown;
}

/** The numbers VPP gave to objects: sw_if_index, ACL index, translation id, … */
export interface Handles {
  /** Throws when the object has none. */
  get(key: ObjectKey): number;
  find(key: ObjectKey): number | undefined;
  /** The object of this kind that has the number. */
  keyOf(kind: string, handle: number): ObjectKey | undefined;
  set(key: ObjectKey, handle: number): void;
  delete(key: ObjectKey): void;
}

export interface VppContext {
  readonly api: TypedVppApi;
  readonly handles: Handles;
  readonly options: VppOptions;
}

/** Reads and writes one kind of object. Its promises are not awaited one by one: calls of one wave go out pipelined. */
export interface Descriptor<K extends string = string, S = unknown> {
  readonly kind: K;
  /** Messages it cannot do without. One missing: objects of this kind are refused, with the message's name. */
  readonly messages: readonly string[];
  /** Objects of ours that VPP has, with their handles set. Kinds are read in the order in which the descriptors are registered. */
  read(vpp: VppContext): Promise<readonly VppObject<K, S>[]>;
  create(vpp: VppContext, object: VppObject<K, S>): Promise<void>;
  /** Absent: what differs is removed and created anew, with all that needs it. */
  update?(vpp: VppContext, old: VppObject<K, S>, object: VppObject<K, S>): Promise<void>;
  remove(vpp: VppContext, object: VppObject<K, S>): Promise<void>;
}

/** The items at hand. What a renderer asks for is recorded: it is asked again when the answer changes. */
export interface View {
  readonly options: VppOptions;
  get(key: Key): Item | undefined;
  /** All items of a kind. */
  all<T extends ItemKind>(kind: T): readonly Extract<Item, { kind: T }>[];
}

/** Lowers some kinds of items. Pure. Several renderers may take the same kind. */
export interface Renderer {
  readonly name: string;
  readonly kinds: readonly ItemKind[];
  /** Two items may yield the same object if its spec is the same. Throws RenderError (object = the item's key) for what VPP cannot do. */
  render(item: Item, view: View): readonly VppObject[];
}

/** How interfaces of a role are made: `af_packet`, `af_xdp` on the Linux link of the item; `tap` v2; an interface that VPP has already (DPDK). */
export type InterfaceDriver =
  | { readonly type: 'af_packet' }
  | { readonly type: 'af_xdp' }
  | { readonly type: 'tap' }
  | { readonly type: 'memif'; readonly socket: string }
  | { readonly type: 'existing'; readonly name: string };

/** What the items do not say. */
export interface VppOptions {
  readonly uplink: InterfaceDriver;
  readonly host: InterfaceDriver;
  /** Of pods whose item names no TAP; one that does gets a TAP. */
  readonly pod: InterfaceDriver;
  readonly policies: 'acl' | 'npol';
  readonly services: 'cnat' | 'nat44';
  /** There may be TAPs, which hand over segments of TCP whole: all other interfaces cut them. Absent: there are none. */
  readonly cutSegments?: boolean;
  /** CNAT loses the answers of pings over IPv6 whose source it changes as it does all others': it does it elsewhere. Absent: it does not. */
  readonly pingsApart?: boolean;
}
