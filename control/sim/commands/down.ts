/** `pteropus sim down`: ends a kept cluster. */
import { parseCommand, withCluster } from './command.js';
import { waitGone } from './keep.js';

const HELP = `usage: pteropus sim down [--name NAME]

Ends a kept cluster and removes all of its namespaces, links and processes.
`;

export async function run(argv: readonly string[]): Promise<number> {
  const parsed = parseCommand(argv, HELP, {});
  if (parsed === null) return 0;
  const name = parsed.values.name ?? 'sim';
  await withCluster(name, (client) => client.call('down', null));
  await waitGone(name);
  return 0;
}
