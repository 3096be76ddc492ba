/** Starts a session on the wanted feed. Drivers are loaded only when they are used: one needs root, the other nothing. */
import type { Driver, DriverSpec, Feed } from './driver.js';
import { Session, type SessionSpec } from './session.js';

async function createDriver(feed: Feed, spec: DriverSpec): Promise<Driver> {
  if (feed === 'afxdp') return (await import('./afxdp/driver.js')).createAfxdpDriver(spec);
  return (await import('./memory/driver.js')).createMemoryDriver(spec);
}

export function startSession(spec: SessionSpec): Promise<Session> {
  return Session.start(spec, (driverSpec) => createDriver(spec.feed, driverSpec));
}
