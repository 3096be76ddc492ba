/** A cluster for one test file: a real API server, etcd, ksr and agents, with real packets. */

import { type AfxdpDriver, createAfxdpDriver } from '../../../control/sim/afxdp/driver.js';
import type { ApiClient } from '../../../control/sim/kubernetes/api.js';
import { KubernetesCluster } from '../../../control/sim/kubernetes/cluster.js';
import { ControlPlane } from '../../../control/sim/kubernetes/control-plane.js';
import { requirements } from '../../e2e/support/needs.js';
import { driverSpec } from '../../e2e/support/spec.js';
import { kubernetes } from '../../support/kubernetes/start.js';
import type { Requirement } from '../../support/requires.js';

export interface TestCluster {
  readonly cluster: KubernetesCluster;
  readonly plane: ControlPlane;
  readonly driver: AfxdpDriver;
  /** Speaks as the administrator. */
  readonly api: ApiClient;
  close(): Promise<void>;
}

/** For testIf. */
export function clusterRequirements(): readonly Requirement[] {
  return [...requirements(), kubernetes()];
}

/** Starts everything; no pod runs yet. */
export async function startCluster(
  name: string,
  options: {
    readonly nodes?: number;
    readonly mostBackoffMs?: number;
    readonly leaseSeconds?: number;
  } = {},
): Promise<TestCluster> {
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  const { leaseSeconds, mostBackoffMs } = options;
  const quick = mostBackoffMs === undefined ? {} : { mostBackoffMs };
  const spec = driverSpec(name, { nodes: options.nodes ?? 2, progress, ...quick });
  const { nodes, config, outside, outsidePorts, runDir } = spec;
  const plane = new ControlPlane({
    ...{ runDir, config, kubeconfig: null, progress, ...quick },
    ...(leaseSeconds === undefined ? {} : { leaseSeconds }),
  });
  const driver = createAfxdpDriver(spec, { endpoint: plane.etcd.endpoint, start: () => plane.start() });
  const cluster = new KubernetesCluster({ driver, nodes, config, outside, outsidePorts, progress }, plane);
  try {
    await cluster.start();
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return { cluster, plane, driver, api: plane.api, close: () => cluster.close() };
}
