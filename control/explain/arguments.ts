import { oneOf, parseOptions, required, wholeNumber } from '../common/command-line.js';
import { fileOptions, filesGiven, nodesGiven } from './files.js';

export const USAGE = `usage: pteropus explain -f DIR|FILE… --from END --to END [--port N] [--protocol tcp|udp|sctp|icmp] [--nodes N] [--json]

Says what the policies in the manifests do to one new connection, step by step, and which rule decides. Reads files only:
workloads are expanded and placed as \`pteropus sim\` does it, nothing is run.

  -f, --filename  manifests: a file, a folder, or - for standard input; may be given again (also --file)
  --from, --to    NS/NAME (a pod, or a workload: its first pod), service/NS/NAME, node/NAME, or an address
                  as --to, NS/NAME may also be a Service; a Service's address finds the Service
  --port          destination port; not needed where the destination has just one, nor for icmp
  --protocol      tcp by default
  --nodes         nodes of the cluster (3)
  --json          the same as one JSON object

Exit code: 0 allowed, 1 denied (or only some backends allowed), 2 wrong input.
`;

export interface Arguments {
  readonly files: readonly string[];
  readonly from: string;
  readonly to: string;
  readonly port: number | null;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP';
  readonly nodes: number;
  readonly json: boolean;
}

/** The parsed command line, or null if help was asked for. Throws UsageError. */
export function parseArguments(argv: readonly string[]): Arguments | null {
  const text = { type: 'string' } as const;
  const { values } = parseOptions(argv, {
    ...fileOptions,
    ...{ from: text, to: text, port: text, protocol: text },
    json: { type: 'boolean' as const },
  });
  if (values.help === true) return null;
  const { port, protocol = 'tcp' } = values;
  return {
    files: filesGiven(values),
    from: required('--from', values.from),
    to: required('--to', values.to),
    port: port === undefined ? null : wholeNumber('--port', port, 1, 65535),
    protocol: PROTOCOLS[oneOf('--protocol', protocol.toLowerCase(), ['tcp', 'udp', 'sctp', 'icmp'])],
    nodes: nodesGiven(values.nodes),
    json: values.json === true,
  };
}

const PROTOCOLS = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP', icmp: 'ICMP' } as const;
