/**
 * Our own source of routes in VPP. Several sources may have a route to one prefix, and the best one's is in force: ours is better than
 * that of interfaces' addresses, so that what is sent to the node can be led to the host although VPP has the address as well; and
 * routes of this source, and no others, are ours.
 */
import type { VppApi } from '../api/api.js';
import { VppRetvalError } from '../api/errors.js';

const NAME = 'pteropus';
/** The smaller, the better; interfaces have 3. */
const PRIORITY = 1;

interface SourceFields {
  readonly id: number;
  readonly name: string;
}

const known = new WeakMap<VppApi, Promise<number>>();

/** VPP's number of our source, or null where it has none yet. */
export async function findRouteSource(api: VppApi): Promise<number | null> {
  const made = known.get(api);
  if (made !== undefined) return made;
  const details = await api.dump('fib_source_dump');
  const sources = details.map((fields) => fields['src'] as unknown as SourceFields);
  return sources.find(({ name }) => name === NAME)?.id ?? null;
}

/** Makes it where there is none. A source cannot be removed from VPP. */
export function routeSource(api: VppApi): Promise<number> {
  let source = known.get(api);
  if (source === undefined) {
    source = findRouteSource(api).then(async (id) => id ?? (await add(api)));
    known.set(api, source);
    // Whoever asks next tries again.
    source.catch(() => known.delete(api));
  }
  return source;
}

async function add(api: VppApi): Promise<number> {
  const { id } = await api.request('fib_source_add', { src: { priority: PRIORITY, name: NAME } });
  // VPP says 0 when it has given out all numbers.
  if (id === 0) throw new VppRetvalError('fib_source_add', -1, 'VPP has no source of routes left');
  return Number(id);
}
