/**
 * The part of a container runtime: calls the CNI program as the specification says (environment, network configuration on
 * standard input, result or error as JSON on standard output), never the agent itself.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { PteropusError } from '../../common/errors.js';
import type { PodRef } from '../../ruleset/types.js';

const PROGRAM = fileURLToPath(new URL('../../../../native/pteropus-cni', import.meta.url));
const DEADLINE_MS = 30_000;
export const POD_INTERFACE = 'eth0';

/** The CNI program said no. `code` as in the CNI specification, section 5. */
export class CniError extends PteropusError {
  constructor(
    readonly command: string,
    readonly code: number,
    message: string,
    object: string,
  ) {
    super(`CNI ${command}: ${message} (code ${code})`, { object });
  }
}

export interface Sandbox {
  readonly pod: PodRef;
  /** The pod object's, where the API gave it one. */
  readonly uid?: string | null;
  /** As a runtime's: 64 hex digits. */
  readonly containerId: string;
  /** Path of its network namespace. */
  readonly netns: string;
}

/** What we read of a CNI result, version 1.0.0. */
export interface CniResult {
  readonly ips: readonly { readonly address: string; readonly gateway?: string }[];
}

export function newSandbox(pod: PodRef, netns: string, uid: string | null = null): Sandbox {
  const containerId = createHash('sha256').update(randomBytes(32)).digest('hex');
  return { pod, uid, containerId, netns };
}

/** Wires the sandbox. Throws CniError. */
export async function cniAdd(sandbox: Sandbox, socket: string): Promise<CniResult> {
  const text = await call('ADD', sandbox, socket);
  const result = JSON.parse(text) as Partial<CniResult>;
  return { ips: result.ips ?? [] };
}

/** Takes the wiring away; nothing there is fine. Throws CniError. */
export async function cniDelete(sandbox: Sandbox, socket: string): Promise<void> {
  await call('DEL', sandbox, socket);
}

/** Runs our program once, without a list; resolves with its standard output. Exported for tests of the program's contract. */
export function call(command: string, sandbox: Sandbox, socket: string): Promise<string> {
  const conf = { cniVersion: '1.0.0', name: 'k8s-pod-network', type: 'pteropus', socket };
  return execPlugin(PROGRAM, command, sandbox, '/opt/cni/bin', conf);
}

/** Runs one plugin once; resolves with its standard output. Throws CniError. */
export async function execPlugin(
  program: string,
  command: string,
  sandbox: Sandbox,
  binDir: string,
  conf: object,
): Promise<string> {
  const { pod, uid = null, containerId, netns } = sandbox;
  const object = `pod ${pod.namespace}/${pod.name}`;
  const environment = {
    PATH: process.env['PATH'] ?? '',
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: netns,
    CNI_IFNAME: POD_INTERFACE,
    CNI_PATH: binDir,
    CNI_ARGS: [
      'IgnoreUnknown=1',
      `K8S_POD_NAMESPACE=${pod.namespace}`,
      `K8S_POD_NAME=${pod.name}`,
      `K8S_POD_INFRA_CONTAINER_ID=${containerId}`,
      ...(uid === null ? [] : [`K8S_POD_UID=${uid}`]),
    ].join(';'),
  };
  const child = spawn(program, { env: environment, stdio: ['pipe', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(conf));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new PteropusError('cannot run the CNI program', { object: program, cause })),
    );
    child.once('close', (code) => resolve(code));
  }).finally(() => clearTimeout(timer));
  if (status === 0) return out;
  throw failure(command, object, out, err);
}

function failure(command: string, object: string, out: string, err: string): CniError {
  try {
    const { code, msg, details } = JSON.parse(out) as { code?: number; msg?: string; details?: string };
    return new CniError(command, code ?? 999, [msg, details].filter(Boolean).join(': '), object);
  } catch {
    return new CniError(command, 999, err.trim() || out.trim() || 'ended without a result', object);
  }
}
