/** One run of the CNI executable, as the agent sees it: environment and standard input in, exit code and standard output out. */
import { errorText } from '../common/errors.js';
import { CNI } from './codes.js';
import { type Command, type Environment, readEnvironment } from './environment.js';
import { CniError } from './errors.js';
import type { CniReply, CniRequest, CniService } from './messages.js';
import { NEWEST, parseNetConf, parseVersion } from './netconf.js';
import { differences, toResult } from './result.js';

export interface Invocation {
  /** The CNI_* variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: Uint8Array;
}

export interface Outcome {
  readonly exit: 0 | 1;
  /** Result or error as JSON; empty where the command answers nothing. */
  readonly stdout: string;
}

/** Runs one command. Never throws: every failure becomes an error result. */
export async function invoke(service: CniService, { environment, stdin }: Invocation): Promise<Outcome> {
  let version: string = NEWEST;
  try {
    const versioned = parseVersion(Buffer.from(stdin).toString('utf8'));
    version = versioned.cniVersion;
    const called = readEnvironment(environment);
    const request = { ...called, conf: parseNetConf(versioned, called.command) };
    return { exit: 0, stdout: await run(service, called, request) };
  } catch (error) {
    const { code, msg, details } = describe(error);
    return {
      exit: 1,
      stdout: json({ cniVersion: version, code, msg, ...(details === '' ? {} : { details }) }),
    };
  }
}

const METHODS = { ADD: 'add', DEL: 'delete', CHECK: 'check', STATUS: 'status', GC: 'gc' } as const;

async function run(service: CniService, { command }: Environment, request: CniRequest): Promise<string> {
  const reply = await call(service, command, request);
  if (reply.result !== 0) throw new CniError(reply.result, reply.error);
  if (command === 'ADD') return json(toResult(reply, request.conf));
  if (command === 'CHECK') {
    const problems = differences(reply, request.conf);
    if (problems.length > 0) throw new CniError(CNI.differs, problems.join('; '));
  }
  return '';
}

function call(service: CniService, command: Command, request: CniRequest): Promise<CniReply> {
  return service[METHODS[command]](request);
}

function describe(error: unknown): { readonly code: number; readonly msg: string; readonly details: string } {
  if (error instanceof CniError) return { code: error.code, msg: error.message, details: error.details };
  return { code: CNI.failed, msg: errorText(error), details: '' };
}

function json(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
