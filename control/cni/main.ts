/** `pteropus cni`: puts the CNI executable and its configuration where the container runtime looks, and takes them away. */
import { parseArgs } from 'node:util';
import { errorText } from '../common/errors.js';
import { conflistText } from './conflist.js';
import {
  DEFAULT_BIN_DIR,
  DEFAULT_CONF_DIR,
  installConflist,
  installExecutable,
  removeConflist,
  removeExecutable,
} from './install.js';

const DEFAULT_SOCKET = '/run/pteropus/cni.sock';

const HELP = `usage: pteropus cni install   [--bin-dir DIR] [--conf-dir DIR] [--socket PATH]
       pteropus cni uninstall [--bin-dir DIR] [--conf-dir DIR]
       pteropus cni conflist  [--socket PATH]

install    puts the executable into the runtime's directory (default ${DEFAULT_BIN_DIR}). With --conf-dir it also writes the
           configuration, which otherwise the agent does when it can wire pods (its configuration: cniConfDir).
uninstall  removes the configuration (default ${DEFAULT_CONF_DIR}), then the executable. Pods that run keep their network.
conflist   prints the configuration.

--socket is the agent's socket for CNI commands (default ${DEFAULT_SOCKET}).
`;

/** Exit codes: 0 fine, 2 wrong usage; throws InstallError. */
export async function run(argv: readonly string[]): Promise<number> {
  const [goal, ...rest] = argv;
  if (goal === '--help' || goal === '-h') {
    process.stdout.write(HELP);
    return 0;
  }
  const options = goal === undefined ? null : parse(rest);
  if (options === null) return wrongUsage();
  const { 'bin-dir': binDir = DEFAULT_BIN_DIR, 'conf-dir': confDir, socket = DEFAULT_SOCKET } = options;
  switch (goal) {
    case 'install':
      process.stdout.write(`${installExecutable(binDir)}\n`);
      if (confDir !== undefined) process.stdout.write(`${installConflist(confDir, conflistText(socket))}\n`);
      return 0;
    case 'uninstall':
      removeConflist(confDir ?? DEFAULT_CONF_DIR);
      removeExecutable(binDir);
      return 0;
    case 'conflist':
      process.stdout.write(conflistText(socket));
      return 0;
    default:
      return wrongUsage();
  }
}

interface Options {
  readonly 'bin-dir'?: string;
  readonly 'conf-dir'?: string;
  readonly socket?: string;
}

function parse(argv: string[]): Options | null {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({ args: argv, options: { 'bin-dir': text, 'conf-dir': text, socket: text } }).values;
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n`);
    return null;
  }
}

function wrongUsage(): number {
  process.stderr.write(HELP);
  return 2;
}
