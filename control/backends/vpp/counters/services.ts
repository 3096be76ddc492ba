/** Connections to services: CNAT counts the first packet of each, by translation. NAT44 counts none: its services are left out. */
import type { Key } from '../../../ruleset/types.js';
import type { InForce } from '../observe.js';
import { Growth } from './growth.js';
import type { Sample } from './sample.js';

interface ServiceCount {
  readonly connections: number;
  readonly packets: number;
}

/** Kind of the objects that are CNAT translations; their handle is VPP's number. */
const TRANSLATION = 'cnat-translation';

export class ServiceCounter {
  readonly #growth = new Growth();
  #totals = new Map<string, number>();

  /** Key of each service item → connections. VPP does not count the packets that follow the first one. */
  add(sample: Sample, state: InForce): Record<string, ServiceCount> {
    const { items, objects, handles, ownersOf } = state;
    const all = state.options.services === 'cnat';
    const totals = new Map<string, number>();
    const kept = new Set<string>();
    const known = (key: Key): number => totals.get(key) ?? this.#totals.get(key) ?? 0;
    for (const { kind, key } of items.values()) if (all && kind === 'service') totals.set(key, known(key));
    for (const { kind, key } of objects.values()) {
      const id = kind === TRANSLATION ? handles.find(key) : undefined;
      if (id === undefined) continue;
      kept.add(key);
      const grown = this.#growth.of(key, sample.translations[id] ?? 0, id);
      for (const owner of ownersOf(key)) {
        if (items.get(owner)?.kind === 'service') totals.set(owner, known(owner) + grown);
      }
    }
    this.#growth.keep(kept);
    this.#totals = totals;
    return Object.fromEntries(
      [...totals].map(([key, count]) => [key, { connections: count, packets: count }]),
    );
  }
}
