/**
 * Files where the container runtime looks: the executable and the configuration. Each is made under another name and renamed, since a
 * half-written one fails every pod that starts meanwhile.
 */
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorText, PteropusError } from '../common/errors.js';
import { CONFLIST_NAME, PLUGIN_TYPE } from './conflist.js';

export const DEFAULT_BIN_DIR = '/opt/cni/bin';
export const DEFAULT_CONF_DIR = '/etc/cni/net.d';

/** The executable as it was built. */
export const EXECUTABLE = fileURLToPath(new URL('../../../native/pteropus-cni', import.meta.url));

/** A file cannot be put where it belongs, or removed. */
export class InstallError extends PteropusError {}

/** Called by this name, the executable is the plugin that containerd before 2.0 and CRI-O need for each sandbox beside ours. */
const LOOPBACK = 'loopback';

/** Puts the executable into the runtime's directory, and `loopback` where there is none; returns its path. Throws InstallError. */
export function installExecutable(binDir: string, from: string = EXECUTABLE): string {
  const path = join(binDir, PLUGIN_TYPE);
  replaceFile(path, () => readFileSync(from), 0o755);
  linkLoopback(binDir);
  return path;
}

/** One that is there stays, whoever's it is. */
function linkLoopback(binDir: string): void {
  const path = join(binDir, LOOPBACK);
  try {
    symlinkSync(PLUGIN_TYPE, path);
    syncDirectory(binDir);
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') return;
    throw new InstallError(`cannot be made: ${errorText(cause)}`, { object: path, cause, retryable: true });
  }
}

/** From now on the runtime calls us. Returns the file's path. Throws InstallError. */
export function installConflist(confDir: string, text: string): string {
  const path = join(confDir, CONFLIST_NAME);
  replaceFile(path, () => Buffer.from(text), 0o644);
  return path;
}

/** Whether the executable is there as it was built. */
export function hasExecutable(binDir: string, from: string = EXECUTABLE): boolean {
  try {
    return statSync(join(binDir, PLUGIN_TYPE)).size === statSync(from).size;
  } catch {
    return false;
  }
}

/** Whether the configuration is there as it was written. */
export function hasConflist(confDir: string, text: string): boolean {
  try {
    return readFileSync(join(confDir, CONFLIST_NAME), 'utf8') === text;
  } catch {
    return false;
  }
}

/** Throws InstallError. Absent is fine. */
export function removeConflist(confDir: string): void {
  removeFile(join(confDir, CONFLIST_NAME));
}

/** Throws InstallError. Absent is fine. */
export function removeExecutable(binDir: string): void {
  const loopback = join(binDir, LOOPBACK);
  if (isLinkTo(loopback, PLUGIN_TYPE)) removeFile(loopback);
  removeFile(join(binDir, PLUGIN_TYPE));
}

function isLinkTo(path: string, target: string): boolean {
  try {
    return readlinkSync(path) === target;
  } catch {
    // No link, or nothing at all.
    return false;
  }
}

/** Whole and on the disk, or as it was. The temporary name is hidden, and no name a runtime would read. */
function replaceFile(path: string, contents: () => Uint8Array, mode: number): void {
  const temporary = join(dirname(path), `.${path.slice(dirname(path).length + 1)}.${process.pid}.new`);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const bytes = contents();
    rmSync(temporary, { force: true });
    const file = openSync(temporary, 'wx', mode);
    try {
      // Whatever the umask: a runtime's other tools read these too.
      fchmodSync(file, mode);
      writeFileSync(file, bytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    syncDirectory(dirname(path));
  } catch (cause) {
    discard(temporary);
    throw new InstallError(`cannot be written: ${errorText(cause)}`, {
      object: path,
      cause,
      retryable: true,
    });
  }
}

/** What is left of a failed attempt; the reason of the failure is what counts. */
function discard(temporary: string): void {
  try {
    rmSync(temporary, { force: true });
  } catch {
    // Its directory is none, say.
  }
}

function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
    syncDirectory(dirname(path));
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return;
    throw new InstallError(`cannot be removed: ${errorText(cause)}`, {
      object: path,
      cause,
      retryable: true,
    });
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
