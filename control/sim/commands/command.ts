/** What the commands on a kept cluster have in common: --name, --help, one connection. */
import type { ParseArgsConfig } from 'node:util';
import { SupervisorClient } from '../client.js';
import { parseOptions } from '../options.js';

type Options = NonNullable<ParseArgsConfig['options']>;

/** The arguments of a command, or null when help was asked for (and printed). Throws InvalidInputError. */
export function parseCommand<T extends Options>(argv: readonly string[], help: string, options: T) {
  const parsed = parseOptions(argv, { ...options, name: { type: 'string' as const } }, true);
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
