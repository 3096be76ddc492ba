/** Small inputs for drivers, so that a test says only what it is about. */
import { join } from 'node:path';
import type { PodFeed } from '../../../control/agent/pod-feed.js';
import { type ClusterConfig, DEFAULT_CONFIG } from '../../../control/compiler/input.js';
import type { EndpointSlice, Pod } from '../../../control/objects/types.js';
import { STATE_ROOT } from '../../../control/sim/afxdp/names.js';
import type { DriverSpec } from '../../../control/sim/driver.js';
import { nodeNames, outsideAddresses, outsidePorts, outsideRoutes } from '../../../control/sim/world.js';

/** Two nodes with the default configuration, unless told otherwise. */
export function driverSpec(
  cluster: string,
  options: {
    readonly nodes?: number;
    readonly config?: Partial<ClusterConfig>;
    /** Slices that may point at the outside host, which then listens on their ports. */
    readonly slices?: readonly EndpointSlice[];
    readonly runDir?: string;
    readonly progress?: (line: string) => void;
    readonly podFeed?: PodFeed;
    readonly workers?: number;
    readonly mostBackoffMs?: number;
    /** Names of nodes on VPP. */
    readonly vpp?: readonly string[];
  } = {},
): DriverSpec {
  const nodes = nodeNames(options.nodes ?? 2);
  const config = { ...DEFAULT_CONFIG, ...options.config };
  return {
    cluster,
    nodes,
    config,
    outside: outsideAddresses(config),
    outsidePorts: outsidePorts(config, options.slices ?? []),
    outsideRoutes: outsideRoutes(config, nodes),
    runDir: options.runDir ?? join(STATE_ROOT, cluster),
    progress: options.progress ?? (() => undefined),
    ...(options.podFeed === undefined ? {} : { podFeed: options.podFeed }),
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    ...(options.vpp === undefined ? {} : { vpp: options.vpp }),
    ...(options.mostBackoffMs === undefined ? {} : { mostBackoffMs: options.mostBackoffMs }),
  };
}

/** A pod that listens on TCP and UDP 80. */
export function barePod(name: string, nodeName: string, namespace = 'default'): Pod {
  const port = { name: null, containerPort: 80, hostPort: null };
  return {
    kind: 'Pod',
    metadata: { name, namespace, uid: null, labels: { app: name }, annotations: {} },
    spec: {
      nodeName,
      hostNetwork: false,
      hostname: null,
      subdomain: null,
      nodeSelector: {},
      containers: [
        {
          name: 'main',
          ports: [
            { ...port, protocol: 'TCP' },
            { ...port, protocol: 'UDP' },
          ],
        },
      ],
    },
    status: { phase: 'Pending', podIPs: [], ready: false, terminating: false },
  };
}

/** Where an agent looks for the object of a pod it is to wire. */
export function podKey({ metadata }: Pod): string {
  return `/pteropus/k8s/Pod/${metadata.namespace}/${metadata.name}`;
}
