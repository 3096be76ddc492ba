/**
 * What a container runtime passes for the capabilities of a network configuration (CNI CONVENTIONS.md): a pod's host ports, and
 * the rates of its annotations, as the CRI plugin of containerd fills them in. Pure.
 */
import { InvalidInputError } from '../../common/errors.js';
import type { Pod } from '../../objects/types.js';

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  /** `tcp`, `udp`, `sctp`. */
  readonly protocol: string;
}

/** Bits a second, and bits. */
export interface Bandwidth {
  readonly ingressRate?: number;
  readonly ingressBurst?: number;
  readonly egressRate?: number;
  readonly egressBurst?: number;
}

export interface RuntimeConfig {
  readonly portMappings?: readonly PortMapping[];
  readonly bandwidth?: Bandwidth;
}

/** As containerd has it: as much as fits the reference plugin. */
const BURST = 0xffffffff;

/** Throws InvalidInputError naming the pod and its annotation. */
export function runtimeConfigOf({ metadata, spec }: Pod): RuntimeConfig {
  const portMappings = spec.containers.flatMap(({ ports }) =>
    ports.flatMap(({ hostPort, containerPort, protocol }): readonly PortMapping[] =>
      hostPort === null ? [] : [{ hostPort, containerPort, protocol: protocol.toLowerCase() }],
    ),
  );
  const rate = (direction: 'ingress' | 'egress'): number | null => {
    const field = `kubernetes.io/${direction}-bandwidth`;
    const value = metadata.annotations[field];
    if (value === undefined) return null;
    const bits = quantity(value);
    if (bits !== null && bits > 0) return bits;
    const object = `pod ${metadata.namespace}/${metadata.name}`;
    throw new InvalidInputError('is not a rate such as 10M', {
      object,
      field: `metadata.annotations["${field}"]`,
      value,
    });
  };
  const [ingress, egress] = [rate('ingress'), rate('egress')];
  const bandwidth = {
    ...(ingress === null ? {} : { ingressRate: ingress, ingressBurst: BURST }),
    ...(egress === null ? {} : { egressRate: egress, egressBurst: BURST }),
  };
  return {
    ...(portMappings.length === 0 ? {} : { portMappings }),
    ...(Object.keys(bandwidth).length === 0 ? {} : { bandwidth }),
  };
}

const UNITS: Readonly<Record<string, number>> = {
  ...{ '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 },
};

/** A resource quantity of Kubernetes, whole; null for something else. */
function quantity(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(k|M|G|T|Ki|Mi|Gi|Ti|)$/.exec(text);
  if (match === null) return null;
  return Math.round(Number(match[1]) * (UNITS[match[2] ?? ''] ?? Number.NaN));
}
