/** The chart under k8s/chart, run through helm. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import type { ApiObject } from '../../../control/sim/kubernetes/api.js';
import { programPath } from '../../../control/sim/kubernetes/programs.js';

export const K8S = fileURLToPath(new URL('../../../../../k8s', import.meta.url));
export const CHART = join(K8S, 'chart');
export const NAMESPACE = 'pteropus-system';

/** A manifest, and fields its kind has. */
export type Manifest = ApiObject & Readonly<Record<string, unknown>>;

/** Values (as `--set` takes them) of clusters that differ much. */
export const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  'one control-plane node': ['etcd.hosts={10.0.0.10}'],
  'three members, dual stack, metrics': [
    ...['etcd.hosts={10.0.0.10,10.0.0.11,10.0.0.12}', 'cluster.ipv6.vxlanCIDR=fd00:31::/64'],
    ...[
      'metrics.enabled=true',
      'node.podFeed=tap',
      'node.uplinks.node-3=ens4',
      'image.pullSecrets={registry}',
    ],
    ...['node.maxUnavailable=10%', 'node.resources.dataplane.limits.memory=1Gi', 'image.tag=edge'],
  ],
  "others' etcd, kube-proxy, jumbo frames": [
    ...['etcd.external.endpoints={https://etcd.example:2379}', 'etcd.external.prefix=/cluster-a'],
    ...['ksr.apiServer.host=in-cluster', 'ksr.replicas=1', 'cluster.underlayMtu=9000'],
    ...['cluster.nodeInterconnectCIDR=', 'cluster.defaultGateway=', 'node.underlayAddresses.a={10.9.0.1}'],
  ],
  'nodes on VPP': [
    ...['etcd.hosts={10.0.0.10}', 'vpp.enabled=true', 'vpp.image.repository=registry/pteropus-vpp'],
    ...['vpp.hugepages.amount=1Gi', 'vpp.settings.startup.hugepages=2M', 'metrics.enabled=true'],
    'vpp.settings.uplink.pci=0000:00:08.0',
  ],
  'IPv6 only': [
    ...['etcd.hosts={fd00::10}', 'cluster.podSubnetCIDR=fd00:1::/48', 'cluster.podSubnetOneNodePrefixLen=64'],
    ...['cluster.hostSubnetCIDR=fd00:2::/48', 'cluster.hostSubnetOneNodePrefixLen=64'],
    ...['cluster.vxlanCIDR=fd00:3::/64', 'cluster.nodeInterconnectCIDR=fd00:4::/64'],
    ...['cluster.defaultGateway=fd00:4::ffff', 'cluster.serviceCIDR=fd00:5::/112'],
  ],
};

/** The oldest and the newest release the chart is for do not matter here: helm alone knows no cluster. */
const KUBE_VERSION = ['--kube-version', '1.35.0'];

function run(args: readonly string[], values: readonly string[]): string {
  const sets = values.flatMap((value) => ['--set', value]);
  const { status, stdout, stderr } = spawnSync(programPath('helm'), [...args, ...KUBE_VERSION, ...sets], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`helm ${args[0]} failed: ${stdout}${stderr}`);
  return stdout;
}

/** Throws with what helm finds. */
export function lint(values: readonly string[]): void {
  const found = run(['lint', CHART, '--strict', '--quiet'], values);
  if (/\[(WARNING|ERROR)\]/.test(found)) throw new Error(found);
}

/** What `helm install` would apply, in its order. Throws with helm's message. */
export function helmTemplate(values: readonly string[]): readonly Manifest[] {
  const text = run(['template', 'pteropus', CHART, '--namespace', NAMESPACE], values);
  return readManifests(text);
}

/** The documents of a YAML stream; empty ones left out. */
export function readManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}
