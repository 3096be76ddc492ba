/** Runs the CNI executable as a container runtime does. Asynchronously: the agent it calls may live in this very process. */
import { spawn } from 'node:child_process';
import { EXECUTABLE } from '../../control/cni/install.js';

export interface Run {
  readonly exit: number | null;
  readonly stdout: string;
}

/** `stdin`: text, or anything else to be sent as JSON. Nothing of our own environment is passed on. */
export async function runExecutable(
  environment: Readonly<Record<string, string>>,
  stdin: unknown,
  executable: string = EXECUTABLE,
): Promise<Run> {
  const child = spawn(executable, { env: { ...environment }, stdio: ['pipe', 'pipe', 'pipe'] });
  // It may end without reading.
  child.stdin.on('error', () => undefined);
  child.stdin.end(typeof stdin === 'string' || stdin instanceof Uint8Array ? stdin : JSON.stringify(stdin));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exit = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (stderr !== '') throw new Error(`the CNI executable complains: ${stderr}`);
  return { exit, stdout };
}
