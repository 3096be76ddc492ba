/** Which families a question can be answered in. Pure. */
import { InvalidInputError } from '../common/errors.js';
import type { Family } from '../common/ip.js';
import { familyOf } from '../compiler/context.js';
import type { Service } from '../objects/types.js';
import type { PaperCluster } from './cluster.js';
import type { End, Target } from './ends.js';

/** Those to answer in: the one that was asked for, or all that both ends have. Throws InvalidInputError if there is none. */
export function familiesFor(
  { config }: PaperCluster,
  from: End,
  target: Target,
  asked: Family | null,
): readonly [Family, ...Family[]] {
  const to = 'end' in target ? target.end : serviceEnd(target.service);
  const has = ({ addresses }: Pick<End, 'addresses'>, family: Family): boolean =>
    addresses.some((ip) => familyOf(ip) === family);
  const wanted: readonly Family[] = asked === null ? [4, 6] : [asked];
  const [first, ...others] = wanted.filter((family) => has(from, family) && has(to, family));
  if (first !== undefined) return [first, ...others];
  const family = asked ?? (has(to, 4) ? 4 : 6);
  const object = has(from, family) ? to.name : from.name;
  const hint = config.ipv6 === null && family === 6 ? '; --dual-stack gives the cluster both families' : '';
  throw new InvalidInputError(`has no IPv${family} address${hint}`, { object });
}

/** Throws InvalidInputError if it has no cluster IP. */
function serviceEnd({ metadata, spec }: Service): Pick<End, 'name' | 'addresses'> {
  const object = `Service ${metadata.namespace}/${metadata.name}`;
  const [address] = spec.clusterIPs;
  if (address === undefined || address === 'None') {
    throw new InvalidInputError('has no cluster IP: ask for its pods', { object });
  }
  return { name: object, addresses: spec.clusterIPs };
}
