/** `pteropus matrix`: who reaches whom, from manifests alone. No packets, no root, any OS. */
import { parseOptions, UsageError } from '../common/command-line.js';
import { fileOptions, filesGiven, loadPaper, nodesGiven } from '../explain/files.js';
import { deliver, presentOptions } from '../sim/commands/output.js';
import { type AskedPort, paperMatrix } from './cells.js';
import { presentPaper } from './present.js';

const USAGE = `usage: pteropus matrix -f DIR|FILE… [--port N[/udp]]… [--expect FILE] [--junit FILE] [--json]

Shows who reaches whom, as the compiled rules say it. Reads files only: workloads are expanded and placed as \`pteropus sim\`
does it, nothing is run. (\`pteropus sim\` shows the same table measured with real traffic.)

  -f, --filename  manifests: a file, a folder, or - for standard input; may be given again (also --file)
      --port      ask all pods for this port instead of those their containers name; may be given again
      --expect    check the table against this file (see examples/shop/expect.yaml)
      --junit     write the result as JUnit XML
      --json      the table as JSON, each cell with its reason
      --icmp      ping every pod, not only those without ports
      --wide      show every replica by itself
      --nodes     nodes of the cluster (3)

SCTP ports are left out of the table; \`pteropus explain\` and \`pteropus diff\` know them.

Exit code: 0 fine, 1 the table is not what --expect wants, 2 wrong input.
`;

/** Throws UsageError, InvalidInputError. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseOptions(argv, {
    ...fileOptions,
    port: { type: 'string' as const, multiple: true as const },
    expect: { type: 'string' as const },
    junit: { type: 'string' as const },
    json: { type: 'boolean' as const },
    icmp: { type: 'boolean' as const },
    wide: { type: 'boolean' as const },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const junit = values.junit ?? null;
  const ports = (values.port ?? []).map(askedPort);
  const options = await presentOptions({
    json: values.json === true,
    wide: values.wide === true,
    expect: values.expect ?? null,
    junit,
  });
  const { loaded } = await loadPaper(filesGiven(values), nodesGiven(values.nodes));
  // The picture shows replicas that agree as one; every other form names each.
  const alike = !options.json && !options.wide && options.expect === null && !options.junit;
  const cells = paperMatrix(loaded, { ports, icmp: values.icmp === true, alike });
  return await deliver(presentPaper(cells, options), junit);
}

function askedPort(text: string): AskedPort {
  const match = /^(\d{1,5})(?:\/(tcp|udp))?$/i.exec(text);
  const port = Number(match?.[1] ?? 0);
  if (match === null || port < 1 || port > 65535) {
    throw new UsageError('must be a port, with /udp where it is not TCP', {
      field: '--port',
      value: text,
    });
  }
  return { port, protocol: match[2]?.toLowerCase() === 'udp' ? 'UDP' : 'TCP' };
}
