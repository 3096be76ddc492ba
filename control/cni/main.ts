/** `pteropus cni`: the CNI plugin; `build/cni.mjs` is the same as one file. */
import { runPlugin } from './plugin.js';

const HELP = `usage: pteropus cni

The CNI plugin, called by a container runtime: command and sandbox in the environment (CNI_COMMAND, CNI_CONTAINERID,
CNI_NETNS, CNI_IFNAME, CNI_ARGS, CNI_PATH), network configuration as JSON on standard input, result or error as JSON on
standard output. Commands ADD, DEL, CHECK, STATUS, GC and VERSION; versions 0.3.1, 0.4.0, 1.0.0 and 1.1.0 of the specification.

Network configuration:
  cniVersion, name, type   as the specification says
  socket                   the agent's socket (default /run/pteropus/cni.sock)
  timeoutMs                how long the agent may take (default 30000)
`;

/** Exit code 0, or 1 with an error on standard output, as the specification says. */
export async function run(argv: readonly string[]): Promise<number> {
  if (argv.length > 0) {
    const asked = argv[0] === '--help' || argv[0] === '-h';
    (asked ? process.stdout : process.stderr).write(HELP);
    return asked ? 0 : 2;
  }
  const { exitCode, stdout } = await runPlugin(process.env, readStdin);
  process.stdout.write(stdout);
  return exitCode;
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
