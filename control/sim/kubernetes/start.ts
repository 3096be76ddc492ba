/** Starts a session over a real API server. */

import { createAfxdpDriver } from '../afxdp/driver.js';
import { Session, type SessionSpec } from '../session.js';
import { configOf } from '../world.js';
import { KubernetesCluster } from './cluster.js';
import { ControlPlane } from './control-plane.js';

/** Throws MissingProgramError before anything is made, and what Session.start throws. */
export async function startKubernetesSession(spec: SessionSpec, kubeconfig: string | null): Promise<Session> {
  const { runDir, progress } = spec;
  const plane = new ControlPlane({ runDir, config: configOf(spec), kubeconfig, progress });
  const store = { endpoint: plane.etcd.endpoint, start: () => plane.start() };
  return await Session.start(spec, {
    driver: async (driverSpec) => createAfxdpDriver(driverSpec, store),
    cluster: (clusterSpec) => new KubernetesCluster(clusterSpec, plane),
  });
}
