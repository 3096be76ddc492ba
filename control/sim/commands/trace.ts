/** `pteropus sim trace FROM TO`: one connection attempt's way over the nodes, with the rule that decided. */
import { UsageError } from '../../common/command-line.js';
import type { TraceParams } from '../methods.js';
import { parseCommand, withCluster } from './command.js';

const HELP = `usage: pteropus sim trace [--name NAME] [--all] FROM TO[:PORT][/PROTOCOL]

FROM is NS/POD (a workload's name stands for its first pod), a node's name, or outside.
TO is NS/POD, service/NS/NAME, a node's name, outside, or an address. Without a port it is a ping; /udp after the port
makes it UDP. In a dual-stack cluster /tcp6, /udp6 and /icmp6 use the IPv6 address.
Shows the first packet of each direction on every node it passes; --all shows every packet.
`;

export async function run(argv: readonly string[]): Promise<number> {
  const parsed = parseCommand(argv, HELP, { all: { type: 'boolean' as const } }, true);
  if (parsed === null) return 0;
  const [from, to, ...more] = parsed.positionals;
  if (from === undefined || to === undefined || more.length > 0) throw new UsageError('needs FROM and TO');
  const params: TraceParams = { from, to, all: parsed.values.all === true };
  const text = await withCluster(parsed.values.name ?? 'sim', (client) => client.call('trace', params));
  process.stdout.write(text as string);
  return 0;
}
