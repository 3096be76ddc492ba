/** `pteropus sim matrix`: measures a kept cluster again. */
import type { Presented } from '../matrix/present.js';
import type { MatrixParams } from '../methods.js';
import { parseCommand, withCluster } from './command.js';
import { deliver, presentOptions } from './output.js';

const HELP = `usage: pteropus sim matrix [--name NAME] [--expect FILE] [--junit FILE] [--json] [--wide] [--icmp]

Measures who reaches whom in a kept cluster, as it is now.
`;

export async function run(argv: readonly string[]): Promise<number> {
  const parsed = parseCommand(argv, HELP, {
    expect: { type: 'string' as const },
    junit: { type: 'string' as const },
    json: { type: 'boolean' as const },
    wide: { type: 'boolean' as const },
    icmp: { type: 'boolean' as const },
  });
  if (parsed === null) return 0;
  const { values } = parsed;
  const junit = values.junit ?? null;
  const flags = {
    json: values.json === true,
    wide: values.wide === true,
    expect: values.expect ?? null,
    junit,
  };
  const params: MatrixParams = { icmp: values.icmp === true, present: await presentOptions(flags) };
  const result = await withCluster(values.name ?? 'sim', (client) => client.call('matrix', params));
  return await deliver(result as Presented, junit);
}
