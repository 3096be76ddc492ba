/** Two pods of one node, by way of VPP as we drive it, or by the kernel alone: namespaces, links, addresses. */
import { execFile, execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readAgentConfig } from '../control/agent/agent-config.js';
import { apiDirOf, type VppConfig, vppOptions } from '../control/agent/vpp/config.js';
import type { Fields, VppApi } from '../control/backends/vpp/api/api.js';
import { openVppApi } from '../control/backends/vpp/api/open.js';
import { memifId } from '../control/backends/vpp/links/source.js';
import type { VppOptions } from '../control/backends/vpp/objects/types.js';
import { openObserver } from '../control/backends/vpp/observer.js';
import { type OpenedVppBackend, openOver } from '../control/backends/vpp/open.js';
import { DEFAULT_OPTIONS } from '../control/backends/vpp/options.js';
import { DESCRIPTORS, renderersOf } from '../control/backends/vpp/registry.js';
import { hasFlows } from '../control/backends/vpp/services/cnat-version.js';
import type { InterfaceItem, Item } from '../control/ruleset/types.js';
import { Bed } from '../control/vswitch/fixtures.js';
import type { Native, Netns } from '../native/index.js';
import {
  gateway,
  gatewayMac,
  hostLink,
  nodeItems,
  podAddress,
  podItems,
  podLink,
  podMac,
  uplinkLink,
} from '../test/backends/items.js';

const run = promisify(execFile);

export const CLIENT = podAddress(1, 1);
export const SERVER = podAddress(1, 2);
const PODS = [
  { name: 'a', number: 1, address: CLIENT },
  { name: 'b', number: 2, address: SERVER },
] as const;
const MTU = 1450;

export interface Lab {
  readonly name: string;
  /** Namespaces of the pods. */
  readonly client: string;
  readonly server: string;
  /** While it is not measured its VPP is stopped, which would take a core from the others. */
  rest(): void;
  wake(): void;
  /** The pods have the kernel's stack. */
  readonly stack: boolean;
  /** The pods' ends for the program `pods` (vpp-pods/pods.c), the client's first; null: frames are not measured here. */
  readonly ends: readonly string[] | null;
  /** Who forwards has this core for itself; null: any. */
  pin(core: number | null): void;
  close(): Promise<void>;
}

export interface VppKind {
  readonly name: string;
  readonly pods: 'af_packet' | 'af_xdp' | 'tap' | 'memif';
  /** Pods leave checksums and segments to VPP. */
  readonly offloads: boolean;
  /** Packet sockets pass them on whole, which the backend does not let them. */
  readonly segments?: boolean;
}

export const ip = (netns: string, ...args: string[]): Promise<unknown> => run('ip', ['-n', netns, ...args]);

/** The pod's end as the agent makes it. */
async function configurePod(netns: string, pod: (typeof PODS)[number]): Promise<void> {
  await ip(netns, 'link', 'set', 'eth0', 'mtu', String(MTU), 'up');
  await ip(netns, 'addr', 'add', `${pod.address}/32`, 'dev', 'eth0');
  await ip(netns, 'neigh', 'add', gateway(1), 'lladdr', gatewayMac(1), 'dev', 'eth0', 'nud', 'permanent');
  await ip(netns, 'route', 'add', gateway(1), 'dev', 'eth0');
  await ip(netns, 'route', 'add', 'default', 'via', gateway(1));
}

/** Packet sockets as VPP makes them when it may pass large segments on whole: rings of version 3, with room for 64 KiB (69 MiB). */
const SEGMENTS: Fields = {
  flags: ['AF_PACKET_API_FLAG_QDISC_BYPASS', 'AF_PACKET_API_FLAG_CKSUM_GSO'],
  ...{ rx_frame_size: 0, rx_frames_per_block: 0, tx_frame_size: 0, tx_frames_per_block: 0 },
};

async function openBackend(vpp: VppConfig, kind: VppKind, memif: string): Promise<OpenedVppBackend> {
  const api = await openVppApi({ socket: vpp.socket, apiDir: apiDirOf(vpp), name: 'bench' });
  const request: VppApi['request'] = (message, fields) => {
    const segments = message === 'af_packet_create_v3' && kind.segments === true;
    return api.request(message, segments ? { ...fields, ...SEGMENTS } : fields);
  };
  const { version, pid, lost } = api;
  const through: VppApi = {
    ...{ version, pid, lost, request },
    has: (message) => api.has(message),
    dump: (message, fields) => api.dump(message, fields),
    cli: (command) => api.cli(command),
    onEvent: (message, listener) => api.onEvent(message, listener),
    close: () => api.close(),
  };
  const configured = { ...DEFAULT_OPTIONS, pingsApart: hasFlows(api), ...vppOptions(vpp, false) };
  const options: VppOptions =
    kind.pods === 'memif' ? { ...configured, pod: { type: 'memif', socket: memif } } : configured;
  return openOver(through, {
    ...{ options, renderers: renderersOf(options), descriptors: DESCRIPTORS, keepFile: null },
    ...{ observer: openObserver(null), log: () => undefined },
  });
}

/** The node's rules of the behaviour suite, two open pods in it. `prefix`: where VPP is. */
export async function openVppLab(native: Native, prefix: string, kind: VppKind, netns: string): Promise<Lab> {
  const bed = new Bed(prefix);
  const names = PODS.map(({ name }) => `${netns}${name}`);
  const open: Netns[] = [];
  const close = async (): Promise<void> => {
    await bed.close();
    for (const each of open) each.close();
    for (const name of names) native.deleteNetns(name);
  };
  try {
    const node = native.openNetns(`/run/netns/${bed.netns}`);
    open.push(node);
    for (const link of [uplinkLink(1), hostLink(1)]) {
      node.createVeth({ name: link }, { name: `${link}f` });
      for (const end of [link, `${link}f`]) node.setLink(end, { up: true });
    }
    for (const [i, pod] of PODS.entries()) {
      const name = names[i] ?? '';
      const inside = native.createNetns(name);
      open.push(inside);
      const mac = podMac(1, pod.number);
      // A program with a memif has neither link nor addresses.
      if (kind.pods === 'memif') continue;
      if (kind.pods === 'tap') {
        inside.createTap('eth0', { multiQueue: true });
        inside.setLink('eth0', { mac });
      } else {
        const near = podLink(1, pod.name);
        node.createVeth(
          { name: near, mac: gatewayMac(1), mtu: MTU },
          { name: 'eth0', mac, mtu: MTU, netns: inside },
        );
        node.setLink(near, { up: true });
        node.deafen(near);
        inside.setOffloads('eth0', { txChecksum: kind.offloads, tso: kind.offloads });
      }
      await configurePod(name, pod);
    }
    const startup = { heap: '512M', buffers: 16_384, statsBytes: '32M', segment: bed.segment };
    const configured = kind.pods === 'af_xdp' ? 'af_xdp' : 'af_packet';
    bed.configure({ pods: configured, startup, stuckSeconds: 0 });
    const { said } = bed.start('--no-agent');
    await said(/"ready":true/);
    const { vpp } = readAgentConfig(bed.config);
    if (vpp === null) throw new Error('no vpp');
    const socket = join(vpp.runDir, 'pods.memif');
    const backend = await openBackend(vpp, kind, socket);
    const items = [...nodeItems(1), ...PODS.flatMap(({ number, name }) => podItems(1, number, name))];
    const results = await backend.apply(
      items.map((item) => ({
        type: 'add',
        key: item.key,
        item: kind.pods === 'tap' ? asTap(item, names) : item,
      })),
    );
    const refused = results.find(({ error }) => error !== null);
    await backend.close();
    if (refused !== undefined) throw new Error(`${refused.key}: ${refused.error?.message}`);
    const { record } = bed;
    if (record === null) throw new Error('no VPP');
    const signal = (which: NodeJS.Signals) => () => void process.kill(record.pid, which);
    const [rest, wake] = [signal('SIGSTOP'), signal('SIGCONT')];
    return {
      ...{ name: kind.name, client: names[0] ?? '', server: names[1] ?? '', rest, wake },
      stack: kind.pods !== 'memif',
      ends:
        kind.pods === 'memif'
          ? ['memif', ...PODS.flatMap(({ name }) => [socket, String(memifId(podLink(1, name)))])]
          : xdpEnds(names),
      pin: (core) => {
        const cores = core === null ? `0-${cpus().length - 1}` : String(core);
        execFileSync('taskset', ['-a', '-p', '-c', cores, String(record.pid)], { stdio: 'ignore' });
      },
      close: async () => {
        wake();
        await close();
      },
    };
  } catch (error) {
    process.stderr.write(`${bed.log()}\n`);
    await close();
    throw error;
  }
}

const xdpEnds = (names: readonly string[]): readonly string[] => [
  'xdp',
  ...names.flatMap((name) => [`/run/netns/${name}`, 'eth0']),
];

function asTap(item: Item, names: readonly string[]): Item {
  if (item.kind !== 'interface' || item.role !== 'pod') return item;
  const index = PODS.findIndex(({ name }) => name === item.pod?.name);
  const tap = { netns: `/run/netns/${names[index]}`, ifname: 'eth0' };
  return { ...item, tap } satisfies InterfaceItem;
}

/** Two veths, and the kernel routes from one to the other: what a node without a data plane of its own does. */
export async function openKernelLab(native: Native, netns: string, offloads: boolean): Promise<Lab> {
  const node = native.createNetns(`${netns}n`);
  const names = PODS.map(({ name }) => `${netns}${name}`);
  const open = [node];
  node.setSysctl('net/ipv4/ip_forward', '1');
  for (const [i, pod] of PODS.entries()) {
    const name = names[i] ?? '';
    const inside = native.createNetns(name);
    open.push(inside);
    const near = podLink(1, pod.name);
    const mac = podMac(1, pod.number);
    node.createVeth(
      { name: near, mac: gatewayMac(1), mtu: MTU },
      { name: 'eth0', mac, mtu: MTU, netns: inside },
    );
    node.setLink(near, { up: true });
    if (!offloads) inside.setOffloads('eth0', { txChecksum: false, tso: false, gso: false, gro: false });
    await configurePod(name, pod);
    await ip(`${netns}n`, 'route', 'add', pod.address, 'dev', near);
    await ip(`${netns}n`, 'neigh', 'add', pod.address, 'lladdr', mac, 'dev', near, 'nud', 'permanent');
  }
  const close = async (): Promise<void> => {
    for (const each of open) each.close();
    for (const name of [...names, `${netns}n`]) native.deleteNetns(name);
  };
  const nothing = (): void => undefined;
  // The kernel forwards where a packet was sent, or on the core it is told to (RPS).
  const pin = (core: number | null): void => {
    const mask = core === null ? '0' : (1 << core).toString(16);
    for (const { name } of PODS) {
      const file = `/sys/class/net/${podLink(1, name)}/queues/rx-0/rps_cpus`;
      execFileSync('ip', ['netns', 'exec', `${netns}n`, 'sh', '-c', `echo ${mask} > ${file}`]);
    }
  };
  return {
    ...{ name: offloads ? 'kernel' : 'kernel, no offloads', client: names[0] ?? '', server: names[1] ?? '' },
    // AF_XDP sends and takes packets, offloads or none.
    ...{ stack: true, rest: nothing, wake: nothing, ends: offloads ? xdpEnds(names) : null, pin, close },
  };
}
