/**
 * A rig over a real VPP: af_packet on veth pairs in a network namespace of its own, AF_XDP stations at their far ends, where no
 * kernel stack answers.
 */
import { basename } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { loadApiDir } from '../../control/backends/vpp/api/load.js';
import { openVppApi } from '../../control/backends/vpp/api/open.js';
import type { VppOptions } from '../../control/backends/vpp/objects/types.js';
import { type OpenedVppBackend, openVppBackend } from '../../control/backends/vpp/open.js';
import { DEFAULT_OPTIONS } from '../../control/backends/vpp/options.js';
import { limitsOf } from '../../control/backends/vpp/services/limits.js';
import type { VppInstall } from '../../control/sim/vpp/install.js';
import type { Native } from '../../native/index.js';
import { startVpp, type TestVpp } from '../support/vpp.js';
import type { OpenRig, Rig } from './rig.js';
import { makeLink, makeNetns } from './xdp-rig.js';
import { XdpStations } from './xdp-stations.js';

/** What was sent is at VPP, and what VPP sent is at its end, after this time. */
const WAY_MS = 40;
/** VPP answers between two looks at its links: between three answers a packet has been through it, and back. */
const TURNS = 3;

export interface VppRig extends Rig {
  readonly backend: OpenedVppBackend;
  /** Path of its namespace. */
  readonly netns: string;
  readonly vpp: TestVpp;
  /** What the backend logged. */
  readonly lines: readonly string[];
  /** A command of VPP's debug CLI. */
  cli(command: string): Promise<string>;
}

export interface VppRigOptions {
  readonly install: VppInstall;
  readonly backend?: Partial<VppOptions>;
  /** More sections of VPP's startup configuration. */
  readonly startup?: string;
  /** VPP's client library: the backend talks through shared memory. One rig at a time then. */
  readonly library?: string;
}

/** Rigs over this VPP, and what it cannot do. */
export function vppRigs(native: Native, options: VppRigOptions): OpenRig {
  const { messages } = loadApiDir(options.install.apiDir);
  const { services } = { ...DEFAULT_OPTIONS, ...options.backend };
  const limits = limitsOf({ api: { has: (message) => messages.has(message) }, options: { services } });
  const lacks = new Map(limits.map((limit) => [limit.name, `${limit.what}: ${limit.why}`]));
  const kind = `${basename(options.install.prefix)} with ${services}`;
  return Object.assign(() => openVppRig(native, options), { kind, lacks });
}

export async function openVppRig(
  native: Native,
  { install, backend: wanted, startup, library }: VppRigOptions,
): Promise<VppRig> {
  const netns = makeNetns(native);
  const lines: string[] = [];
  let vpp: TestVpp | null = null;
  let stations: XdpStations | null = null;
  const close = async (): Promise<void> => {
    await stations?.close();
    await vpp?.close();
    native.deleteNetns(netns.path.slice(netns.path.lastIndexOf('/') + 1));
    netns.close();
  };
  try {
    const started = await startVpp(netns.path, install, startup);
    vpp = started;
    const { apiSocket, statsSocket } = started.paths;
    const far = new XdpStations(netns.path);
    stations = far;
    const backend = await openVppBackend({
      ...{ apiSocket, statsSocket, apiDir: install.apiDir, keepFile: null },
      ...(library === undefined ? {} : { sharedMemory: { library, prefix: started.segment } }),
      options: wanted ?? {},
      log: (line) => lines.push(line),
    });
    const cli = async (command: string): Promise<string> => {
      const api = await openVppApi({ socket: apiSocket, apiDir: install.apiDir, name: 'rig' });
      try {
        return await api.cli(command);
      } finally {
        await api.close();
      }
    };
    return {
      ...{ backend, netns: netns.path, vpp: started, lines, cli },
      attach: async (link, receive) => {
        const { far: end } = makeLink(netns, link);
        // AF_XDP sees frames as they are, so checksums are made by software; segments VPP may leave to the kernel.
        netns.setOffloads(link, { txChecksum: false, tso: false });
        netns.setOffloads(end, { txChecksum: false, tso: false, gso: false, gro: false });
        far.attach(link, end, receive);
      },
      send: (link, frame) => far.send(link, frame),
      settle: async () => {
        for (let i = 0; i < TURNS; i++) {
          await wait(WAY_MS);
          await backend.vpp.api.request('control_ping');
        }
        await wait(WAY_MS);
      },
      tamper: async () => {
        const pod = /^\S*p\d+-a\b/m.exec(await cli('show interface'))?.[0];
        await cli(`set interface state ${pod} down`);
      },
      close: async () => {
        await backend.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
