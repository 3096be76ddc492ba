/** What the host's own stack does with a link, and what would be cut off if VPP took it. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';

export interface HostUse {
  /** Addresses of global scope. */
  readonly addresses: readonly string[];
  /** Routes of the main table, of both families, without those of its own addresses. */
  readonly routes: number;
  /** One of them is a default route. */
  readonly defaultRoute: boolean;
  /** Who is logged in by ssh through it; null = nobody of this session. */
  readonly sshPeer: string | null;
}

export interface HostUseSource {
  readonly root?: string;
  readonly addresses?: (link: string) => readonly string[];
  /** `$SSH_CONNECTION`: client's address and port, ours and port (sshd(8)). */
  readonly ssh?: string | undefined;
}

export function hostUseOf(link: string, source: HostUseSource = {}): HostUse {
  const { root = '/', ssh = process.env['SSH_CONNECTION'] } = source;
  const addresses = (source.addresses ?? globalAddresses)(link);
  const routes = [
    ...routes4(read(join(root, 'proc/net/route')), link),
    ...routes6(read(join(root, 'proc/net/ipv6_route')), link),
  ];
  const [client, , server] = (ssh ?? '').split(' ');
  const ours = server !== undefined && addresses.includes(server);
  return {
    addresses,
    routes: routes.length,
    defaultRoute: routes.includes('default'),
    sshPeer: ours ? (client ?? null) : null,
  };
}

/** null: nothing would be cut off. */
export function cutOff({ addresses, routes, defaultRoute, sshPeer }: HostUse): string | null {
  const parts = [
    ...(addresses.length === 0 ? [] : [`addresses ${addresses.join(', ')}`]),
    ...(routes === 0
      ? []
      : [
          `${routes} route${routes === 1 ? '' : 's'}${defaultRoute ? ' (the default route among them)' : ''}`,
        ]),
    ...(sshPeer === null ? [] : [`your ssh session from ${sshPeer}`]),
  ];
  return parts.length === 0 ? null : parts.join(', ');
}

function globalAddresses(link: string): readonly string[] {
  const known = networkInterfaces()[link] ?? [];
  return known.map(({ address }) => address).filter((address) => !address.toLowerCase().startsWith('fe80:'));
}

/** Columns of /proc/net/route: link, destination, gateway, … (hexadecimal, least significant byte first). */
function routes4(table: string, link: string): readonly string[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s+/))
    .filter(([name]) => name === link)
    .map(([, destination, , , , , , mask]) =>
      destination === '00000000' && mask === '00000000' ? 'default' : 'some',
    );
}

/** Columns of /proc/net/ipv6_route: destination, its length, …, link last. */
function routes6(table: string, link: string): readonly string[] {
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.at(-1) === link)
    .filter(([destination = '']) => !destination.startsWith('fe80') && !destination.startsWith('ff'))
    .map(([destination, length]) => (/^0+$/.test(destination ?? '') && length === '00' ? 'default' : 'some'));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
