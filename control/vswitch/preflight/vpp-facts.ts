/** What is installed of VPP: looked at without starting it. */
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { loadApiDir } from '../../backends/vpp/api/load.js';
import type { Missing } from '../../backends/vpp/objects/missing.js';
import { missingOf } from '../../backends/vpp/objects/missing.js';
import { DESCRIPTORS } from '../../backends/vpp/registry.js';
import { errorText } from '../../common/errors.js';
import type { VppInstall } from '../install.js';
import type { StartupTarget } from '../startup.js';

export interface VppFacts {
  /** `26.06`; null = its libraries do not say. */
  readonly version: string | null;
  /** Plugins without `_plugin.so`. */
  readonly plugins: ReadonlySet<string>;
  /** How many messages its API files describe; or why they cannot be read. */
  readonly messages: number | string;
  /** Kinds of objects it cannot hold. */
  readonly missing: readonly Missing[];
  /** Whether its API files describe this message. */
  has(message: string): boolean;
}

export function readVpp(install: VppInstall): VppFacts {
  const plugins = namesIn(install.pluginDir)
    .filter((name) => name.endsWith('_plugin.so'))
    .map((name) => name.slice(0, -'_plugin.so'.length));
  return {
    version: versionIn(dirname(install.pluginDir)),
    plugins: new Set(plugins),
    ...messagesOf(install),
  };
}

/** What the startup configuration has to know of it; or of none. */
export function targetOf(install: VppInstall | string): StartupTarget {
  if (typeof install === 'string') return { pluginDir: null, version: null };
  return { pluginDir: install.pluginDir, version: versionIn(dirname(install.pluginDir)) };
}

/** The one in the names of its libraries: libvlib.so.26.06. */
function versionIn(folder: string): string | null {
  for (const name of namesIn(folder)) {
    const version = /^libvlib\.so\.(\d+\.\d+)/.exec(name)?.[1];
    if (version !== undefined) return version;
  }
  return null;
}

function messagesOf({ apiDir }: VppInstall): Pick<VppFacts, 'messages' | 'missing' | 'has'> {
  try {
    const { messages } = loadApiDir(apiDir);
    const has = (message: string): boolean => messages.has(message);
    return { messages: messages.size, missing: missingOf({ has }, DESCRIPTORS), has };
  } catch (error) {
    return { messages: errorText(error), missing: [], has: () => false };
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
