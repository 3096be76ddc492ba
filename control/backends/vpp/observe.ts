/** How counters and traces see the backend. */
import type { Item, Key } from '../../ruleset/types.js';
import type { Counters, Trace, TraceFilter } from '../backend.js';
import type { ObjectKey, VppContext, VppObject } from './objects/types.js';

/** What is in force. */
export interface InForce extends VppContext {
  readonly items: { get(key: Key): Item | undefined; values(): Iterable<Item> };
  /** With the notes of their renderers. */
  readonly objects: { get(key: ObjectKey): VppObject | undefined; values(): Iterable<VppObject> };
  /** Keys of the items that have part in an object. */
  ownersOf(object: ObjectKey): readonly Key[];
}

/** Counts and traces. Its calls and those that change something are never under way at the same time. */
export interface Observer {
  counters(state: InForce): Promise<Counters>;
  /** One trace at a time. */
  trace(state: InForce, filter: TraceFilter): Promise<Trace>;
  /** Before something is changed or removed: takes up what VPP has counted of it, which may start at 0 then. Never rejects. */
  beforeChange?(state: InForce): Promise<void>;
  close(): Promise<void>;
}
