/** Follows a prefix of a store for as long as it is wanted: after a gap it is listed anew, whatever the store went through. */
import type { Entry, Store, Watch } from '../store/store.js';

export interface PrefixHandler {
  put(entry: Entry): void;
  deleted(key: string): void;
  /** All up to this revision was told, which is that of a change under the prefix: nobody who follows it stays before it. */
  revision?(revision: number): void;
}

export interface Followed {
  close(): void;
}

const PAUSE_MS = 100;

export function followPrefix(store: Store, prefix: string, handler: PrefixHandler): Followed {
  const known = new Set<string>();
  let closed = false;
  let watch: Watch | null = null;
  let timer: NodeJS.Timeout | null = null;

  const list = async (): Promise<void> => {
    const { entries, revision } = await store.list(prefix);
    const newest = entries.reduce((latest, entry) => Math.max(latest, entry.revision), 0);
    if (closed) return;
    const there = new Set(entries.map(({ key }) => key));
    for (const key of [...known]) if (!there.has(key)) forget(key);
    for (const entry of entries) learn(entry);
    handler.revision?.(newest);
    watch = store.watch(prefix, revision, {
      events(events, at) {
        for (const event of events) {
          if (event.type === 'put') learn(event.entry);
          else forget(event.key);
        }
        handler.revision?.(at);
      },
      lost: again,
    });
  };
  const learn = (entry: Entry): void => {
    known.add(entry.key);
    handler.put(entry);
  };
  const forget = (key: string): void => {
    known.delete(key);
    handler.deleted(key);
  };
  const again = (): void => {
    watch = null;
    if (closed) return;
    timer = setTimeout(start, PAUSE_MS);
  };
  const start = (): void => {
    list().catch(again);
  };
  start();
  return {
    close() {
      closed = true;
      watch?.close();
      if (timer !== null) clearTimeout(timer);
    },
  };
}
