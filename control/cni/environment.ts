/** What the runtime passes in the environment (CNI specification, section 2, parameters). */
import { CNI } from './codes.js';
import { CniError } from './errors.js';
import { isContainerId, isInterfaceName, parseArguments } from './names.js';

export type Command = 'ADD' | 'DEL' | 'CHECK' | 'STATUS' | 'GC' | 'VERSION';

export interface Environment {
  readonly command: Command;
  readonly containerId: string;
  /** Empty where DEL is not told. */
  readonly netns: string;
  readonly ifname: string;
  readonly args: string;
}

/** What each command needs; DEL has to work when the namespace is gone. */
const REQUIRED: Readonly<Record<Command, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH'],
  STATUS: ['CNI_PATH'],
  GC: ['CNI_PATH'],
  VERSION: [],
};

/** Checks everything; what is missing is named at once. Throws CniError (code 4). */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): Environment {
  const value = (name: string): string => env[name] ?? '';
  const command = value('CNI_COMMAND');
  if (command !== '' && !Object.hasOwn(REQUIRED, command)) {
    throw new CniError(CNI.invalidEnvironment, `unknown CNI_COMMAND: ${command}`);
  }
  // Without a command we cannot know what it needs; ADD needs most.
  const needed = ['CNI_COMMAND', ...REQUIRED[command === '' ? 'ADD' : (command as Command)]];
  const missing = needed.filter((name) => value(name) === '');
  if (missing.length > 0) {
    throw new CniError(CNI.invalidEnvironment, `required env variables [${missing.join(',')}] missing`);
  }
  const environment: Environment = {
    command: command as Command,
    containerId: value('CNI_CONTAINERID'),
    netns: value('CNI_NETNS'),
    ifname: value('CNI_IFNAME'),
    args: value('CNI_ARGS'),
  };
  if (!REQUIRED[environment.command].includes('CNI_CONTAINERID')) return environment;
  const { containerId, ifname, args } = environment;
  if (!isContainerId(containerId)) {
    throw new CniError(
      CNI.invalidEnvironment,
      `invalid characters in CNI_CONTAINERID: ${JSON.stringify(containerId)}`,
    );
  }
  if (!isInterfaceName(ifname)) {
    throw new CniError(CNI.invalidEnvironment, `CNI_IFNAME is no interface name: ${JSON.stringify(ifname)}`);
  }
  if (parseArguments(args) === null) {
    throw new CniError(
      CNI.invalidEnvironment,
      `CNI_ARGS is not of the form KEY=value;...: ${JSON.stringify(args)}`,
    );
  }
  return environment;
}
