/** Startup configuration of a small VPP that shares its core with others: no NIC, no hugepages, sleeping between looks. */
import { join } from 'node:path';
import type { VppInstall } from './install.js';

/** Files of one VPP. Socket paths are limited to 107 bytes. */
export interface VppPaths {
  readonly dir: string;
  readonly config: string;
  readonly apiSocket: string;
  readonly statsSocket: string;
  readonly cliSocket: string;
  readonly log: string;
}

export function vppPaths(dir: string): VppPaths {
  return {
    dir,
    config: join(dir, 'vpp.conf'),
    apiSocket: join(dir, 'api.sock'),
    statsSocket: join(dir, 'stats.sock'),
    cliSocket: join(dir, 'cli.sock'),
    log: join(dir, 'vpp.log'),
  };
}

export interface SmallVpp {
  readonly install: VppInstall;
  readonly paths: VppPaths;
  /** Of its files in /dev/shm: no two VPPs of a machine may have the same. */
  readonly segment: string;
}

/** Pure. */
export function smallStartup({ install, paths, segment }: SmallVpp): string {
  return `unix { nodaemon cli-listen ${paths.cliSocket} log ${paths.log} poll-sleep-usec 100 }
socksvr { socket-name ${paths.apiSocket} }
statseg { socket-name ${paths.statsSocket} size 32M page-size default }
api-segment { prefix ${segment} }
memory { main-heap-size 1G main-heap-page-size default }
buffers { buffers-per-numa 8192 page-size default }
plugins { path ${install.pluginDir} plugin dpdk_plugin.so { disable } }
`;
}

/** What a VPP with this prefix leaves in /dev/shm when it is killed. */
export function segmentFiles(segment: string): readonly string[] {
  return [`/dev/shm/${segment}-global_vm`, `/dev/shm/${segment}-vpe-api`];
}
