/** What VPP has a bounded amount of. */
import type { TableUse } from '../../backend.js';
import type { StatValue } from '../stats/values.js';
import type { Sample } from './sample.js';

/** `buffers` in packets, memory in bytes. */
export function tablesOf({ values }: Sample): Record<string, TableUse> {
  const tables: Record<string, TableUse> = {};
  let [used, limit] = [0, 0];
  for (const [name, value] of values) {
    if (!name.startsWith('/buffer-pools/')) continue;
    const count = scalar(value);
    limit += count;
    if (name.endsWith('/used')) used += count;
  }
  if (limit > 0) tables['buffers'] = { used, limit };
  for (const [name, heap] of [
    ['main-heap', '/mem/main heap'],
    ['stats-heap', '/mem/stat segment'],
  ] as const) {
    const total = scalar(values.get(`${heap}/total`));
    if (total > 0) tables[name] = { used: scalar(values.get(`${heap}/used`)), limit: total };
  }
  return tables;
}

/** A scalar, or the first figure of a vector. */
function scalar(value: StatValue | undefined): number {
  if (value?.type === 'scalar') return value.value;
  return value?.type === 'simple' ? Number(value.threads[0]?.[0] ?? 0n) : 0;
}
