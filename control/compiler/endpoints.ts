/** The endpoints behind the ports of a Service, and which of them get traffic. */
import { commonEnds, sameList } from '../common/ends.js';
import { getOrMake } from '../model/label-index.js';
import type { Model } from '../model/model.js';
import { parseWeight, WEIGHT_ANNOTATION } from '../model/problems.js';
import type { Endpoint, EndpointSlice, Pod, Service, ServicePort } from '../objects/types.js';
import { compareText } from '../ruleset/canonical.js';
import type { Ip, ServiceBackend } from '../ruleset/types.js';
import { type Context, familyOf } from './context.js';
import type { Seat } from './seat.js';
import { nearest, ZONE_LABEL } from './topology.js';

export { parseWeight, WEIGHT_ANNOTATION };

/** Endpoints that are the same for some ports, and who of them was chosen for what. */
interface Group {
  /** In order of address. */
  readonly seats: readonly Seat[];
  readonly choices: Map<string, Choice>;
}

interface Choice {
  readonly seats: readonly Seat[];
  /** By number of the port. */
  readonly backends: Map<number, readonly ServiceBackend[]>;
}

/** What one compilation of a Service leaves for the next one: where nothing changed, lists and what is in them stay the same objects. */
export type Remembered = ReadonlyMap<string, Group>;

/** With fewer backends, over all ports, a Service is as well compiled without. */
const WORTH_REMEMBERING = 512;

/** What a port of a Service leads to. */
export interface PortEndpoints {
  /** Of the whole cluster, the near ones where the Service or its slices prefer them. */
  anywhere(): readonly ServiceBackend[];
  on(node: string): readonly ServiceBackend[];
  /** Addresses of the ready ones on a node. */
  readyOn(node: string): readonly Ip[];
}

/** All endpoints of one Service; most ports share what is worked out for one of them. */
export class ServiceEndpoints {
  readonly #groups = new Map<string, Group>();
  readonly #slices = new Map<4 | 6, readonly EndpointSlice[]>();
  readonly #numbers = new Map<EndpointSlice, Map<string, number[]>>();
  readonly #seats = new Map<EndpointSlice, readonly Seat[]>();

  constructor(
    readonly context: Pick<Context, 'model' | 'self'>,
    readonly service: Service,
    readonly old: Remembered | null = null,
  ) {}

  /** For the next time; null where it is not worth it. */
  remembered(): Remembered | null {
    let backends = 0;
    for (const { choices } of this.#groups.values())
      for (const { seats, backends: lists } of choices.values()) backends += seats.length * lists.size;
    return backends < WORTH_REMEMBERING ? null : this.#groups;
  }

  /**
   * The endpoints of a port, its slices merged. A slice's port belongs to the Service's port of the same name and protocol. An endpoint
   * that is in two slices (it is being moved) counts once, as the readier of the two.
   */
  of(port: ServicePort, family: 4 | 6): PortEndpoints {
    const slices = this.#slicesOf(family);
    const known = portName(port);
    const numbers = slices.map((slice) => this.#numbersOf(slice).get(known) ?? NO_NUMBERS);
    const [number = 0, ...others] = new Set(numbers.flat());
    const single = others.length === 0;
    const name = `${family} ${JSON.stringify(single ? numbers.map((own) => own.length > 0) : numbers)}`;
    let group = this.#groups.get(name);
    if (group === undefined) {
      const seats = this.#merged(slices, numbers, single);
      group = { seats: reused(seats, this.old?.get(name)?.seats ?? []), choices: new Map() };
      this.#groups.set(name, group);
    }
    return this.#portEndpoints(group, this.old?.get(name), number);
  }

  #portEndpoints(group: Group, old: Group | undefined, number: number): PortEndpoints {
    const { model, self } = this.context;
    const chosen = (name: string, choose: () => readonly Seat[]): readonly ServiceBackend[] => {
      let choice = group.choices.get(name);
      if (choice === undefined) {
        choice = { seats: usable(choose()), backends: new Map() };
        group.choices.set(name, choice);
      }
      let backends = choice.backends.get(number);
      if (backends === undefined) {
        backends = backendsOf(choice.seats, number, old?.choices.get(name));
        choice.backends.set(number, backends);
      }
      return backends;
    };
    const on = (node: string) => group.seats.filter((seat) => seat.node === node);
    return {
      anywhere: () => {
        const place = { node: self.name, zone: zoneOf(model, self.name) };
        const { trafficDistribution } = this.service.spec;
        return chosen('anywhere', () => nearest(group.seats, place, trafficDistribution));
      },
      on: (node) => chosen(`on ${node}`, () => on(node)),
      readyOn: (node) => on(node).flatMap(({ ready, address }) => (ready ? address : [])),
    };
  }

  #slicesOf(family: 4 | 6): readonly EndpointSlice[] {
    const known = this.#slices.get(family);
    if (known !== undefined) return known;
    const type: EndpointSlice['addressType'] = family === 4 ? 'IPv4' : 'IPv6';
    const { namespace, name } = this.service.metadata;
    const slices = [...this.context.model.slicesOf(namespace ?? '', name)]
      .filter((slice) => slice.addressType === type)
      .sort((a, b) => compareText(a.metadata.name, b.metadata.name));
    this.#slices.set(family, slices);
    return slices;
  }

  /** The numbers of a slice's ports, by name and protocol. */
  #numbersOf(slice: EndpointSlice): ReadonlyMap<string, readonly number[]> {
    let known = this.#numbers.get(slice);
    if (known === undefined) {
      known = new Map<string, number[]>();
      for (const port of slice.ports) {
        if (port.port !== null) getOrMake(known, portName(port), () => []).push(port.port);
      }
      this.#numbers.set(slice, known);
    }
    return known;
  }

  #seatsOf(slice: EndpointSlice): readonly Seat[] {
    const known = this.#seats.get(slice);
    if (known !== undefined) return known;
    const { model } = this.context;
    const family = slice.addressType === 'IPv4' ? 4 : 6;
    const seats = slice.endpoints.flatMap((endpoint) => seatOf(model, this.service, endpoint) ?? []);
    const own = seats.filter(({ address }) => familyOf(address) === family);
    this.#seats.set(slice, own);
    return own;
  }

  /** In order of address, and of port where they have their own. */
  #merged(
    slices: readonly EndpointSlice[],
    numbers: readonly (readonly number[])[],
    single: boolean,
  ): readonly Seat[] {
    const found = new Map<string, Seat>();
    for (const [i, slice] of slices.entries()) {
      for (const number of numbers[i] ?? []) {
        for (const seat of this.#seatsOf(slice)) {
          const key = single ? seat.address : `${seat.address} ${number}`;
          const other = found.get(key);
          if (other !== undefined && rank(seat) <= rank(other)) continue;
          found.set(key, single ? seat : { ...seat, port: number });
        }
      }
    }
    return [...found.values()].sort(compareSeats);
  }
}

const NO_NUMBERS: readonly number[] = [];

function portName({ name, protocol }: Pick<ServicePort, 'name' | 'protocol'>): string {
  return name === null ? protocol : `${protocol} ${name}`;
}

function seatOf(model: Model, service: Service, endpoint: Endpoint): Seat | null {
  // The API leaves the meaning of further addresses open; every proxy takes the first.
  const [address] = endpoint.addresses;
  if (address === undefined) return null;
  const { conditions, targetRef, nodeName, zone, hints } = endpoint;
  const pod =
    targetRef?.kind === 'Pod'
      ? { namespace: targetRef.namespace ?? service.metadata.namespace ?? '', name: targetRef.name }
      : null;
  return {
    address,
    port: null,
    ready: conditions.ready,
    draining: conditions.serving && conditions.terminating,
    node: nodeName,
    pod,
    weight: pod === null ? 1 : weightOf(model.get('Pod', pod.namespace, pod.name)),
    zone: zone ?? zoneOf(model, nodeName),
    hints,
  };
}

function weightOf(pod: Pod | undefined): number {
  return parseWeight(pod?.metadata.annotations[WEIGHT_ANNOTATION]) ?? 1;
}

/** The zone a node is labelled with. */
function zoneOf(model: Model, node: string | null): string | null {
  const labels = node === null ? undefined : model.get('Node', null, node)?.metadata.labels;
  return labels?.[ZONE_LABEL] || null;
}

function rank({ ready, draining }: Seat): number {
  return ready ? 2 : draining ? 1 : 0;
}

function compareSeats(a: Seat, b: Seat): number {
  return compareText(a.address, b.address) || (a.port ?? 0) - (b.port ?? 0);
}

/** The ready ones; if there is none, those that still serve while they terminate. */
function usable(seats: readonly Seat[]): readonly Seat[] {
  const ready = seats.filter((seat) => seat.ready);
  return ready.length > 0 ? ready : seats.filter((seat) => seat.draining);
}

/** The seats, where `old` (in the same order) has an equal one, that one. */
function reused(seats: readonly Seat[], old: readonly Seat[]): readonly Seat[] {
  if (old.length === 0) return seats;
  let at = 0;
  return seats.map((seat) => {
    let other = old[at];
    while (other !== undefined && compareSeats(other, seat) < 0) other = old[++at];
    return other !== undefined && sameSeat(other, seat) ? other : seat;
  });
}

function sameSeat(a: Seat, b: Seat): boolean {
  return (
    a.address === b.address &&
    a.port === b.port &&
    a.ready === b.ready &&
    a.draining === b.draining &&
    a.node === b.node &&
    a.pod?.namespace === b.pod?.namespace &&
    a.pod?.name === b.pod?.name &&
    a.weight === b.weight &&
    a.zone === b.zone &&
    (a.hints === null || b.hints === null
      ? a.hints === b.hints
      : sameList(a.hints.forZones, b.hints.forZones) && sameList(a.hints.forNodes, b.hints.forNodes))
  );
}

/** The backends that seats are on a port. What they begin and end with as `old` does, they have from there. */
function backendsOf(
  seats: readonly Seat[],
  number: number,
  old: Choice | undefined,
): readonly ServiceBackend[] {
  const make = ({ address, port, weight, pod, node }: Seat): ServiceBackend => {
    return { address, port: port ?? number, weight, pod, node };
  };
  const backends = old?.backends.get(number);
  if (old === undefined || backends === undefined) return seats.map(make);
  const { front, back } = commonEnds(seats, old.seats);
  if (front === seats.length && front === old.seats.length) return backends;
  const middle = seats.slice(front, seats.length - back).map(make);
  return backends.slice(0, front).concat(middle, backends.slice(backends.length - back));
}
