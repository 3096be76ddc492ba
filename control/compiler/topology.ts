/** Which endpoints are near: hints of EndpointSlices, and trafficDistribution where nobody has set hints. Pure. */
import type { Seat } from './seat.js';

/** Of nodes; set by clouds and administrators. */
export const ZONE_LABEL = 'topology.kubernetes.io/zone';

/** Where traffic comes from. */
export interface Place {
  readonly node: string;
  readonly zone: string | null;
}

type Hints = NonNullable<Seat['hints']>;

const NONE: Hints = { forZones: [], forNodes: [] };

/**
 * The candidates that traffic from `place` should go to: those meant for its node, else those meant for its zone, else all. Hints count
 * only if every ready endpoint has one and one at least is for this place; otherwise some endpoint would get nothing, or all of
 * it (KEP-2433, KEP-4444). Endpoints that are not ready are left to whoever chooses among what is returned.
 */
export function nearest(
  candidates: readonly Seat[],
  place: Place,
  trafficDistribution: string | null,
): readonly Seat[] {
  const ready = candidates.filter((candidate) => candidate.ready);
  const given = ready.some(
    ({ hints }) => hints !== null && hints.forZones.length + hints.forNodes.length > 0,
  );
  const hinted = ready.map((candidate) => ({
    candidate,
    hints: given ? (candidate.hints ?? NONE) : ownHints(candidate, trafficDistribution),
  }));
  const meantFor = (name: string | null, of: keyof Hints): readonly Seat[] =>
    name !== null && hinted.every(({ hints }) => hints[of].length > 0)
      ? hinted.filter(({ hints }) => hints[of].includes(name)).map(({ candidate }) => candidate)
      : [];
  const onNode = meantFor(place.node, 'forNodes');
  if (onNode.length > 0) return onNode;
  const inZone = meantFor(place.zone, 'forZones');
  return inZone.length > 0 ? inZone : candidates;
}

/** What the EndpointSlice controller would write: an endpoint is for where it is itself. */
function ownHints({ node, zone }: Seat, trafficDistribution: string | null): Hints {
  const forZones = zone === null ? [] : [zone];
  switch (trafficDistribution) {
    case 'PreferSameNode':
      return { forZones, forNodes: node === null ? [] : [node] };
    case 'PreferSameZone':
    case 'PreferClose':
      return { forZones, forNodes: [] };
    default:
      return NONE;
  }
}
