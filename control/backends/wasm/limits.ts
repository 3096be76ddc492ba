/** What a pod may send and receive, as the pipeline's token buckets have it. */
import * as L from '../../../dataplane-as/layout/index.js';
import type { InterfaceItem, RateLimit } from '../../ruleset/types.js';

const MOST = 0xffffffff;

/** The words of an interface's limits (LIMIT_SIZE). */
export function limitWords({ limits }: InterfaceItem): readonly number[] {
  const words = new Array<number>(L.LIMIT_SIZE / 4).fill(0);
  const put = (at: number, limit: RateLimit | null): void => {
    if (limit === null) return;
    words[(at + L.LIMIT_RATE) / 4] = bytes(limit.bitsPerSecond);
    words[(at + L.LIMIT_BURST) / 4] = bytes(limit.burstBits);
  };
  put(L.LIMIT_TO_POD, limits?.toPod ?? null);
  put(L.LIMIT_FROM_POD, limits?.fromPod ?? null);
  return words;
}

export function isLimited({ limits }: InterfaceItem): boolean {
  return limits !== undefined && (limits.toPod !== null || limits.fromPod !== null);
}

/** At least one: less would be no limit to the pipeline. Beyond 34 Gbit/s there is none to speak of. */
function bytes(bits: number): number {
  return Math.min(MOST, Math.max(1, Math.round(bits / 8)));
}
