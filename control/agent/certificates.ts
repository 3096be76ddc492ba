/** Certificates run out in silence, and then every agent of the cluster and ksr lose the store at once: somebody is told in time. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { errorText } from '../common/errors.js';
import type { StoreConfig } from '../store/open.js';
import type { RestConfig } from './http/rest-config.js';

/** Told from so many days before the end. */
const WARN_DAYS = 30;
const DAY_MS = 86_400_000;

/** Of an agent's configuration, or ksr's. */
interface Files {
  readonly store: StoreConfig;
  readonly rest: RestConfig | null;
}

/** The PEM files whose end matters: that of the store's client and its authority, that of REST. */
export function certificateFiles({ store, rest }: Files): readonly string[] {
  const ofStore = 'endpoints' in store ? [store.certFile, store.caFile] : [];
  return [...ofStore, rest?.tls?.certFile].filter((file) => file !== undefined);
}

/** A line for each file that cannot be read, has run out, or will within 30 days. `now`: milliseconds since the epoch. */
export function certificateProblems(files: readonly string[], now = Date.now()): readonly string[] {
  return files.flatMap((file) => {
    try {
      const end = Date.parse(new X509Certificate(readFileSync(file)).validTo);
      const days = Math.floor((end - now) / DAY_MS);
      if (days >= WARN_DAYS) return [];
      const date = new Date(end).toISOString().slice(0, 10);
      return [
        end <= now
          ? `certificate ${file} ran out on ${date}`
          : `certificate ${file} runs out on ${date}, in ${days} days`,
      ];
    } catch (error) {
      return [`certificate ${file} cannot be read: ${errorText(error)}`];
    }
  });
}
