/** `pteropus sim exec NS/POD -- COMMAND`: runs a program inside a pod of a kept cluster. */
import { spawn } from 'node:child_process';
import { InvalidInputError } from '../../common/errors.js';
import type { Driver } from '../driver.js';
import type { ExecParams } from '../methods.js';
import { parseRef } from '../options.js';
import { parseCommand, withCluster } from './command.js';

const HELP = `usage: pteropus sim exec [--name NAME] NS/POD -- COMMAND [ARGUMENT...]

Runs a program of this machine inside the pod's network, where Services have their names: curl http://web works.
The exit code is the program's. Needs feed afxdp: on feed memory pods are no processes.
`;

export async function run(argv: readonly string[]): Promise<number> {
  const cut = argv.indexOf('--');
  const own = cut < 0 ? argv : argv.slice(0, cut);
  const parsed = parseCommand(own, HELP, {});
  if (parsed === null) return 0;
  const [pod, ...more] = parsed.positionals;
  const command = cut < 0 ? more : argv.slice(cut + 1);
  if (pod === undefined || command.length === 0) {
    throw new InvalidInputError('needs a pod and a command: sim exec NS/POD -- COMMAND');
  }
  const params: ExecParams = { pod: parseRef(pod), argv: command };
  const line = (await withCluster(parsed.values.name ?? 'sim', (client) =>
    client.call('exec', params),
  )) as ReturnType<Driver['execCommand']>;
  if (line === null) {
    throw new InvalidInputError('pods are no processes on feed memory; start the cluster with --feed afxdp', {
      object: pod,
    });
  }
  return await new Promise((resolve, reject) => {
    const child = spawn(line.command, line.args, { stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 3 : 128)));
  });
}
