import { InvalidInputError } from '../common/errors.js';

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

/** The parsed command line, or null if help was asked for. Throws InvalidInputError. */
export function parseArguments(argv: readonly string[]): Arguments | null {
  const files: string[] = [];
  const values = new Map<string, string>();
  let json = false;
  const rest = [...argv];
  for (let flag = rest.shift(); flag !== undefined; flag = rest.shift()) {
    const [name = flag, inline] = flag.startsWith('--') ? split(flag) : [flag];
    if (name === '--help' || name === '-h') return null;
    if (name === '--json') {
      json = true;
      continue;
    }
    if (!VALUED.includes(name)) throw new InvalidInputError('unknown option', { value: flag });
    const value = inline ?? rest.shift();
    if (value === undefined) throw new InvalidInputError('needs a value', { object: name });
    if (FILES.includes(name)) files.push(value);
    else values.set(name, value);
  }
  if (files.length === 0)
    throw new InvalidInputError('is needed: a file, a folder, or - for standard input', { object: '-f' });
  const port = values.get('--port');
  return {
    files,
    from: needed(values, '--from'),
    to: needed(values, '--to'),
    port: port === undefined ? null : number('--port', port, 65535),
    protocol: protocolOf(values.get('--protocol') ?? 'tcp'),
    nodes: number('--nodes', values.get('--nodes') ?? '3', 250),
    json,
  };
}

const FILES = ['-f', '--filename', '--file'];
const VALUED = [...FILES, '--from', '--to', '--port', '--protocol', '--nodes'];

function split(flag: string): readonly [string, string?] {
  const at = flag.indexOf('=');
  return at < 0 ? [flag] : [flag.slice(0, at), flag.slice(at + 1)];
}

function needed(values: ReadonlyMap<string, string>, name: string): string {
  const value = values.get(name);
  if (value === undefined) throw new InvalidInputError('is needed', { object: name });
  return value;
}

function number(name: string, text: string, most: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= most) return value;
  throw new InvalidInputError(`must be 1-${most}`, { object: name, value: text });
}

function protocolOf(text: string): Arguments['protocol'] {
  const protocol = (['TCP', 'UDP', 'SCTP', 'ICMP'] as const).find((known) => known === text.toUpperCase());
  if (protocol === undefined)
    throw new InvalidInputError('is no protocol', { object: '--protocol', value: text });
  return protocol;
}
