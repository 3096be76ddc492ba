/** Where the API files of the VPP in use are. */
import { existsSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where packages and `make install` put them. */
const USUAL = ['/usr/share/vpp/api', '/usr/local/share/vpp/api'];

/** The folder beside a program at PREFIX/bin/vpp. */
function besideProgram(program: string): string {
  return join(dirname(dirname(program)), 'share/vpp/api');
}

/**
 * Folders that exist, the likeliest first: that of the running program (null: its process is not known, or not seen from here), of
 * PTEROPUS_VPP_PREFIX, the usual places.
 */
export function apiDirs(pid: number | null, env: NodeJS.ProcessEnv = process.env): readonly string[] {
  const prefix = env['PTEROPUS_VPP_PREFIX'];
  const program = pid === null ? undefined : programOf(pid);
  const candidates = [
    ...(program === undefined ? [] : [besideProgram(program)]),
    ...(prefix === undefined || prefix === '' ? [] : [join(prefix, 'share/vpp/api')]),
    ...USUAL,
  ];
  return [...new Set(candidates)].filter((dir) => existsSync(dir));
}

/** In a container VPP's process may not be seen, or be another one of the same number. */
function programOf(pid: number): string | undefined {
  try {
    const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
    return program.endsWith('/vpp') ? program : undefined;
  } catch {
    return undefined;
  }
}
