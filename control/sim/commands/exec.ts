/** `pteropus sim exec NS/POD -- COMMAND`: runs a program inside a pod of a kept cluster. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { UsageError } from '../../common/command-line.js';
import { InvalidInputError } from '../../common/errors.js';
import type { Driver } from '../driver.js';
import type { ExecParams } from '../methods.js';
import { parseRef } from '../options.js';
import { parseCommand, withCluster } from './command.js';

const HELP = `usage: pteropus sim exec [--name NAME] NS/POD -- COMMAND [ARGUMENT...]

Runs a program of this machine inside the pod's network, where Services have their names: curl http://web works. A
workload's name stands for its first pod. The exit code is the program's (128 plus the signal's number if one ended it).
Needs feed afxdp: on feed memory, pods are not processes.
`;

/** As shells have it. */
const SIGNALED = 128;

export async function run(argv: readonly string[]): Promise<number> {
  const cut = argv.indexOf('--');
  const own = cut < 0 ? argv : argv.slice(0, cut);
  const parsed = parseCommand(own, HELP, {}, true);
  if (parsed === null) return 0;
  const [pod, ...more] = parsed.positionals;
  const command = cut < 0 ? more : argv.slice(cut + 1);
  if (pod === undefined || command.length === 0) {
    throw new UsageError('needs a pod and a command: sim exec NS/POD -- COMMAND');
  }
  const params: ExecParams = { pod: parseRef(pod), argv: command };
  const line = (await withCluster(parsed.values.name ?? 'sim', (client) =>
    client.call('exec', params),
  )) as ReturnType<Driver['execCommand']>;
  if (line === null) {
    throw new InvalidInputError(
      'on feed memory pods are not processes: start the cluster with --feed afxdp',
      {
        object: pod,
      },
    );
  }
  return await runInForeground(line.command, line.args);
}

/** The terminal's Ctrl-C reaches the program too: what it means is the program's to say, and we wait for its end. */
async function runInForeground(command: string, args: readonly string[]): Promise<number> {
  const ignore = () => undefined;
  process.on('SIGINT', ignore);
  try {
    return await new Promise((resolve, reject) => {
      const child = spawn(command, args, { stdio: 'inherit' });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        resolve(code ?? SIGNALED + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    process.off('SIGINT', ignore);
  }
}
