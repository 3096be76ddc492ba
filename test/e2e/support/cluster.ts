/** A real cluster for one test file: namespaces, agents, data planes, and manifests that the test changes. */
import type { PodFeed } from '../../../control/agent/pod-feed.js';
import type { ClusterConfig } from '../../../control/compiler/input.js';
import { type AfxdpDriver, createAfxdpDriver } from '../../../control/sim/afxdp/driver.js';
import type { Workload } from '../../../control/sim/afxdp/workload.js';
import { Cluster } from '../../../control/sim/cluster.js';
import type { DriverSpec } from '../../../control/sim/driver.js';
import { ManifestReader } from '../../../control/sim/manifest-set.js';
import { type Manifest, manifestText } from './manifests.js';
import { driverSpec } from './spec.js';

export interface TestCluster {
  readonly spec: DriverSpec;
  readonly driver: AfxdpDriver;
  readonly cluster: Cluster;
  /** Adds or replaces objects; resolves when every node has them in force. */
  apply(manifests: readonly Manifest[]): Promise<void>;
  /** Takes objects away by kind, namespace and name. */
  delete(manifests: readonly Manifest[]): Promise<void>;
  /** Address of a pod, `NAME` (namespace default) or `NS/NAME`. */
  ip(pod: string): string;
  clusterIp(service: string): string;
  workload(pod: string): Workload;
  close(): Promise<void>;
}

export interface TestClusterOptions {
  readonly nodes?: number;
  readonly config?: Partial<ClusterConfig>;
  readonly podFeed?: PodFeed;
  /** Longest pause before a program that died is started again, milliseconds. */
  readonly mostBackoffMs?: number;
  /** Names of nodes on VPP. */
  readonly vpp?: readonly string[];
}

/** The cluster's name holds our pid, so that tests can run side by side. On failure nothing of it stays. */
export async function startTestCluster(
  name: string,
  manifests: readonly Manifest[],
  options: TestClusterOptions = {},
): Promise<TestCluster> {
  const lines: string[] = [];
  const spec = driverSpec(`x-${name}-${process.pid}`, { ...options, progress: (line) => lines.push(line) });
  const driver = createAfxdpDriver(spec);
  const { nodes, config, outside, outsidePorts, progress } = spec;
  const cluster = new Cluster({ driver, nodes, config, outside, outsidePorts, progress });
  const testCluster = new ManifestCluster(spec, driver, cluster);
  try {
    await cluster.start();
    await testCluster.apply(manifests);
    return testCluster;
  } catch (error) {
    process.stderr.write(`${lines.join('\n')}\n`);
    await testCluster.close();
    throw error;
  }
}

class ManifestCluster implements TestCluster {
  private readonly manifests = new Map<string, Manifest>();
  private readonly reader = new ManifestReader();

  constructor(
    readonly spec: DriverSpec,
    readonly driver: AfxdpDriver,
    readonly cluster: Cluster,
  ) {}

  async apply(manifests: readonly Manifest[]): Promise<void> {
    for (const manifest of manifests) this.manifests.set(keyOf(manifest), manifest);
    await this.bring();
  }

  async delete(manifests: readonly Manifest[]): Promise<void> {
    for (const manifest of manifests) this.manifests.delete(keyOf(manifest));
    await this.bring();
  }

  ip(pod: string): string {
    const found = this.cluster.state.pods.find(({ pod: { metadata } }) => matches(metadata, pod));
    const address = found?.pod.status.podIPs[0];
    if (address === undefined) throw new Error(`pod ${pod} has no address`);
    return address;
  }

  clusterIp(service: string): string {
    const found = this.cluster.state.services.find(({ metadata }) => matches(metadata, service));
    const address = found?.spec.clusterIPs[0];
    if (address === undefined) throw new Error(`Service ${service} has no address`);
    return address;
  }

  workload(pod: string): Workload {
    const [namespace, name] = split(pod);
    return this.driver.workload({ type: 'pod', pod: { namespace, name } });
  }

  async close(): Promise<void> {
    await this.cluster.close();
  }

  private async bring(): Promise<void> {
    const text = manifestText([...this.manifests.values()]);
    await this.cluster.bring(this.reader.parse([{ file: 'test', text }]));
  }
}

function keyOf(manifest: Manifest): string {
  const { name, namespace } = manifest['metadata'] as { name: string; namespace: string };
  return `${String(manifest['kind'])}/${namespace}/${name}`;
}

function split(name: string): readonly [string, string] {
  const [first = '', second] = name.split('/');
  return second === undefined ? ['default', first] : [first, second];
}

function matches(
  metadata: { readonly namespace: string | null; readonly name: string },
  name: string,
): boolean {
  const [namespace, own] = split(name);
  return metadata.namespace === namespace && metadata.name === own;
}
