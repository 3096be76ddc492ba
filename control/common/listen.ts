/** Listening on a unix socket that only its owner may use. */
import { chmodSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { PteropusError } from './errors.js';

/** Another process listens on the socket, or something that is no socket lies there. */
export class SocketInUseError extends PteropusError {}

/** Named pipes of Windows are no files: they go with their process, and only its user may write to them. */
const PIPE = '\\\\.\\pipe\\';

/**
 * Binds `server` to `path`, mode 0600. A socket left by a process that is gone is removed; a living one is not.
 * Throws SocketInUseError.
 */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  const pipe = path.startsWith(PIPE);
  if (!pipe) await clearSocketPath(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // Narrow from the first moment on; bind() has happened when listen() returns.
    const old = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.removeListener('error', reject);
        resolve();
      });
    } finally {
      process.umask(old);
    }
  });
  if (!pipe) chmodSync(path, 0o600);
}

/** Makes the directory of a socket path, and the path free if what lies there is a dead socket. Throws SocketInUseError. */
export async function clearSocketPath(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new SocketInUseError('is there and is not a socket', { object: path });
  if (await answers(path)) throw new SocketInUseError('another process listens here', { object: path });
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
