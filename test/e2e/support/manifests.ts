/** Kubernetes manifests as plain objects, short to write. A set of them is one `List` document. */
export type Manifest = Readonly<Record<string, unknown>>;

export interface PodOptions {
  readonly namespace?: string;
  readonly node?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly tcp?: readonly number[];
  readonly udp?: readonly number[];
  readonly hostNetwork?: boolean;
}

/** A pod labelled app=NAME; without ports it listens on TCP and UDP 80. */
export function pod(name: string, options: PodOptions = {}): Manifest {
  const { namespace = 'default', node, labels = {}, tcp = [80], udp = [80], hostNetwork = false } = options;
  const ports = [
    ...tcp.map((port) => ({ containerPort: port, protocol: 'TCP' })),
    ...udp.map((port) => ({ containerPort: port, protocol: 'UDP' })),
  ];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name, ...labels } },
    spec: {
      ...(node === undefined ? {} : { nodeName: node }),
      hostNetwork,
      containers: [{ name: 'main', image: 'x', ports }],
    },
  };
}

export function service(
  name: string,
  selector: Readonly<Record<string, string>>,
  spec: Readonly<Record<string, unknown>> = {},
  namespace = 'default',
): Manifest {
  const ports = [
    { name: 'tcp', port: 80, protocol: 'TCP' },
    { name: 'udp', port: 80, protocol: 'UDP' },
  ];
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { selector, ports, ...spec },
  };
}

/** A policy over the pods labelled app=APP. */
export function policy(
  name: string,
  app: string,
  spec: Readonly<Record<string, unknown>>,
  namespace = 'default',
): Manifest {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace },
    spec: { podSelector: { matchLabels: { app } }, ...spec },
  };
}

export const fromApp = (...apps: readonly string[]): readonly object[] =>
  apps.map((app) => ({ podSelector: { matchLabels: { app } } }));

export function manifestText(manifests: readonly Manifest[]): string {
  return `${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }, null, 1)}\n`;
}
