/** What the commands on a kept cluster have in common: --name, --help, one connection. */
import { type Options, parseOptions } from '../../common/command-line.js';
import { SupervisorClient } from '../client.js';

/** The arguments of a command, or null when help was asked for (and printed). Throws UsageError. */
export function parseCommand<T extends Options>(
  argv: readonly string[],
  help: string,
  options: T,
  positionals = false,
) {
  const parsed = parseOptions(argv, { ...options, name: { type: 'string' as const } }, positionals);
  if ((parsed.values as { help?: boolean }).help === true) {
    process.stdout.write(help);
    return null;
  }
  return parsed;
}

/** Runs `body` with a connection to the cluster and closes it. */
export async function withCluster<T>(
  name: string,
  body: (client: SupervisorClient) => Promise<T>,
): Promise<T> {
  const client = await SupervisorClient.open(name);
  try {
    return await body(client);
  } finally {
    client.close();
  }
}
