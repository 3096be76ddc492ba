/** All port groups, and which pods are in which. */
import { getOrMake } from '../../model/label-index.js';
import type { Model, PodSlot } from '../../model/model.js';
import { contentHash } from '../../ruleset/canonical.js';
import type { Ip, Key } from '../../ruleset/types.js';
import type { NamedPort } from '../ports.js';
import type { Output } from './output.js';
import { PortGroup } from './port-group.js';

export class PortGroups {
  private readonly groups = new Map<string, PortGroup>();
  /** `PROTOCOL/NAME` -> groups that resolve that name. */
  private readonly byPort = new Map<string, Set<PortGroup>>();
  /** Pods that are in a group. */
  private readonly grouped = new Map<PodSlot, Set<PortGroup>>();

  constructor(
    private readonly output: Output,
    /** The addresses of a pod that any of the sets holds (null = all of its addresses); none of a pod that is gone. */
    private readonly addressesIn: (peers: readonly Key[] | null, slot: PodSlot) => readonly Ip[],
  ) {}

  /** The group of these peers and this port; made of the pods of `model` if there is none. */
  get(peers: readonly Key[] | null, named: NamedPort, model: Model): PortGroup {
    const id = contentHash({ peers, named });
    const known = this.groups.get(id);
    if (known !== undefined) return known;
    const group = new PortGroup(id, peers, named, this.output);
    this.groups.set(id, group);
    getOrMake(this.byPort, portOf(named), () => new Set<PortGroup>()).add(group);
    for (const slot of model.slotsNamingPort(named.name, named.protocol)) this.placeIn(group, slot);
    group.settle();
    return group;
  }

  drop(group: PortGroup): void {
    this.groups.delete(group.id);
    const port = portOf(group.named);
    const ofPort = this.byPort.get(port);
    ofPort?.delete(group);
    if (ofPort?.size === 0) this.byPort.delete(port);
    for (const slot of group.pods()) this.takeOut(slot, group);
    group.drop();
  }

  /** Brings the groups in line with pods that came, changed or went. Returns those that have to be settled. */
  place(slots: Iterable<PodSlot>): readonly PortGroup[] {
    const changed = new Set<PortGroup>();
    if (this.groups.size === 0) return [];
    for (const slot of slots) {
      const groups = new Set(this.grouped.get(slot));
      for (const { ports } of slot.pod.spec.containers) {
        for (const { name, protocol } of ports) {
          if (name === null) continue;
          for (const group of this.byPort.get(portOf({ name, protocol })) ?? []) groups.add(group);
        }
      }
      for (const group of groups) {
        this.placeIn(group, slot);
        changed.add(group);
      }
    }
    return [...changed];
  }

  private placeIn(group: PortGroup, slot: PodSlot): void {
    const held = this.addressesIn(group.peers, slot);
    if (group.put(slot, held)) getOrMake(this.grouped, slot, () => new Set<PortGroup>()).add(group);
    else this.takeOut(slot, group);
  }

  private takeOut(slot: PodSlot, group: PortGroup): void {
    const groups = this.grouped.get(slot);
    groups?.delete(group);
    if (groups?.size === 0) this.grouped.delete(slot);
  }
}

function portOf({ name, protocol }: Pick<NamedPort, 'name' | 'protocol'>): string {
  return `${protocol}/${name}`;
}
