/** What a node is like, read from /proc and /sys; nothing is changed. `root`: where they are looked for (a test's own folder). */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces, release } from 'node:os';
import { join } from 'node:path';
import { formatCidr } from '../common/ip.js';
import type { Cidr } from '../ruleset/types.js';

export interface LinkFacts {
  /** Bytes. */
  readonly mtu: number;
  /** Addresses of global scope it has in the host's own stack. */
  readonly addresses: readonly string[];
}

/** A route of the host's own stack; default routes are none. */
export interface RouteFacts {
  readonly link: string;
  readonly destination: Cidr;
}

export interface NodeFacts {
  /** As `uname -r` says it. */
  readonly kernel: string;
  /** Whether the kernel has AF_XDP sockets; null = it does not tell. */
  readonly afXdp: boolean | null;
  /** Whether TAPs can be made. */
  readonly tun: boolean;
  /** Bytes this process may lock; Infinity = no limit. */
  readonly lockedMemory: number;
  /** Bit set of this process's capabilities (capabilities(7)). */
  readonly capabilities: bigint;
  /** Whether mounts of the host show in /run/netns here; null = /run/netns is no mount of its own. */
  readonly netnsPropagation: boolean | null;
  /** Links by name. */
  readonly links: ReadonlyMap<string, LinkFacts>;
  readonly routes: readonly RouteFacts[];
  /** Names of the network configurations the container runtime finds; null = there is no such folder. */
  readonly confFiles: readonly string[] | null;
}

export function readFacts(confDir: string, root = '/'): NodeFacts {
  const text = (path: string): string | null => readText(join(root, path));
  return {
    kernel: text('proc/sys/kernel/osrelease')?.trim() ?? release(),
    afXdp: afXdpOf(text('proc/net/protocols')),
    tun: existsSync(join(root, 'dev/net/tun')),
    lockedMemory: lockedMemoryOf(text('proc/self/limits') ?? ''),
    capabilities: capabilitiesOf(text('proc/self/status') ?? ''),
    netnsPropagation: propagationOf(text('proc/self/mountinfo') ?? '', '/run/netns'),
    links: linksOf(join(root, 'sys/class/net')),
    routes: [...routes4(text('proc/net/route') ?? ''), ...routes6(text('proc/net/ipv6_route') ?? '')],
    confFiles: filesIn(confDir),
  };
}

/** The table of protocols (net/core/sock.c) has one line for each kind of socket the kernel knows. */
function afXdpOf(protocols: string | null): boolean | null {
  return protocols === null ? null : /^XDP\s/m.test(protocols);
}

/** From /proc/self/limits; the soft limit counts. */
function lockedMemoryOf(limits: string): number {
  const soft = /^Max locked memory\s+(\S+)/m.exec(limits)?.[1];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** From /proc/self/status: what is in effect. */
export function capabilitiesOf(status: string): bigint {
  const text = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return text === undefined ? 0n : BigInt(`0x${text}`);
}

/** From mountinfo (proc(5)): its optional fields name the peer group a mount gets its news from. */
export function propagationOf(mountinfo: string, path: string): boolean | null {
  let found: boolean | null = null;
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    if (fields[4] !== path) continue;
    const end = fields.indexOf('-');
    // Of mounts one over the other the last one shows.
    found = fields.slice(6, end).some((field) => /^(shared|master):/.test(field));
  }
  return found;
}

/** /proc/net/route: name, destination, ..., the mask as eighth; words as a little-endian machine keeps network order. */
export function routes4(table: string): readonly RouteFacts[] {
  const word = (hex: string): number => Buffer.from(hex, 'hex').readUInt32LE();
  return table.split('\n').flatMap((line) => {
    const [link = '', destination = '', , , , , , mask = ''] = line.split(/\s+/);
    if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask)) return [];
    const length = Math.clz32(~word(mask));
    const cidr = formatCidr({ family: 4, value: BigInt(word(destination)), length });
    return length === 0 ? [] : [{ link, destination: cidr }];
  });
}

/** /proc/net/ipv6_route: destination, its length, ..., the name last. Link-local and multicast ones are every host's. */
export function routes6(table: string): readonly RouteFacts[] {
  return table.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [destination = '', bits = '', link = ''] = [fields[0], fields[1], fields.at(-1)];
    if (!/^[0-9a-f]{32}$/.test(destination) || /^f[ef]/.test(destination)) return [];
    const length = Number.parseInt(bits, 16);
    const cidr = formatCidr({ family: 6, value: BigInt(`0x${destination}`), length });
    return length === 0 ? [] : [{ link, destination: cidr }];
  });
}

function linksOf(folder: string): ReadonlyMap<string, LinkFacts> {
  const known = networkInterfaces();
  const links = (filesIn(folder) ?? []).map((name): [string, LinkFacts] => {
    const mtu = Number(readText(join(folder, name, 'mtu')) ?? 0);
    const addresses = (known[name] ?? [])
      .map(({ address }) => address)
      .filter((address) => !address.toLowerCase().startsWith('fe80:'));
    return [name, { mtu, addresses }];
  });
  return new Map(links);
}

function filesIn(folder: string): readonly string[] | null {
  try {
    return readdirSync(folder).sort();
  } catch {
    return null;
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
