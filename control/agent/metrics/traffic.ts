/**
 * Traffic by kind of interface. The data plane counts by interface, and pods come and go: their sums would fall, which a
 * counter must not. So what each interface counted since the last look is added to its kind.
 */
import type { InterfaceCounters } from '../../backends/backend.js';
import { HOST, UPLINK } from '../../compiler/interfaces.js';
import type { Key } from '../../ruleset/types.js';

export type InterfaceKind = 'uplink' | 'host' | 'pod';
const FIELDS = ['rxPackets', 'rxBytes', 'txPackets', 'txBytes', 'drops'] as const;
type Sums = Record<(typeof FIELDS)[number], number>;

export class Traffic {
  #last: Readonly<Record<Key, InterfaceCounters>> = {};
  readonly sums: ReadonlyMap<InterfaceKind, Sums> = new Map(
    (['uplink', 'host', 'pod'] as const).map((kind) => [kind, zero()]),
  );

  /** Takes a reading. A count below the last one started anew: the data plane was, or the interface is another one. */
  add(interfaces: Readonly<Record<Key, InterfaceCounters>>): void {
    for (const [key, now] of Object.entries(interfaces)) {
      const sums = this.sums.get(kindOf(key));
      if (sums === undefined) continue;
      const last = this.#last[key];
      const anew = last === undefined || FIELDS.some((field) => now[field] < last[field]);
      for (const field of FIELDS) sums[field] += now[field] - (anew ? 0 : last[field]);
    }
    this.#last = interfaces;
  }
}

function zero(): Sums {
  return { rxPackets: 0, rxBytes: 0, txPackets: 0, txBytes: 0, drops: 0 };
}

export function kindOf(key: Key): InterfaceKind {
  if (key === UPLINK) return 'uplink';
  return key === HOST ? 'host' : 'pod';
}
