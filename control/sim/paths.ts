/** Where simulated clusters keep their sockets, journals and logs. */
import { existsSync, readdirSync } from 'node:fs';
import { lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidInputError } from '../common/errors.js';

/** `/run/pteropus-sim` for root (as feed `afxdp` expects), else the user's own run-time folder. */
export function stateRoot(): string {
  if (process.getuid?.() === 0 && process.platform === 'linux') return '/run/pteropus-sim';
  const uid = process.getuid?.() ?? 0;
  return join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), `pteropus-sim-${uid}`);
}

/** Throws InvalidInputError for a name that cannot be part of a path or of a namespace's name. */
export function runDir(name: string): string {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw new InvalidInputError('a cluster name is 1-32 of a-z, 0-9 and - (not at its ends)', {
      value: name,
    });
  }
  return join(stateRoot(), name);
}

/** Makes the run directory, for this user alone. Throws InvalidInputError when somebody else got there first. */
export async function makeRunDir(name: string): Promise<string> {
  const dir = runDir(name);
  await mkdir(stateRoot(), { recursive: true, mode: 0o755 });
  const { uid, mode } = await lstat(stateRoot());
  // In a shared folder such as /tmp anyone may have made it, and could then read or replace what we put there.
  if (process.getuid !== undefined && (uid !== process.getuid() || (mode & 0o022) !== 0)) {
    throw new InvalidInputError('belongs to somebody else, or others may write to it', {
      object: stateRoot(),
    });
  }
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return dir;
}

/** Names of the clusters whose supervisors have a socket here, in order; it may be that of one that was killed. */
export function keptNames(): readonly string[] {
  try {
    return readdirSync(stateRoot())
      .filter((name) => existsSync(join(stateRoot(), name, 'control.sock')))
      .sort();
  } catch {
    return [];
  }
}

/** The supervisor's control socket; a named pipe on Windows. */
export function socketPath(name: string): string {
  const dir = runDir(name);
  return process.platform === 'win32' ? `\\\\.\\pipe\\pteropus-sim-${name}` : join(dir, 'control.sock');
}
