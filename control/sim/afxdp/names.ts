/**
 * What everything a simulated cluster makes is called, so that its leftovers can be told from anything else.
 * A namespace is `pteropus-CLUSTER-KIND_REST`; neither Kubernetes nor our cluster names hold an underscore, so the name
 * splits one way only.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { InvalidInputError } from '../../common/errors.js';
import type { PodRef } from '../../ruleset/types.js';
import type { CniFolders } from './networks.js';

/** Where the state of simulated clusters lives; one folder for each. */
export const STATE_ROOT = '/run/pteropus-sim';
/** Where iproute2 looks for namespaces. */
const NETNS_ROOT = '/run/netns';

const NAME_MAX = 255;

export type NamespaceKind = 'net' | 'host' | 'node' | 'pod';

/** Throws InvalidInputError unless `cluster` can be part of file and namespace names. */
export function checkClusterName(cluster: string): string {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(cluster)) {
    throw new InvalidInputError('a cluster name is 1-32 of a-z, 0-9 and - (not at its ends)', {
      value: cluster,
    });
  }
  return cluster;
}

function namespaceName(cluster: string, kind: NamespaceKind, rest: string): string {
  const name = `pteropus-${cluster}-${kind}_${rest}`;
  if (name.length <= NAME_MAX) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return `${name.slice(0, NAME_MAX - 17)}_${hash}`;
}

/** The namespace that holds the underlay's bridge. */
export const underlayNamespace = (cluster: string): string => namespaceName(cluster, 'net', 'underlay');
/** The outside world's host. */
export const outsideNamespace = (cluster: string): string => namespaceName(cluster, 'host', 'outside');
export const nodeNamespace = (cluster: string, node: string): string => namespaceName(cluster, 'node', node);
export const podNamespace = (cluster: string, pod: PodRef): string =>
  namespaceName(cluster, 'pod', `${pod.namespace}_${pod.name}`);

/** The cluster a namespace belongs to, or null if it is none of ours. */
export function clusterOfNamespace(name: string): string | null {
  return /^pteropus-([a-z0-9-]+)-(?:net|host|node|pod)_/.exec(name)?.[1] ?? null;
}

export const namespacePath = (name: string): string => join(NETNS_ROOT, name);

/** Files and sockets of one node. Unix socket paths are limited to 107 bytes, so they are short. */
export interface NodePaths {
  readonly dir: string;
  readonly config: string;
  readonly dataplaneSocket: string;
  readonly cniSocket: string;
  /** Where the agent puts the CNI executable and the network configuration. */
  readonly cni: CniFolders;
  readonly restSocket: string;
  readonly journal: string;
  readonly agentLog: string;
  readonly dataplaneLog: string;
}

/** `id` is the node's number: names can be long, socket paths cannot. */
export function nodePaths(runDir: string, id: number): NodePaths {
  const dir = join(runDir, `node${id}`);
  return {
    dir,
    config: join(dir, 'agent.json'),
    dataplaneSocket: join(dir, 'dataplane.sock'),
    cniSocket: join(dir, 'cni.sock'),
    cni: { binDir: join(dir, 'cni/bin'), confDir: join(dir, 'cni/net.d') },
    restSocket: join(dir, 'rest.sock'),
    journal: join(dir, 'journal.json'),
    agentLog: join(dir, 'agent.log'),
    dataplaneLog: join(dir, 'dataplane.log'),
  };
}
