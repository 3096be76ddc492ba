/** Notices when manifests under -f change. Editors replace files, so folders are watched, not files. */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

/** Writes of one save come together: this long after the first of them the files are read. */
const SETTLE_MS = 15;

/**
 * Calls `changed` with the time (ms since 1970) of the first sign of a change, one call at a time. Returns what ends it.
 * Standard input cannot change.
 */
export function watchFiles(args: readonly string[], changed: (saved: number) => Promise<void>): () => void {
  let timer: NodeJS.Timeout | null = null;
  let first = 0;
  let running: Promise<void> = Promise.resolve();
  const sign = () => {
    if (timer !== null) return;
    first = Date.now();
    timer = setTimeout(() => {
      timer = null;
      const saved = first;
      running = running.then(() => changed(saved));
    }, SETTLE_MS);
  };
  const watchers = args
    .filter((arg) => arg !== '-')
    .flatMap((arg): readonly FSWatcher[] => {
      const path = resolve(arg);
      const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
      const watcher = watch(folder ? path : dirname(path), (_event, name) => {
        if (folder || name === null || name === basename(path)) sign();
      });
      // A folder that is taken away ends the watching, not the cluster.
      watcher.on('error', () => watcher.close());
      return [watcher];
    });
  return () => {
    if (timer !== null) clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
