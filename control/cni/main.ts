/** `pteropus cni`: puts the CNI executable and its configuration where the container runtime looks, and takes them away. */
import { commandOf, parseOptions } from '../common/command-line.js';
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

install    copies the executable to the container runtime's directory (default ${DEFAULT_BIN_DIR}). With --conf-dir
           it also writes the network configuration; otherwise the agent does, once it can wire pods (its field cniConfDir).
uninstall  removes the network configuration (default ${DEFAULT_CONF_DIR}), then the executable. Running pods keep their
           network.
conflist   prints the network configuration.

--socket is the agent's socket for CNI commands (default ${DEFAULT_SOCKET}).
`;

/** They take options only. */
const COMMANDS = { install: [0, 0], uninstall: [0, 0], conflist: [0, 0] } as const;

/** Exit code 0: done. Throws UsageError, InstallError. */
export async function run(argv: readonly string[]): Promise<number> {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseOptions(
    argv,
    { 'bin-dir': text, 'conf-dir': text, socket: text },
    true,
  );
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const { 'bin-dir': binDir = DEFAULT_BIN_DIR, 'conf-dir': confDir, socket = DEFAULT_SOCKET } = values;
  switch (commandOf(positionals, COMMANDS)[0]) {
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
  }
}
