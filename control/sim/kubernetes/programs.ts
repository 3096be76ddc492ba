/** Where the programs of a real control plane are: in $KUBEBUILDER_ASSETS, where the set-up put them, or in the path. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MissingProgramError } from './errors.js';

export type ProgramName = 'etcd' | 'kube-apiserver' | 'cnitool' | 'helm';

/** Written by scripts/tools.mjs: program -> path. */
const INDEX = fileURLToPath(new URL('../../../../tools.json', import.meta.url));

const HINT: Readonly<Record<ProgramName, string>> = {
  etcd: 'install it (apt-get install etcd-server) or set KUBEBUILDER_ASSETS',
  'kube-apiserver': 'build it with `npm run tools` or set KUBEBUILDER_ASSETS',
  cnitool: 'build it with `npm run tools`',
  helm: 'build it with `npm run tools`',
};

/** Path of the program, or null. envtest's convention ($KUBEBUILDER_ASSETS) goes first. */
export function findProgram(name: ProgramName): string | null {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  if (assets !== undefined && assets !== '' && existsSync(join(assets, name))) return join(assets, name);
  const built = readIndex()[name];
  if (typeof built === 'string' && existsSync(built)) return built;
  const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
  return found.status === 0 ? found.stdout.trim() : null;
}

/** Throws MissingProgramError that says how to get it. */
export function programPath(name: ProgramName): string {
  const path = findProgram(name);
  if (path === null) throw new MissingProgramError(`is not here; ${HINT[name]}`, { object: name });
  return path;
}

function readIndex(): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(readFileSync(INDEX, 'utf8')) as Readonly<Record<string, unknown>>;
  } catch {
    return {};
  }
}
