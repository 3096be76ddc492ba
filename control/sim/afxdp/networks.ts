/**
 * What a container runtime does with a node's network configuration (CNI specification, section 3 and libcni): takes the first
 * list of the folder, calls its plugins in order for ADD, each with the result of the one before, and in reverse for DEL.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CniError, type CniResult, execPlugin, type Sandbox } from './runtime.js';
import type { RuntimeConfig } from './runtime-config.js';

/** Where the node's agent puts the executable and the configuration. */
export interface CniFolders {
  readonly binDir: string;
  readonly confDir: string;
}

interface PluginConf {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
}

export interface NetworkList {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly PluginConf[];
}

/** A sandbox's network as it was made: DEL gets the configuration of its ADD, whatever the folder holds by then. */
export interface Network {
  readonly list: NetworkList;
  readonly config: RuntimeConfig;
  /** null: ADD did not come to an end. */
  readonly result: (CniResult & object) | null;
}

/** A kubelet starts no pods before a configuration is there. */
const PATIENCE_MS = 30_000;
const POLL_MS = 20;

/** The node's list, waited for. Throws CniError (11) where there is none. */
export async function findNetwork(folders: CniFolders, config: RuntimeConfig): Promise<Network> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const list = firstList(folders.confDir);
    if (list !== null) return { list, config, result: null };
    if (Date.now() > deadline) throw new CniError('ADD', 11, 'no network configuration', folders.confDir);
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

/** Calls every plugin. Throws CniError. */
export async function addNetwork(
  sandbox: Sandbox,
  network: Network,
  { binDir }: CniFolders,
): Promise<Network & { result: CniResult }> {
  let result: (CniResult & object) | null = null;
  for (const plugin of network.list.plugins) {
    const conf = confOf(plugin, network, result);
    result = JSON.parse(
      await execPlugin(join(binDir, plugin.type), 'ADD', sandbox, binDir, conf),
    ) as CniResult & object;
  }
  return { ...network, result: { ...result, ips: result?.ips ?? [] } };
}

/** Takes the network away; nothing there is fine. Throws CniError. */
export async function deleteNetwork(
  sandbox: Sandbox,
  network: Network,
  { binDir }: CniFolders,
): Promise<void> {
  for (const plugin of [...network.list.plugins].reverse()) {
    await execPlugin(
      join(binDir, plugin.type),
      'DEL',
      sandbox,
      binDir,
      confOf(plugin, network, network.result),
    );
  }
}

/** What one plugin gets: its part of the list, and of the capabilities those it declares. */
function confOf(plugin: PluginConf, { list, config }: Network, prevResult: object | null): object {
  const { capabilities, ...own } = plugin;
  const runtimeConfig = Object.fromEntries(
    Object.entries(config).filter(([capability]) => capabilities?.[capability] === true),
  );
  return {
    ...own,
    ...{ name: list.name, cniVersion: list.cniVersion },
    ...(Object.keys(runtimeConfig).length === 0 ? {} : { runtimeConfig }),
    ...(prevResult === null ? {} : { prevResult }),
  };
}

function firstList(confDir: string): NetworkList | null {
  try {
    const [name] = readdirSync(confDir)
      .filter((file) => file.endsWith('.conflist'))
      .sort();
    return name === undefined ? null : (JSON.parse(readFileSync(join(confDir, name), 'utf8')) as NetworkList);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
