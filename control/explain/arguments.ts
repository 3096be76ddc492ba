import { oneOf, parseOptions, required, wholeNumber } from '../common/command-line.js';
import { fileOptions, filesGiven, nodesGiven } from './files.js';

export const USAGE = `usage: pteropus explain -f DIR|FILE… --from END --to END [--port N] [--protocol tcp|udp|sctp|icmp] [--nodes N] [--json]

Says what the policies in the manifests do to one new connection, step by step, and which rule decides. Only reads files:
workloads are expanded and scheduled as in \`pteropus sim\`, but nothing is run.

  -f, --filename  manifests: a file, a folder, or - for standard input; may be repeated (also --file)
      --from      NS/NAME (a pod, or a workload, which stands for its first pod), node/NAME, or an address
      --to        the same, service/NS/NAME, or NS/NAME of a Service; a Service's address stands for the Service
      --port      destination port; may be omitted if the destination has only one, and for icmp
      --protocol  tcp (default), udp, sctp or icmp
      --nodes     number of nodes (default 3)
      --json      print the answer as one JSON object
  -h, --help      show this text

Exit codes: 0 allowed, 1 denied (or only some backends allowed), 2 invalid input, 3 something broke.
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
