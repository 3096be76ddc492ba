/** `pteropus vswitch`: VPP and the agent of one node. */
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type AgentConfig, readAgentConfig } from '../agent/agent-config.js';
import { endOf } from '../agent/end.js';
import type { VppConfig } from '../agent/vpp/config.js';
import { parseOptions, required } from '../common/command-line.js';
import { errorText, InvalidInputError } from '../common/errors.js';
import { listenPrivately, SocketInUseError } from '../common/listen.js';
import { logLine } from '../common/log.js';
import { AgentChild } from './agent-child.js';
import { NoVppError } from './errors.js';
import { type VppInstall, vppUnder } from './install.js';
import { preflight } from './preflight/run.js';
import { targetOf } from './preflight/vpp-facts.js';
import { renderStartup, startupFiles } from './startup.js';
import { Supervisor } from './supervisor.js';
import { VppProcess } from './vpp-process.js';

const HELP = `usage: pteropus vswitch --config FILE [option]

Starts VPP as configured, restarts it when it dies or stops answering, and runs the agent beside it.
FILE is the agent's configuration (pteropus agent --help) with "backend": "vpp"; its field vpp is described in docs/vpp.md.
Prints {"ready":true} when VPP runs and the agent has everything in force; logs to standard error.

When it ends, the agent ends with it but VPP keeps running (unless vpp.endsWithUs): traffic goes on, and the next
pteropus vswitch takes VPP over. In a container VPP ends with the container.

  --no-agent         run VPP only; the agent runs elsewhere, with the same FILE
  --restart          stop a running VPP first, so that it starts with the current configuration (end its pteropus vswitch before)
  --stop             stop a running VPP and do nothing else; traffic stops (end its pteropus vswitch before)
  --print-startup    print VPP's startup configuration and do nothing else
  --preflight        check this machine, print one line for each prerequisite and do nothing else; exit code 1 if one is missing
  --json             with --preflight: print JSON
  --die-with-stdin   end when standard input ends
  -h, --help         show this text
`;

/** Exit codes: 0 fine, 1 preflight failed, 3 VPP cannot be started. Throws UsageError, InvalidInputError. */
export async function run(argv: readonly string[]): Promise<number> {
  const given = parse(argv);
  if (given.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const path = required('--config', given.config);
  const config = readAgentConfig(path);
  const { vpp } = config;
  if (vpp === null) {
    throw new InvalidInputError('must be vpp', { object: path, field: 'backend', value: config.backend });
  }
  if (given.preflight) return await preflight(config, vpp, given.json);
  const install = vppUnder(vpp.prefix);
  if (given['print-startup']) {
    const { config: text, commands } = renderStartup(vpp, targetOf(install));
    process.stdout.write(commands === '' ? text : `${text}\n# ${startupFiles(vpp).commands}\n${commands}`);
    return 0;
  }
  const lock = await lockOf(vpp);
  try {
    if (given.stop || given.restart) {
      const stopped = await VppProcess.stop(startupFiles(vpp), vpp.startup.segment);
      if (given.stop) {
        process.stderr.write(stopped ? 'VPP has ended\n' : 'no VPP of ours runs\n');
        return 0;
      }
    }
    if (typeof install === 'string')
      throw new NoVppError(install, { field: 'vpp.prefix', value: vpp.prefix });
    return await serve({ config, path, vpp, install }, given);
  } finally {
    lock.close();
  }
}

/** Two of us would each start a VPP when one ends: the second ends here. Throws SocketInUseError. */
async function lockOf({ runDir }: VppConfig): Promise<Server> {
  const lock = createServer((socket) => socket.destroy());
  try {
    await listenPrivately(lock, join(runDir, 'vswitch.sock'));
  } catch (cause) {
    if (!(cause instanceof SocketInUseError)) throw cause;
    throw new SocketInUseError('a pteropus vswitch runs here already: end it first', {
      object: runDir,
      cause,
    });
  }
  return lock;
}

interface Node {
  readonly config: AgentConfig;
  /** Of the configuration. */
  readonly path: string;
  readonly vpp: VppConfig;
  readonly install: VppInstall;
}

async function serve(node: Node, given: Given): Promise<number> {
  const { vpp, install } = node;
  const end = endOf(given['die-with-stdin'] || node.config.dieWithStdin);
  const log = logLine;
  const ready = (): void => {
    process.stdout.write('{"ready":true}\n');
  };
  const { binary, apiDir } = install;
  const startup = renderStartup(vpp, targetOf(install));
  const { socket, stuckSeconds } = vpp;
  const { segment } = vpp.startup;
  const spec = { binary, startup, files: startupFiles(vpp), socket, segment, stuckSeconds, apiDir };
  let supervisor: Supervisor;
  try {
    const obtain = (): Promise<VppProcess> => VppProcess.obtain(spec, log);
    supervisor = await Supervisor.start({ obtain, endsWithUs: vpp.endsWithUs, log });
  } catch (error) {
    end.release();
    log(errorText(error));
    return 3;
  }
  const agent = given['no-agent'] ? null : AgentChild.start({ argv: agentCommand(node.path), ready, log });
  if (agent === null) ready();
  try {
    await end.asked;
  } finally {
    await agent?.close();
    await supervisor.close();
    end.release();
  }
  return 0;
}

function agentCommand(path: string): readonly [string, ...string[]] {
  return [process.execPath, process.argv[1] ?? '', 'agent', '--config', path, '--die-with-stdin'];
}

type Given = ReturnType<typeof parse>;

function parse(argv: readonly string[]) {
  const flag = { type: 'boolean', default: false } as const;
  return parseOptions(argv, {
    config: { type: 'string' as const },
    ...{ preflight: flag, json: flag, stop: flag, restart: flag },
    ...{ 'no-agent': flag, 'print-startup': flag, 'die-with-stdin': flag },
  }).values;
}
