/** `pteropus sim status`: what runs in a kept cluster. */
import { type ClusterStatus, formatStatus } from '../status.js';
import { parseCommand, withCluster } from './command.js';

const HELP = `usage: pteropus sim status [--name NAME] [--json]

Nodes, pods, Services and policies of a kept cluster, with their addresses.
`;

export async function run(argv: readonly string[]): Promise<number> {
  const parsed = parseCommand(argv, HELP, { json: { type: 'boolean' as const } });
  if (parsed === null) return 0;
  const status = await withCluster(parsed.values.name ?? 'sim', (client) => client.call('status', null));
  const text =
    parsed.values.json === true
      ? `${JSON.stringify(status, null, 2)}\n`
      : formatStatus(status as ClusterStatus);
  process.stdout.write(text);
  return 0;
}
