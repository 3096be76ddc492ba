/**
 * What the runtime passes in the environment (CNI specification, section 2, parameters). That nothing is missing the executable has
 * seen to (native/cni/environment.cc); an empty value is not a valid name all the same.
 */
import { CNI } from './codes.js';
import { CniError } from './errors.js';
import { isContainerId, isInterfaceName, parseArguments } from './names.js';

/** VERSION is the executable's own business. */
export type Command = 'ADD' | 'DEL' | 'CHECK' | 'STATUS' | 'GC';

export interface Environment {
  readonly command: Command;
  /** '' with STATUS and GC, which know no sandbox; the next two likewise. */
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
  readonly args: string;
}

const COMMANDS: readonly string[] = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC'];

/** Throws CniError (code 4). */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): Environment {
  const value = (name: string): string => env[name] ?? '';
  const command = value('CNI_COMMAND');
  if (!COMMANDS.includes(command)) throw invalid(`unknown CNI_COMMAND: ${command}`);
  if (command === 'STATUS' || command === 'GC') {
    return { command, containerId: '', ifname: '', netns: '', args: '' };
  }
  const environment: Environment = {
    command: command as Command,
    containerId: value('CNI_CONTAINERID'),
    ifname: value('CNI_IFNAME'),
    netns: value('CNI_NETNS'),
    args: value('CNI_ARGS'),
  };
  const { containerId, ifname, netns, args } = environment;
  if (!isContainerId(containerId))
    throw invalid(`CNI_CONTAINERID is not a container id: ${show(containerId)}`);
  if (!isInterfaceName(ifname)) throw invalid(`CNI_IFNAME is not an interface name: ${show(ifname)}`);
  if (netns !== '' && !isPath(netns)) throw invalid(`CNI_NETNS is not an absolute path: ${show(netns)}`);
  if (netns === '' && command !== 'DEL') throw invalid('CNI_NETNS is missing');
  if (parseArguments(args) === null)
    throw invalid(`CNI_ARGS is not of the form KEY=value;...: ${show(args)}`);
  return environment;
}

function isPath(text: string): boolean {
  return text.startsWith('/') && !text.includes('\0') && Buffer.byteLength(text) < 4096;
}

function show(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}

function invalid(text: string): CniError {
  return new CniError(CNI.invalidEnvironment, text);
}
