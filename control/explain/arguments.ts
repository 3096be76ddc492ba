import { oneOf, parseOptions, required, wholeNumber } from '../common/command-line.js';
import type { Family } from '../common/ip.js';
import { type ClusterShape, fileOptions, filesGiven, shapeGiven } from './files.js';

export const USAGE = `usage: pteropus explain -f DIR|FILE… --from END --to END [--port N] [--protocol tcp|udp|sctp|icmp] [--json]

Says what the policies in the manifests do to one new connection, step by step, and which rule decides. Only reads files:
workloads are expanded and scheduled as in \`pteropus sim\`, but nothing is run.

  -f, --filename  manifests: a file, a folder, or - for standard input; may be repeated (also --file)
      --from      NS/NAME (a pod, or a workload, which stands for its first pod), node/NAME, or an address
      --to        the same, service/NS/NAME, or NS/NAME of a Service; a Service's address stands for the Service
      --port      destination port; may be omitted if the destination has only one, and for icmp
      --protocol  tcp (default), udp, sctp or icmp; tcp6, udp6, sctp6 or icmp6 for the IPv6 addresses of what is named
      --nodes     number of nodes (default 3)
      --dual-stack
                  IPv6 beside IPv4 for pods, nodes and Services that ask for it, as in \`pteropus sim\`
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
  /** null: the first one that both ends have. */
  readonly family: Family | null;
  readonly shape: ClusterShape;
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
  const { port } = values;
  const protocol = oneOf('--protocol', (values.protocol ?? 'tcp').toLowerCase(), [...PLAIN, ...SIX]);
  const plain = PLAIN.find((name) => protocol === name || protocol === `${name}6`) ?? 'tcp';
  return {
    files: filesGiven(values),
    from: required('--from', values.from),
    to: required('--to', values.to),
    port: port === undefined ? null : wholeNumber('--port', port, 1, 65535),
    protocol: PROTOCOLS[plain],
    family: protocol === plain ? null : 6,
    shape: shapeGiven(values),
    json: values.json === true,
  };
}

const PLAIN = ['tcp', 'udp', 'sctp', 'icmp'] as const;
const SIX = ['tcp6', 'udp6', 'sctp6', 'icmp6'] as const;
const PROTOCOLS = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP', icmp: 'ICMP' } as const;
