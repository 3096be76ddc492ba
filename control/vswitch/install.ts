/** Where a VPP is installed: its parts under a prefix. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** An installed VPP. Plain data. */
export interface VppInstall {
  /** `/usr`, or where it was installed to. */
  readonly prefix: string;
  readonly binary: string;
  /** Folder of the API files (`core`, `plugins`). */
  readonly apiDir: string;
  /** Folder of the plugins it loads. */
  readonly pluginDir: string;
}

/** The VPP under a prefix, or the reason why there is none. */
export function vppUnder(prefix: string): VppInstall | string {
  const binary = join(prefix, 'bin/vpp');
  if (!existsSync(binary)) return `needs ${binary}`;
  const apiDir = join(prefix, 'share/vpp/api');
  if (!existsSync(apiDir)) return `needs VPP's API files in ${apiDir}`;
  const pluginDir = pluginFolders(prefix).find((folder) => existsSync(folder));
  return pluginDir === undefined
    ? `needs VPP's plugins under ${join(prefix, 'lib')}`
    : { prefix, binary, apiDir, pluginDir };
}

/** Debian's packages have them under lib/TRIPLET, others right under lib or lib64. */
function pluginFolders(prefix: string): string[] {
  const roots = ['lib', 'lib64'].map((name) => join(prefix, name)).filter((root) => existsSync(root));
  return roots.flatMap((root) => [
    join(root, 'vpp_plugins'),
    ...readdirSync(root)
      .filter((name) => name.includes('linux-gnu'))
      .map((name) => join(root, name, 'vpp_plugins')),
  ]);
}
