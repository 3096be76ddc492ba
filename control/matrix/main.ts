/** `pteropus matrix`: who reaches whom, from manifests alone. No packets, no root, any OS. */
import { parseOptions, UsageError } from '../common/command-line.js';
import { fileOptions, filesGiven, loadPaper, shapeGiven } from '../explain/files.js';
import { deliver, presentOptions } from '../sim/commands/output.js';
import { type AskedPort, paperMatrix } from './cells.js';
import { presentPaper } from './present.js';

const USAGE = `usage: pteropus matrix -f DIR|FILE… [--port N[/udp]]… [--expect FILE] [--junit FILE] [--json]

Shows who can reach whom according to the compiled rules. Only reads files: workloads are expanded and scheduled as in
\`pteropus sim\`, but nothing is run. (\`pteropus sim\` shows the same table measured with real traffic.)

  -f, --filename  manifests: a file, a folder, or - for standard input; may be repeated (also --file)
      --port      test this port on all pods instead of those their containers declare; may be repeated
      --expect    check the table against this file (see examples/shop/expect.yaml)
      --junit     write the result as JUnit XML
      --json      print the table as JSON, each cell with its reason
      --icmp      ping every pod, not only those without ports
      --wide      show each replica on its own row and column
      --nodes     number of nodes (default 3)
      --dual-stack
                  IPv6 beside IPv4 for pods, nodes and Services that ask for it, as in \`pteropus sim\`; columns of IPv6
                  end in tcp6, udp6 and icmp6
  -h, --help      show this text

SCTP ports are left out of the table; \`pteropus explain\` and \`pteropus diff\` cover them.

Exit codes: 0 success, 1 the table differs from --expect, 2 invalid input, 3 something broke.
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
  const { loaded } = await loadPaper(filesGiven(values), shapeGiven(values));
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
