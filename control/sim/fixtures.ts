/** Small objects for the simulator's tests. */
import { documentOf, type RawDocument } from '../objects/document.js';
import { parseApiObject } from '../objects/manifest.js';
import type { Pod, Service } from '../objects/types.js';

export type PortSpec = { name?: string; containerPort: number; protocol?: string };

export function podObject(
  name: string,
  options: {
    labels?: Record<string, string>;
    ports?: readonly PortSpec[];
    spec?: object;
    ip?: string;
    node?: string;
  } = {},
): Pod {
  const [namespace = 'default', short = ''] = name.split('/');
  const { labels = {}, ports = [], spec = {}, ip, node } = options;
  const pod = parseApiObject({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name: short, labels },
    spec: {
      containers: [{ name: 'c', image: 'i', ports }],
      ...(node === undefined ? {} : { nodeName: node }),
      ...spec,
    },
  }) as Pod;
  if (ip === undefined) return pod;
  return { ...pod, status: { phase: 'Running', podIPs: [ip], ready: true, terminating: false } };
}

export function serviceObject(name: string, spec: object, status: object = {}): Service {
  const [namespace, short] = name.split('/');
  return parseApiObject({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name: short },
    spec,
    status,
  }) as Service;
}

export function workload(kind: string, name: string, spec: object): RawDocument {
  const [namespace, short] = name.split('/');
  const apiVersion = kind.endsWith('Job') ? 'batch/v1' : 'apps/v1';
  return documentOf({ apiVersion, kind, metadata: { namespace, name: short }, spec });
}

export function template(app: string, spec: object = {}): object {
  return { metadata: { labels: { app } }, spec: { containers: [{ name: 'c', image: 'i' }], ...spec } };
}
