/** The CNI program's work: environment and configuration in, text for standard output and an exit code out. */
import { errorText } from '../common/errors.js';
import { CNI } from './codes.js';
import { type Environment, readEnvironment } from './environment.js';
import { CniError } from './errors.js';
import type { CniReply } from './messages.js';
import { NEWEST, type NetConf, parseNetConf, parseVersion, VERSIONS } from './netconf.js';
import { decodeReply, encodeRequest } from './protobuf.js';
import { toResult } from './result.js';
import { callUnary, RpcError } from './rpc.js';

export interface Outcome {
  readonly exitCode: 0 | 1;
  /** Result or error as JSON; empty where the command answers nothing. */
  readonly stdout: string;
}

/** Runs one command. Never throws: every failure becomes an error result. */
export async function runPlugin(
  env: Readonly<Record<string, string | undefined>>,
  readStdin: () => Promise<string>,
): Promise<Outcome> {
  let version: string = NEWEST;
  try {
    const environment = readEnvironment(env);
    if (environment.command === 'VERSION') {
      return { exitCode: 0, stdout: json({ cniVersion: NEWEST, supportedVersions: VERSIONS }) };
    }
    const versioned = parseVersion(await readStdin(), environment.command);
    version = versioned.cniVersion;
    const conf = parseNetConf(versioned, environment.command);
    const reply = await call(environment, conf).catch((error: unknown) => {
      // For STATUS an agent that is away is an answer: pods cannot be wired.
      if (environment.command !== 'STATUS' || !(error instanceof RpcError)) throw error;
      throw new CniError(CNI.unavailable, error.message);
    });
    if (reply.result !== 0) throw new CniError(reply.result, reply.error);
    return { exitCode: 0, stdout: environment.command === 'ADD' ? json(toResult(reply, conf)) : '' };
  } catch (error) {
    const { code, msg, details } = describe(error);
    return {
      exitCode: 1,
      stdout: json({ cniVersion: version, code, msg, ...(details === '' ? {} : { details }) }),
    };
  }
}

const METHODS = { ADD: 'Add', DEL: 'Delete', CHECK: 'Check', STATUS: 'Status', GC: 'Gc' } as const;

async function call(environment: Environment, conf: NetConf): Promise<CniReply> {
  const { command, containerId, netns, ifname, args } = environment;
  const method = METHODS[command as keyof typeof METHODS];
  const request = encodeRequest({
    version: conf.cniVersion,
    containerId,
    networkNamespace: netns,
    interfaceName: ifname,
    extraNwConfig: conf.text,
    extraArguments: args,
    ipamType: conf.ipamType,
    ipamData: '',
  });
  return decodeReply(
    await callUnary(conf.socket, `/pteropus.cni.RemoteCNI/${method}`, request, conf.timeoutMs),
  );
}

function describe(error: unknown): { readonly code: number; readonly msg: string; readonly details: string } {
  if (error instanceof CniError) return { code: error.code, msg: error.message, details: error.details };
  const code = error instanceof RpcError && error.retryable ? CNI.tryAgainLater : CNI.failed;
  return { code, msg: errorText(error), details: '' };
}

function json(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
