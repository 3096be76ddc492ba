/** Starts a session on the wanted feed. Drivers are loaded only when they are used: one needs root, the other nothing. */
import type { Driver, DriverSpec, Feed } from './driver.js';
import { Session, type SessionSpec } from './session.js';

async function createDriver(feed: Feed, spec: DriverSpec): Promise<Driver> {
  if (feed === 'afxdp') return (await import('./afxdp/driver.js')).createAfxdpDriver(spec);
  return (await import('./memory/driver.js')).createMemoryDriver(spec);
}

export async function startSession(spec: SessionSpec): Promise<Session> {
  if (spec.kubernetes !== undefined) {
    const { startKubernetesSession } = await import('./kubernetes/start.js');
    return await startKubernetesSession(spec, spec.kubernetes.kubeconfig);
  }
  return await Session.start(spec, { driver: (driverSpec) => createDriver(spec.feed, driverSpec) });
}
