/** `pteropus sim delete`: takes objects out of a kept cluster. */
import { UsageError } from '../../common/command-line.js';
import type { Difference } from '../cluster.js';
import { readInputs } from '../manifest-set.js';
import { describeDifference } from '../methods.js';
import { parseRef } from '../options.js';
import { parseCommand, withCluster } from './command.js';

const HELP = `usage: pteropus sim delete [--name NAME] -f PATH...
       pteropus sim delete [--name NAME] KIND NS/NAME...

Deletes the objects in the manifests, or objects by kind and name (kubectl's short names work: netpol, svc, deploy, …).
`;

const KINDS: Readonly<Record<string, string>> = {
  networkpolicy: 'NetworkPolicy',
  networkpolicies: 'NetworkPolicy',
  netpol: 'NetworkPolicy',
  clusternetworkpolicy: 'ClusterNetworkPolicy',
  clusternetworkpolicies: 'ClusterNetworkPolicy',
  cnp: 'ClusterNetworkPolicy',
  service: 'Service',
  services: 'Service',
  svc: 'Service',
  pod: 'Pod',
  pods: 'Pod',
  po: 'Pod',
  namespace: 'Namespace',
  ns: 'Namespace',
  deployment: 'Deployment',
  deploy: 'Deployment',
  statefulset: 'StatefulSet',
  sts: 'StatefulSet',
  daemonset: 'DaemonSet',
  ds: 'DaemonSet',
  replicaset: 'ReplicaSet',
  rs: 'ReplicaSet',
  job: 'Job',
  cronjob: 'CronJob',
  cj: 'CronJob',
  endpointslice: 'EndpointSlice',
};

export async function run(argv: readonly string[]): Promise<number> {
  const files = { filename: { type: 'string' as const, short: 'f', multiple: true as const } };
  const parsed = parseCommand(argv, HELP, files, true);
  if (parsed === null) return 0;
  const paths = parsed.values.filename ?? [];
  const [kind, ...names] = parsed.positionals;
  const name = parsed.values.name ?? 'sim';
  let difference: unknown;
  if (paths.length > 0) {
    if (kind !== undefined) throw new UsageError('-f PATH and KIND NS/NAME exclude each other');
    const inputs = await readInputs(paths);
    difference = await withCluster(name, (client) => client.call('deleteInputs', { inputs }));
  } else {
    if (kind === undefined || names.length === 0) throw new UsageError('needs -f PATH or KIND NS/NAME');
    const keys = names.map((ref) => keyOf(kind, ref));
    difference = await withCluster(name, (client) => client.call('delete', { keys }));
  }
  process.stdout.write(`${describeDifference(difference as Difference)}\n`);
  return 0;
}

function keyOf(kind: string, text: string): string {
  const known = KINDS[kind.toLowerCase()];
  if (known === undefined) throw new UsageError('unknown kind', { value: kind });
  if (known === 'Namespace' || known === 'ClusterNetworkPolicy') return `${known}//${text}`;
  const { namespace, name } = parseRef(text);
  return `${known}/${namespace}/${name}`;
}
