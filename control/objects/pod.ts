import type { RawDocument } from './document.js';
import { Field } from './field.js';
import { parseLabels, parseMetadata } from './metadata.js';
import { isDnsLabel, isPortName } from './names.js';
import type { ContainerPort, Pod, Protocol } from './types.js';

export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const satisfies readonly Protocol[];
const PHASES = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const;

/** Validates a Pod, from the API or made from a workload's template. Throws InvalidObjectError. */
export function parsePod(document: RawDocument): Pod {
  const root = Field.root(document);
  const spec = root.get('spec').required();
  const status = root.get('status');
  return {
    kind: 'Pod',
    metadata: parseMetadata(root, 'namespaced'),
    spec: {
      nodeName: spec.get('nodeName').stringOrNull(),
      hostNetwork: spec.get('hostNetwork').boolean(false),
      hostname: dnsLabelOrNull(spec.get('hostname')),
      subdomain: dnsLabelOrNull(spec.get('subdomain')),
      nodeSelector: parseLabels(spec.get('nodeSelector')),
      containers: parseContainers(spec),
    },
    status: {
      phase: status.get('phase').oneOf(PHASES, 'Pending'),
      podIPs: parsePodIps(status),
      ready: (status.get('conditions').items() ?? []).some(
        (condition) => condition.get('type').value === 'Ready' && condition.get('status').value === 'True',
      ),
      terminating: root.get('metadata').get('deletionTimestamp').present,
    },
  };
}

/** Containers, then sidecars (init containers that restart always): both keep their ports while the pod runs. */
function parseContainers(spec: Field): Pod['spec']['containers'] {
  const containers = spec.get('containers').required().items() ?? [];
  if (containers.length === 0) spec.get('containers').fail('must not be empty');
  const sidecars = (spec.get('initContainers').items() ?? []).filter(
    (container) => container.get('restartPolicy').value === 'Always',
  );
  const seen = new Set<string>();
  return [...containers, ...sidecars].map((container) => {
    const name = container.get('name');
    if (!isDnsLabel(name.string())) name.fail('is not a valid container name');
    if (seen.has(name.string())) name.fail('is used twice');
    seen.add(name.string());
    return { name: name.string(), ports: (container.get('ports').items() ?? []).map(parseContainerPort) };
  });
}

function parseContainerPort(field: Field): ContainerPort {
  const name = field.get('name').stringOrNull();
  if (name !== null && !isPortName(name)) field.get('name').fail('is not a valid port name');
  return {
    name,
    containerPort: field.get('containerPort').port(),
    protocol: field.get('protocol').oneOf(PROTOCOLS, 'TCP'),
    hostPort: field.get('hostPort').portOrNull(),
  };
}

function parsePodIps(status: Field): readonly string[] {
  const many = status.get('podIPs').items();
  if (many !== undefined && many.length > 0) return many.map((item) => item.get('ip').ip());
  const one = status.get('podIP');
  return one.stringOrNull() === null ? [] : [one.ip()];
}

function dnsLabelOrNull(field: Field): string | null {
  const text = field.stringOrNull();
  return text === null || isDnsLabel(text) ? text : field.fail('is not a valid DNS label');
}
