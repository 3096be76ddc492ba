/** Starts a supervisor that outlives this command, waits until its cluster is up, and shows the matrix. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidInputError } from '../../common/errors.js';
import { NoClusterError, SupervisorClient, SupervisorError } from '../client.js';
import type { Feed } from '../driver.js';
import { readInputs } from '../manifest-set.js';
import type { Presented } from '../matrix/present.js';
import type { MatrixParams } from '../methods.js';
import type { RunOptions } from '../options.js';
import { makeRunDir, stateRoot } from '../paths.js';
import { deliver, presentOptions, progress } from './output.js';

const PROGRAM = fileURLToPath(new URL('../../../../../bin/pteropus.mjs', import.meta.url));

export async function keep(options: RunOptions): Promise<number> {
  const shown = await presentOptions(options);
  await refuseRunning(options.name);
  const dir = await makeRunDir(options.name);
  const files = await supervisedFiles(options.files, dir);
  const { name, feed, podFeed, workers, vpp, dualStack, nodes } = options;
  const kubernetes = options.kubernetes === null ? {} : { kubernetes: options.kubernetes };
  const log = join(stateRoot(), `${name}.log`);
  const fd = openSync(log, 'w', 0o600);
  const child = spawn(
    process.execPath,
    [
      PROGRAM,
      'sim',
      'supervise',
      JSON.stringify({ name, feed, podFeed, workers, vpp, dualStack, nodes, files, ...kubernetes }),
    ],
    {
      detached: true,
      stdio: ['ignore', fd, fd],
    },
  );
  closeSync(fd);
  child.unref();
  const ended = new Promise<never>((_, reject) => {
    child.once('error', (cause) => reject(new SupervisorError('cannot be started', { cause })));
    child.once('exit', (code, signal) => {
      reject(new SupervisorError(`ended with ${signal ?? `exit code ${code}`}; see ${log}`));
    });
  });
  // Ctrl-C while the cluster comes up takes the supervisor down too; it cleans up after itself.
  const interrupt = () => child.kill('SIGTERM');
  process.once('SIGINT', interrupt);
  try {
    const client = await Promise.race([connectWhenUp(name), ended]);
    await Promise.race([client.call('ready', null, progress), ended]);
    let code = 0;
    if (options.matrix) {
      const params: MatrixParams = { icmp: options.icmp, present: shown };
      code = await deliver((await client.call('matrix', params)) as Presented, options.junit);
    }
    client.close();
    progress(hints(name, feed));
    return code;
  } finally {
    process.off('SIGINT', interrupt);
    child.removeAllListeners();
  }
}

/** Throws InvalidInputError while a kept cluster has this name: its folder must not be touched. */
export async function refuseRunning(name: string): Promise<void> {
  try {
    (await SupervisorClient.open(name)).close();
  } catch (error) {
    if (error instanceof NoClusterError) return;
    throw error;
  }
  throw new InvalidInputError(
    `is already running; end it with \`pteropus sim down --name ${name}\` or choose another --name`,
    {
      object: `cluster ${name}`,
    },
  );
}

/** Paths the supervisor can read whatever its folder; standard input is kept as a file. */
async function supervisedFiles(args: readonly string[], dir: string): Promise<readonly string[]> {
  return await Promise.all(
    args.map(async (arg) => {
      if (arg !== '-') return resolve(arg);
      const [input] = await readInputs(['-']);
      const file = join(dir, 'stdin.yaml');
      await writeFile(file, input?.text ?? '', { mode: 0o600 });
      return file;
    }),
  );
}

const POLL_MS = 20;
const PATIENCE_MS = 20_000;

async function connectWhenUp(name: string): Promise<SupervisorClient> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await SupervisorClient.open(name);
    } catch (error) {
      if (!(error instanceof NoClusterError) || Date.now() > deadline) throw error;
    }
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}

function hints(name: string, feed: Feed): string {
  const flag = name === 'sim' ? '' : ` --name ${name}`;
  return [
    `cluster ${name} keeps running; edits to its files take effect on their own`,
    `  pteropus sim status${flag}          what runs`,
    ...(feed === 'memory' ? [] : [`  pteropus sim exec${flag} NS/POD -- curl http://SERVICE`]),
    `  pteropus sim trace${flag} NS/POD NS/POD:PORT`,
    `  pteropus sim apply${flag} -f FILE`,
    `  pteropus sim matrix${flag}`,
    `  pteropus sim down${flag}            end it`,
  ].join('\n');
}

/** Waits until nothing answers under this name and its folder is gone. */
export async function waitGone(name: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    try {
      (await SupervisorClient.open(name)).close();
    } catch (error) {
      if (!(error instanceof NoClusterError)) throw error;
      await rm(join(stateRoot(), `${name}.log`), { force: true });
      return;
    }
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}
