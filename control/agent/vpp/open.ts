/** VPP as the agent's data plane: the backend, and what the agent has to ask VPP itself. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openVppApi } from '../../backends/vpp/api/open.js';
import { type OpenedVppBackend, openVppBackend } from '../../backends/vpp/open.js';
import { PteropusError } from '../../common/errors.js';
import type { Mac } from '../../ruleset/types.js';
import { VHOST_NET } from '../agent-config.js';
import { untilReachable } from '../prepare.js';
import { apiDirOf, uplinkDriver, type VppConfig, vppOptions } from './config.js';

/** All there is is compared by the agent's downstream resyncs, which are less frequent. */
const LOOK_INTERVAL_MS = 10_000;

/** VPP has no interface of the name the configuration gives for the uplink. */
export class VppUplinkError extends PteropusError {}

/** Throws what openVppBackend throws; retryable as long as VPP is not there. */
export async function openVppDataplane(
  config: VppConfig,
  log: (line: string) => void,
): Promise<OpenedVppBackend> {
  const backend = await openVppBackend({
    apiSocket: config.socket,
    statsSocket: config.stats,
    apiDir: apiDirIn(config),
    // Beside the socket: it is void with this run of VPP, as the socket is.
    keepFile: join(dirname(config.socket), 'items.json'),
    options: vppOptions(config, existsSync(VHOST_NET)),
    lookIntervalMs: LOOK_INTERVAL_MS,
    log,
  });
  log(`VPP ${backend.vpp.api.version}, process ${backend.vpp.api.pid}`);
  return backend;
}

/** Asks for the MAC of the interface that is the uplink; null where the uplink is a Linux link, which has one. */
export function uplinkMacOf(config: VppConfig, log: (line: string) => void): (() => Promise<Mac>) | null {
  const uplink = uplinkDriver(config.uplink);
  if (uplink.type !== 'existing') return null;
  // VPP is started beside us, and may come later.
  return () => untilReachable(() => macOf(config, uplink.name), log);
}

async function macOf(config: VppConfig, name: string): Promise<Mac> {
  const apiDir = apiDirIn(config);
  const where = { socket: config.socket, ...(apiDir === null ? {} : { apiDir }) };
  const api = await openVppApi({ ...where, name: 'pteropus uplink' });
  try {
    const names: string[] = [];
    for (const { interface_name: found, l2_address: mac } of await api.dump('sw_interface_dump')) {
      if (found === name && typeof mac === 'string') return mac;
      names.push(String(found));
    }
    throw new VppUplinkError(`VPP has no such interface; it has ${names.join(', ')}`, {
      ...{ object: config.socket, field: 'vpp.uplink', value: name },
    });
  } finally {
    await api.close();
  }
}

/** In a container without VPP's files VPP tells them itself. */
function apiDirIn(config: VppConfig): string | null {
  const dir = apiDirOf(config);
  return existsSync(dir) ? dir : null;
}
