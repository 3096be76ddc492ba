/** Command lines of `pteropus sim`. */
import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MAX_WORKERS } from '../../dataplane-as/layout/index.js';
import { loadNative } from '../../native/index.js';
import type { PodFeed } from '../agent/pod-feed.js';
import { oneOf, parseOptions, UsageError, wholeNumber } from '../common/command-line.js';
import { errorText, InvalidInputError } from '../common/errors.js';
import type { Feed } from './driver.js';
import { findVpp } from './vpp/install.js';
import { nodeNames } from './world.js';

/** The example that runs when no manifests are named. */
export const EXAMPLE = fileURLToPath(new URL('../../../../examples/shop', import.meta.url));

/** What fits the underlay's range and a screen. */
const MAX_NODES = 64;

export interface RunOptions {
  readonly files: readonly string[];
  readonly nodes: number;
  readonly feed: Feed;
  readonly podFeed: PodFeed;
  /** Of each node's data plane. */
  readonly workers: number;
  /** Names of the nodes whose data plane is a VPP. */
  readonly vpp: readonly string[];
  readonly dualStack: boolean;
  /** Why this feed and not the other, when nobody asked for it. */
  readonly feedReason: string | null;
  readonly name: string;
  readonly keep: boolean;
  readonly expect: string | null;
  readonly junit: string | null;
  readonly json: boolean;
  readonly wide: boolean;
  readonly icmp: boolean;
  readonly matrix: boolean;
  /** null: no API server takes part. */
  readonly kubernetes: { readonly kubeconfig: string | null } | null;
}

export const RUN_HELP = `usage: pteropus sim [options]
       pteropus sim COMMAND [options]      (on a cluster started with --keep)

Starts a whole cluster on this machine from ordinary Kubernetes manifests, sends real traffic between all endpoints, and
shows who can reach whom and whether that agrees with the policies.

  -f, --filename PATH   manifests: a file, a folder, or - for standard input; may be repeated (default: examples/shop)
      --nodes N         number of nodes (default 3)
      --feed FEED       afxdp: network namespaces, real processes, AF_XDP (needs root on Linux)
                        memory: everything inside this process; any system, no privileges
                        (default: afxdp where it can run, otherwise memory)
      --pod-feed FEED   on feed afxdp, how pods are connected: afxdp (veth, default) or tap (keeps TCP segments together);
                        a pod's annotation pteropus.io/feed takes precedence
      --workers N       workers of each WebAssembly data plane (1-16, default 1; needs feed afxdp)
      --vpp NODES       nodes that run an installed VPP: all, or a list of names (node-1,node-2); the others run our own data
                        plane (needs feed afxdp; uses the VPP under PTEROPUS_VPP_PREFIX, otherwise the system's)
      --dual-stack      IPv6 beside IPv4 for pods, nodes, the outside host and Services that ask for it; the matrix measures
                        each family
      --kubernetes      start a real kube-apiserver and etcd, apply the manifests to it, and let ksr and the CNI program do
                        the rest; kubectl works too (needs feed afxdp; see docs/kubernetes.md)
      --kubeconfig FILE the same with an existing API server (one without controllers and nodes of its own)
      --expect FILE     also check reachability against this file (see examples/shop/expect.yaml)
      --junit FILE      write the result as JUnit XML
      --json            print the matrix as JSON
      --wide            show each replica on its own row and column
      --icmp            ping every pod, not only those without ports
      --no-matrix       only start the cluster
      --keep            leave the cluster running; edits to the files take effect on their own
      --name NAME       the cluster's name, to keep several (default: sim)
  -h, --help            show this text

Commands: exec, apply, delete, trace, matrix, status, watch, down; each has its own --help.

Exit codes: 0 reachability is as it should be, 1 something is reachable that should not be or the other way round,
2 invalid command line or manifests, 3 something broke.
`;

/** null = help is wanted. Throws UsageError; InvalidInputError for what this machine cannot do. */
export function parseRun(argv: readonly string[]): RunOptions | null {
  const { values } = parseOptions(argv, {
    filename: { type: 'string', short: 'f', multiple: true },
    nodes: { type: 'string' },
    feed: { type: 'string' },
    'pod-feed': { type: 'string' },
    workers: { type: 'string' },
    vpp: { type: 'string' },
    'dual-stack': { type: 'boolean' },
    expect: { type: 'string' },
    junit: { type: 'string' },
    json: { type: 'boolean' },
    wide: { type: 'boolean' },
    icmp: { type: 'boolean' },
    'no-matrix': { type: 'boolean' },
    keep: { type: 'boolean' },
    name: { type: 'string' },
    kubernetes: { type: 'boolean' },
    kubeconfig: { type: 'string' },
  });
  if (values.help === true) return null;
  const nodes = wholeNumber('--nodes', values.nodes ?? '3', 1, MAX_NODES);
  const keep = values.keep === true;
  const given = values.filename ?? [];
  const example = given.length === 0;
  const { feed, reason } = chooseFeed(values.feed);
  const podFeed = oneOf('--pod-feed', values['pod-feed'] ?? 'afxdp', ['afxdp', 'tap']);
  if (podFeed === 'tap' && feed === 'memory')
    throw new UsageError('needs --feed afxdp', { field: '--pod-feed', value: podFeed });
  const workers = wholeNumber('--workers', values.workers ?? '1', 1, MAX_WORKERS);
  if (workers > 1 && feed === 'memory')
    throw new UsageError('needs --feed afxdp', { field: '--workers', value: values.workers });
  const vpp = vppNodes(values.vpp, nodeNames(nodes), feed);
  const { kubeconfig } = values;
  const kubernetes =
    values.kubernetes === true || kubeconfig !== undefined
      ? { kubeconfig: kubeconfig === undefined ? null : resolve(kubeconfig) }
      : null;
  if (kubernetes !== null && feed === 'memory')
    throw new InvalidInputError(`needs feed afxdp: ${afxdpMissing() ?? '--feed memory was asked for'}`, {
      field: '--kubernetes',
    });
  const dualStack = values['dual-stack'] === true;
  const exampleExpect = relative(process.cwd(), resolve(EXAMPLE, 'expect.yaml'));
  return {
    files: example ? [EXAMPLE] : given,
    nodes,
    feed,
    podFeed,
    workers,
    vpp,
    dualStack,
    feedReason: reason,
    // Without --keep nobody needs to find it again, and several may run side by side.
    name: values.name ?? (keep ? 'sim' : `sim-${process.pid}`),
    keep,
    // With one node nothing is reachable by way of some nodes only, which the example's authors expect somewhere; they also expect that a
    // client outside is known by its address on every node, which it is not where VPP leads it to another one.
    expect:
      values.expect ??
      (example && nodes > 1 && vpp.length === 0 && existsSync(exampleExpect) ? exampleExpect : null),
    junit: values.junit ?? null,
    json: values.json === true,
    wide: values.wide === true,
    icmp: values.icmp === true,
    matrix: values['no-matrix'] !== true,
    kubernetes,
  };
}

function vppNodes(wanted: string | undefined, nodes: readonly string[], feed: Feed): readonly string[] {
  if (wanted === undefined) return [];
  if (feed === 'memory') throw new UsageError('needs --feed afxdp', { field: '--vpp', value: wanted });
  const named = wanted === 'all' ? nodes : wanted.split(',');
  const unknown = named.find((name) => !nodes.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`must be all, or some of ${nodes.join(',')}`, { field: '--vpp', value: unknown });
  const found = findVpp();
  if (typeof found === 'string') throw new InvalidInputError(found, { field: '--vpp' });
  return named;
}

/** The wanted feed, or the best one this machine can run and why. Throws InvalidInputError. */
function chooseFeed(wanted: string | undefined): { feed: Feed; reason: string | null } {
  const feed = wanted === undefined ? null : oneOf('--feed', wanted, ['afxdp', 'memory']);
  if (feed === 'memory') return { feed, reason: null };
  const missing = afxdpMissing();
  if (missing === null) return { feed: 'afxdp', reason: null };
  if (feed === 'afxdp') throw new InvalidInputError(`afxdp cannot run here: ${missing}`, { field: '--feed' });
  return { feed: 'memory', reason: `feed memory (inside this process): feed afxdp ${missing}` };
}

function afxdpMissing(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root';
  try {
    loadNative();
    return null;
  } catch (error) {
    return `needs the native addon (${errorText(error)})`;
  }
}

/** Splits `NS/NAME` (namespace `default` where it is left out). Throws InvalidInputError. */
export function parseRef(text: string): { namespace: string; name: string } {
  const parts = text.split('/');
  const [first = '', second] = parts;
  if (parts.length > 2 || first === '' || second === '') {
    throw new InvalidInputError('must be NAMESPACE/NAME', { value: text });
  }
  return second === undefined ? { namespace: 'default', name: first } : { namespace: first, name: second };
}
