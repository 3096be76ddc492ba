/** What changes between two versions of a Service with many backends, of which few come or go. */
import { commonEnds } from '../common/ends.js';
import { sameItem } from './canonical.js';
import type { ServiceBackend, ServiceItem } from './types.js';

/** From place `at` on, `gone` are taken out and `come` put in. */
export interface Splice {
  readonly at: number;
  readonly gone: number;
  readonly come: readonly ServiceBackend[];
}

export interface ServiceDelta {
  readonly backends: Splice | null;
  readonly outsideBackends: Splice | null;
}

/** With fewer backends a service is as well told whole. */
const LONG = 32;

export function hasManyBackends({ backends }: ServiceItem): boolean {
  return backends.length >= LONG;
}

/** From one version to the next; null where they differ in anything but their lists of backends. */
export function serviceDelta(old: ServiceItem, now: ServiceItem): ServiceDelta | null {
  const { backends, outsideBackends } = now;
  if ((old.outsideBackends === null) !== (outsideBackends === null)) return null;
  if (!sameItem({ ...old, backends, outsideBackends }, now)) return null;
  return {
    backends: spliceOf(old.backends, backends),
    outsideBackends:
      old.outsideBackends === null || outsideBackends === null
        ? null
        : spliceOf(old.outsideBackends, outsideBackends),
  };
}

/** The version that a delta leads to. Lists that stay are the same ones. */
export function changedService(old: ServiceItem, delta: ServiceDelta): ServiceItem {
  return {
    ...old,
    backends: delta.backends === null ? old.backends : spliced(old.backends, delta.backends),
    outsideBackends:
      delta.outsideBackends === null || old.outsideBackends === null
        ? old.outsideBackends
        : spliced(old.outsideBackends, delta.outsideBackends),
  };
}

function sameBackend(a: ServiceBackend, b: ServiceBackend): boolean {
  return (
    a === b ||
    (a.address === b.address &&
      a.port === b.port &&
      a.weight === b.weight &&
      a.node === b.node &&
      a.pod?.namespace === b.pod?.namespace &&
      a.pod?.name === b.pod?.name)
  );
}

function spliceOf(old: readonly ServiceBackend[], now: readonly ServiceBackend[]): Splice | null {
  const { front, back } = commonEnds(old, now, sameBackend);
  const gone = old.length - front - back;
  const come = now.slice(front, now.length - back);
  return gone === 0 && come.length === 0 ? null : { at: front, gone, come };
}

function spliced(old: readonly ServiceBackend[], { at, gone, come }: Splice): readonly ServiceBackend[] {
  return old.slice(0, at).concat(come, old.slice(at + gone));
}
