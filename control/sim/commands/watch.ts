/** `pteropus sim watch`: follows what a kept cluster does, such as changed files taking effect. */
import { parseCommand, withCluster } from './command.js';

const HELP = `usage: pteropus sim watch [--name NAME]

Shows what happens in a kept cluster until Ctrl-C: changed files and how quickly they took effect, applies, deletes.
`;

export async function run(argv: readonly string[]): Promise<number> {
  const parsed = parseCommand(argv, HELP, {});
  if (parsed === null) return 0;
  const show = (line: string) => process.stdout.write(`${line}\n`);
  await withCluster(parsed.values.name ?? 'sim', (client) => client.call('watch', null, show));
  return 0;
}
