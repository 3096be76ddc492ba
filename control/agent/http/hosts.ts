/**
 * Which names a request may call us by. A web page can make a browser on this machine talk to a loopback address under a
 * name of its own (DNS rebinding); it cannot choose the Host header.
 */
import { isIP } from 'node:net';

/** `own`: further names and addresses, without port; `local`: our address of this connection, which is no name to rebind. */
export function isOwnHost(header: string | undefined, own: ReadonlySet<string>, local?: string): boolean {
  if (header === undefined) return false;
  const name = /^(\[[0-9a-f:.]+\]|[^:]*)(:\d{1,5})?$/i.exec(header)?.[1]?.toLowerCase();
  if (name === undefined) return false;
  const bare = name.startsWith('[') ? name.slice(1, -1) : name;
  if (own.has(bare)) return true;
  return bare === 'localhost' || isLoopback(bare) || bare === local?.replace(/^::ffff:(?=\d+\.)/, '');
}

export function isLoopback(address: string): boolean {
  return isIP(address) === 4 ? address.startsWith('127.') : address === '::1';
}
