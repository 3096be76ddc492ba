/** `pteropus sim apply -f`: puts or replaces objects of a kept cluster. */
import { UsageError } from '../../common/command-line.js';
import type { Difference } from '../cluster.js';
import { readInputs } from '../manifest-set.js';
import { describeDifference, type InputsParams } from '../methods.js';
import { parseCommand, withCluster } from './command.js';

const HELP = `usage: pteropus sim apply [--name NAME] -f PATH...

Creates or replaces the objects in the manifests (files, folders, - for standard input). Returns when the change is in
force on every node.
`;

export async function run(argv: readonly string[]): Promise<number> {
  const parsed = parseCommand(argv, HELP, {
    filename: { type: 'string' as const, short: 'f', multiple: true as const },
  });
  if (parsed === null) return 0;
  const files = parsed.values.filename ?? [];
  if (files.length === 0)
    throw new UsageError('is needed: a file, a folder, or - for standard input', { field: '-f' });
  const params: InputsParams = { inputs: await readInputs(files) };
  const difference = await withCluster(parsed.values.name ?? 'sim', (client) => client.call('apply', params));
  process.stdout.write(`${describeDifference(difference as Difference)}\n`);
  return 0;
}
