/** Where tests find an installed VPP's client library. */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Beside the folder of its plugins. */
export function clientLibrary({ pluginDir }: { readonly pluginDir: string }): string {
  const dir = dirname(pluginDir);
  const name = readdirSync(dir).find((each) => each.startsWith('libvppapiclient.so.'));
  return join(dir, name ?? 'libvppapiclient.so');
}
